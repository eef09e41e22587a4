"""Object detection from images with boxes to predictions, on tiny networks."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageColor

from dlrecipes import runner
from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.errors import UsageError
from dlrecipes.export.detection_litert import load_detector
from dlrecipes.export.lite_version import LiteVersion
from dlrecipes.export.litert_metadata import read_metadata
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics import detection_metrics
from dlrecipes.recipe import Splits, registry
from dlrecipes.runner import run_folder, start

NAME = "object_detection"
TINY = {
    "images": 100,
    "size": 64,
    "width": 0.25,
    "filters": 8,
    "units": 16,
    "proposals": 20,
    "training_proposals": 30,
    "sampled_regions": 8,
    "epochs": 2,
    "batch_size": 10,
    "min_steps_per_epoch": 1,
    "seed": 3,
}


def recipe(**settings):
    source = registry.find(NAME)
    return source.recipe()(source.config().parse({**TINY, **settings}), source.name)


def module(name):
    return registry.find(NAME)._module(name)


def noise(height, width, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), "uint8")
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def png(array):
    content = io.BytesIO()
    Image.fromarray(array).save(content, "PNG")
    return content.getvalue()


def assert_found(boxes, others):
    """Each box is among others to half a pixel; rounding exchanges rows of nearly equal scores."""
    distances = np.abs(boxes[:, None] - others[None]).max(axis=-1).min(axis=1)
    assert len(boxes) == 5
    assert distances.max() < 0.5


def squares(names=("square",), count=12, size=64):
    """Images of one white square on black each, of the class 0, with its box."""
    rng = np.random.default_rng(0)
    images, boxes = np.zeros((count, size, size, 3), "uint8"), []
    for image in images:
        side = int(rng.integers(size // 4, size // 2))
        left, top = rng.integers(0, size - side, 2).tolist()
        image[top : top + side, left : left + side] = 255
        boxes.append([[left, top, left + side, top + side]])
    part = BoxExamples.from_arrays(images, boxes, [[0]] * count, names)
    return Splits(part, part, part, description={}, notes=[])


@pytest.fixture(autouse=True, scope="module")
def few_images():
    """Generates, verifies and measures fewer images than a run for users does."""
    with pytest.MonkeyPatch.context() as patch:
        for name, count in {"VALIDATION": 20, "TEST": 30}.items():
            patch.setattr(module("data"), name, count)
        for name, count in {"VERIFIED": 4, "CALIBRATION": 10}.items():
            patch.setattr(module("recipe"), name, count)
        yield


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detection")
    return runner.run(recipe(), run_folder.new_folder(folder / "runs", None), folder / "models")


@pytest.fixture(scope="module")
def version(result):
    return ModelVersion(result.version.folder)


@pytest.fixture(scope="module")
def splits():
    return recipe().load_data()


@pytest.fixture(scope="module")
def model(version):
    return version.keras_model()


# The shared run.


def test_a_run_writes_the_metrics_of_the_test_images(result, splits, model):
    metrics = json.loads((result.folder / "metrics.json").read_text())
    detector = model.detector(
        score_threshold=0.05, iou_threshold=recipe().config.overlap, num_proposals=20
    )
    detect = tf.function(detector, [tf.TensorSpec([None, 64, 64, 3], tf.float32)])
    images = np.stack([splits.test.image(k) for k in range(len(splits.test))])
    outputs = detect(images.astype("float32") / 255)
    found, truths = [], []
    for k, count in enumerate(outputs["count"].numpy()):
        found.append(
            {name: outputs[name][k, :count].numpy() for name in ("boxes", "scores", "classes")}
        )
        truths.append({"boxes": splits.test.boxes(k), "classes": splits.test.classes(k)})
    expected = detection_metrics(found, truths, splits.test.names)
    assert metrics["test"]["map50"] == pytest.approx(expected["map50"], abs=0.01)
    assert metrics["test"]["objects_by_class"] == expected["objects_by_class"]
    assert metrics["macs"] > 1000


def test_all_figures_are_drawn(result):
    names = {path.stem for path in (result.folder / "figures").glob("*.png")}
    assert names == {
        *("learning_curves", "detections", "mistakes", "precision_recall", "confusion"),
        "proposals",
    }


def test_the_card_and_the_readme_name_what_the_graphs_have(version, unknown_names):
    assert unknown_names(version.folder, NAME) == set()


def test_boxes_are_in_the_pixels_of_each_image(version):
    arrays = [noise(64, 64), noise(40, 90, seed=1), noise(200, 30, seed=2)]
    outputs = version.call(image_bytes=[png(array) for array in arrays])
    # The same image, stretched to the network's size, has the same boxes in its own pixels.
    for row, array in enumerate(arrays):
        height, width = array.shape[:2]
        square = np.asarray(Image.fromarray(array).resize((64, 64), Image.Resampling.BILINEAR))
        own = version.call("images", images=square[None])
        scale = np.array([width, height, width, height]) / 64
        assert_found(own["boxes"][0, :5] * scale, outputs["boxes"][row])


def test_the_litert_file_predicts_what_the_savedmodel_does(version, splits, tmp_path):
    names = splits.test.names
    files = []
    for k in range(3):
        files.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(splits.test.image(k)).save(files[-1])
    options = module("config").PredictOptions(threshold=0.0, draw=str(tmp_path / "drawn"))
    predictions = recipe().predict(LiteVersion(version.folder), files, options)
    outputs = version.call(image_bytes=[png(splits.test.image(k)) for k in range(3)])
    for row, prediction in enumerate(predictions):
        assert {found["label"] for found in prediction["objects"]} <= set(names)
        boxes = np.array([found["box"] for found in prediction["objects"][:5]])
        assert_found(boxes, outputs["boxes"][row])
        assert Image.open(prediction["drawing"]).size == (64, 64)
    assert json.loads(json.dumps(predictions)) == predictions
    first = recipe().present(predictions[0])
    assert first.startswith(files[0])
    assert first.count("\n") == len(predictions[0]["objects"])


def test_only_boxes_above_the_threshold_are_predicted(version, tmp_path):
    path = str(tmp_path / "x.png")
    Image.fromarray(noise(30, 40)).save(path)
    predict, options = module("predict").predict, module("config").PredictOptions
    everything = predict(version, [path], options(threshold=0.0))[0]["objects"]
    (nothing,) = predict(version, [path], options(threshold=1.0))
    assert nothing["objects"] == []
    assert nothing["best_below"] == {
        "label": everything[0]["label"],
        "score": everything[0]["score"],
        "threshold": 1.0,
    }
    assert all(found["score"] > 0.05 for found in everything)


@pytest.mark.parametrize(
    ("best", "text"),
    [
        (None, "no objects"),
        (("cat", 0.31, 0.5), "no objects (best: cat 0.31, below the threshold 0.5)"),
        (("cat", 0.4996, 0.5), "no objects (best: cat 0.4996, below the threshold 0.5)"),
    ],
)
def test_an_image_without_objects_names_the_best_below_the_threshold(best, text):
    prediction = {"file": "x.png", "objects": []}
    if best:
        prediction["best_below"] = dict(zip(("label", "score", "threshold"), best, strict=True))
    assert module("predict").present(prediction) == f"x.png: {text}"


def test_drawings_have_the_colours_of_the_signature_draw(tmp_path):
    path = str(tmp_path / "x.png")
    Image.new("RGB", (64, 64), "white").save(path)
    objects = [{"box": [10, 10, 50, 50], "label": "dog", "score": 0.9}]
    drawing = np.asarray(
        Image.open(io.BytesIO(module("predict")._drawn(path, objects, ["cat", "dog"])))
    )
    # The second class has the second colour of the palette.
    assert tuple(drawing[49, 30]) == ImageColor.getrgb("#56b4e9")


def test_the_litert_file_carries_the_names_of_the_classes(version, splits):
    metadata = read_metadata(version.folder / "model.tflite")
    assert metadata["outputs"][1]["labels"] == list(splits.test.names)
    assert load_detector(version, splits.test.names).size == 64


def test_evaluation_takes_other_classes_in_another_order(model, splits):
    task, test = recipe(), splits.test[:20]
    turned = BoxExamples.from_arrays(
        [test.image(k) for k in range(20)],
        [test.boxes(k) for k in range(20)],
        [len(test.names) - 1 - test.classes(k) for k in range(20)],
        test.names[::-1],
    )
    parts = (Splits(*[part] * 3, description={}, notes=[]) for part in (test, turned))
    one, other = (task.evaluate(model, part, "test") for part in parts)
    assert one["map50"] == other["map50"]


def test_mistakes_are_those_of_the_boxes_that_predict_shows(monkeypatch):
    data = squares(count=3)
    box = {"boxes": np.array([[0.0, 0, 4, 4]] * 2), "classes": np.array([0, 0])}
    found = [{**box, "scores": np.array([0.9, 0.4])}] * 3
    monkeypatch.setattr(module("detections"), "propose", lambda *_: [np.zeros((0, 4))] * 3)
    trained = SimpleNamespace(class_names=data.test.names)
    drawn = dict(module("figures").figures(trained, data.test, found, recipe().config))
    texts = {text.get_text() for axis in drawn["mistakes"].axes for text in axis.texts}
    least = module("config").PredictOptions().threshold
    title = f"boxes with a score of at least {least:.2f}"
    assert {"3 wrong predictions", "3 missed objects", f"Mistakes, test, {title}"} <= texts
    assert drawn["confusion"].get_suptitle().endswith(title)


# Training.


@pytest.mark.slow
def test_squares_are_found_after_a_short_training():
    data = squares()
    task = recipe(
        **{"width": 1, "filters": 32, "units": 64, "proposals": 50, "sampled_regions": 64},
        **{"epochs": 60, "batch_size": 6, "scale": 0},
    )
    model = task.build(data)
    batches, steps = task.dataset(model, data.train, 0)
    model.fit(batches, epochs=60, steps_per_epoch=steps, verbose=0)
    assert task.evaluate(model, data, "test")["map50"] > 0.8


def test_batches_continue_where_an_epoch_began(splits):
    task = recipe(mosaic=0.5, colour=0.3)
    model = task.build(splits)
    whole, steps = task.dataset(model, splits.train, 0)
    later, _ = task.dataset(model, splits.train, 1)
    one, other = next(iter(whole.skip(steps))), next(iter(later))
    tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_a_version_of_the_same_recipe_is_a_start(version, splits, model):
    task = recipe(start=str(version.folder))
    fresh = task.build(splits)
    start.initialize(task, fresh, splits)
    for old, new in zip(model.network.weights, fresh.network.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_start_takes_the_rows_of_the_classes_that_both_know():
    task = recipe()
    source, model = (
        task.build(squares(names)) for names in (("cat", "dog"), ("owl", "dog", "cat"))
    )
    for weight in source.network.weights:
        if weight.dtype == "float32":
            weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    fresh = {layer: _kernel(model, layer) for layer in ("class_logits", "box_deltas")}
    transfer = task.initialize(model, source)
    assert "box_deltas, class_logits (2 of 3; taken: dog, cat; new: owl)" in str(transfer)
    assert transfer.taken == transfer.total
    # The background is the first row of the scores.
    ours, theirs = _kernel(model, "class_logits"), _kernel(source, "class_logits")
    np.testing.assert_array_equal(ours[[0, 2, 3]], theirs[[0, 2, 1]])
    np.testing.assert_array_equal(ours[1], fresh["class_logits"][1])
    ours, theirs = (_kernel(m, "box_deltas").reshape(-1, 4, 16) for m in (model, source))
    np.testing.assert_array_equal(ours[1:], theirs[::-1])
    np.testing.assert_array_equal(ours[0], fresh["box_deltas"][:4])


def _kernel(model, layer):
    """The kernel of a dense layer, one row per output."""
    return np.array(model.network.get_layer(layer).kernel).T


def test_the_features_of_an_image_classifier_are_a_start(splits):
    source = registry.find("image_classification")
    config = source.config()(size=64, width=0.25)
    classifier = source._module("training").build(config, ("cat", "dog"), 1)
    task = recipe()
    fresh = task.build(splits)
    transfer = task.initialize(fresh, classifier)
    assert transfer.useful
    backbone = module("training").backbone(task.config, fresh)
    known = {w.path.rpartition("small_resnet/")[2]: np.array(w) for w in classifier.weights}
    copied = 0
    for layer in backbone.layers:
        for weight in layer.weights:
            path = weight.path.rpartition("small_resnet/")[2]
            same = path in known and np.array_equal(weight, known[path])
            # The fourth stage is the detector's alone.
            assert same != layer.name.startswith("stage4"), path
            copied += same
    assert copied > 20


def test_features_of_another_network_are_not_a_start(splits):
    source = registry.find("image_classification")
    config = source.config()(size=64, network="vgg11", width=0.1)
    classifier = source._module("training").build(config, ("cat", "dog"), 1)
    task = recipe()
    assert not task.initialize(task.build(splits), classifier).useful


def test_anchors_come_from_the_boxes_of_the_training_images(splits, capsys):
    task = recipe(anchors="auto")
    data = squares(count=40)
    sizes, _, overlap = module("training").anchors(task.config, data.train)
    # Squares of 16 to 32 pixels.
    assert 0.8 < overlap <= 1
    assert all(12 < size < 36 for size in sizes)
    task.build(data)
    assert "--anchors auto: sizes" in capsys.readouterr().err


@pytest.mark.parametrize("pyramid", [True, False])
def test_anchors_of_equal_boxes_suit_every_network(pyramid):
    task = recipe(anchors="auto", pyramid=pyramid)
    boxes = [[[0, 0, 20, 20], [0, 0, 60, 10]]] * 6
    images = np.zeros((6, 64, 64, 3), "uint8")
    ignored = [[False, True]] * 6
    part = BoxExamples.from_arrays(images, boxes, [[0, 0]] * 6, ("square",), ignored)
    sizes, ratios, overlap = module("training").anchors(task.config, part)
    assert set(sizes) == {20.0}
    assert len(sizes) == (3 if pyramid else 1)
    assert (ratios, round(overlap, 6)) == ((1.0,), 1)
    task.build(Splits(part, part, part, description={}, notes=[]))


def test_the_anchors_of_the_check_are_those_of_a_run(splits):
    task = recipe(anchors="auto", seed=7)
    table = next(t for t in recipe(seed=7).check().tables if "64 x 64" in t.title)
    sizes, ratios, _ = module("training").anchors(task.config, task.load_data().train)
    texts = [", ".join(f"{value:.3g}" for value in own) for own in (sizes, ratios)]
    assert table.rows[0][:2] == texts


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"anchor_sizes": (32, 16, 8)}, "needs the smallest size"),
        ({"anchors": "auto", "anchor_sizes": (8, 16, 32)}, "both choose the anchors"),
        ({"anchor_sizes": (8, 16)}, "--anchor-sizes"),
        ({"images": 1_000_000, "size": 1024}, "would need 3145.7 GB of memory"),
        ({"backbone": "resnet18", "depth": 2}, "--depth: it is for --backbone small_resnet"),
        ({"data": "photos", "images": 200}, "--images: it is for the built-in data"),
        ({"strict": True}, "--strict: it is for --data"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_in_one_line(settings, message):
    config = registry.find(NAME).config()
    with pytest.raises(UsageError) as caught:
        config.parse(settings).check_effect(settings, NAME)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
