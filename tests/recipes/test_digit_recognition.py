"""Digit recognition from images to predictions, on small networks; tests of minutes are slow."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlrecipes import runner
from dlrecipes.data.digits import LabelledImages
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.litert_metadata import read_metadata
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe import registry
from dlrecipes.runner import run_folder

SMALL = {
    "width": 0.25,
    "ensemble_size": 2,
    "epochs": 2,
    "batch_size": 32,
    "min_steps_per_epoch": 10,
}
MNIST = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "mnist"
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason="needs ../shared/data/mnist")


def recipe(**settings):
    source = registry.find("digit_recognition")
    return source.recipe()(source.config().parse({**SMALL, **settings}), source.name)


def run(task, folder):
    return runner.run(task, run_folder.new_folder(folder / "runs", None), folder / "models")


def module(name):
    return registry.find("digit_recognition")._module(name)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return run(recipe(), tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def version(result):
    return ModelVersion(result.version.folder)


@pytest.fixture(scope="module")
def serving(result):
    return ModelVersion(result.version.folder).function()


@pytest.fixture(scope="module")
def test_part():
    return recipe().load_data().test


def png(array):
    return tf.io.encode_png(array).numpy()


def test_a_run_writes_metrics_and_figures(result):
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] == pytest.approx(1 - metrics["test"]["error"])
    assert set(metrics["test"]["accuracy_by_class"]) == set("0123456789")
    # Two epochs of a quarter of the network are enough to be better than guessing.
    assert metrics["test"]["accuracy"] > 0.5
    names = {path.stem for path in (result.folder / "figures").glob("*.png")}
    assert names == {
        "learning_curves",
        "confusion",
        "mistakes",
        "filters",
        "feature_maps",
        "networks",
    }


def test_the_model_card_reports_accuracy_and_size_of_each_litert_file(result, test_part):
    folder = result.version.folder
    reports = json.loads((folder / "assets.extra" / "litert.json").read_text())
    card = (folder / "README.md").read_text()
    formats = card.partition("## Formats")[2].splitlines()
    images = test_part.images[..., None].astype("float32") / 255
    for name, report in reports.items():
        model = LiteRTModel(folder / name)
        outputs = [model(images=image[None])["probabilities"][0] for image in images]
        accuracy = np.mean(np.argmax(outputs, axis=1) == test_part.labels)
        assert report["accuracy"] == pytest.approx(accuracy)
        (row,) = [line for line in formats if line.startswith(f"| `{name}` |")]
        cells = row.strip("| ").split(" | ")
        assert f"{report['bytes']:,}" in cells
        assert f"{accuracy:.4f}" in cells
    sizes = [reports[f"model{kind}.tflite"]["bytes"] for kind in ("", ".float16", ".int8")]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("kind", ["", ".float16", ".int8"])
def test_litert_files_have_the_metadata_of_an_image_classifier(result, kind):
    metadata = read_metadata(result.version.folder / f"model{kind}.tflite")
    (image,), (probabilities,) = metadata["inputs"], metadata["outputs"]
    assert (image["color_space"], image["mean"], image["std"]) == ("RGB", [0], [255])
    assert probabilities["labels"] == [str(digit) for digit in range(10)]


def test_litert_files_take_colour_images_too(result, test_part):
    model = LiteRTModel(result.version.folder / "model.tflite")
    grey = test_part.images[:20, ..., None].astype("float32") / 255
    outputs = [model(images=images)["probabilities"] for images in (grey, grey.repeat(3, axis=3))]
    np.testing.assert_allclose(*outputs, atol=1e-5)


def test_arrays_of_28x28_are_used_unchanged_and_others_are_normalised(result, test_part):
    classify = ModelVersion(result.version.folder).function("images")
    model = ModelVersion(result.version.folder).keras_model()
    images = test_part.images[:20]
    expected = model.classify(images[..., None].astype("float32") / 255)
    outputs = classify(images=tf.constant(images[..., None]))
    assert outputs["label"].numpy().tolist() == expected["label"].numpy().tolist()
    np.testing.assert_allclose(outputs["probabilities"], expected["probabilities"], atol=1e-5)
    # Five times as large, dark on light, in colour, with an alpha channel.
    large = 255 - images.repeat(5, axis=1).repeat(5, axis=2)
    colour = np.concatenate([large[..., None].repeat(3, axis=3), 255 + 0 * large[..., None]], 3)
    labels = classify(images=tf.constant(colour))["label"].numpy()
    assert np.mean(labels == outputs["label"].numpy()) >= 0.8


def test_files_of_a_batch_are_classified_in_order(serving, test_part):
    images = [np.pad(255 - x, 20, constant_values=255)[..., None] for x in test_part.images[:6]]
    files = [png(x) for x in images]
    labels = [serving(image_bytes=tf.constant([file]))["label"].numpy()[0] for file in files]
    assert serving(image_bytes=tf.constant(files))["label"].numpy().tolist() == labels
    jpegs = [tf.io.encode_jpeg(x, quality=95).numpy() for x in images]
    blurred = serving(image_bytes=tf.constant(jpegs))["label"].numpy()
    # After two epochs the network is not certain of every digit.
    assert np.sum(blurred == np.array(labels)) >= 4
    assert serving(image_bytes=tf.constant(files))["classes"].numpy()[3].tolist() == [
        str(digit).encode() for digit in range(10)
    ]


def test_a_blank_image_has_an_empty_label(serving):
    outputs = serving(image_bytes=tf.constant([png(np.full((60, 50, 1), 230, "u1"))]))
    assert outputs["label"].numpy().tolist() == [b""]


def test_predictions_contain_file_class_and_probability(version, test_part, tmp_path):
    path = tmp_path / "a digit ü.png"
    Image.fromarray(np.pad(255 - test_part.images[0], 9, constant_values=255)).save(path)
    Image.new("L", (40, 40), 255).save(tmp_path / "blank.png")
    task = recipe()
    predictions = task.predict(version, [str(path), str(tmp_path / "blank.png")])
    assert json.loads(json.dumps(predictions)) == predictions
    assert sum(predictions[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    lines = [task.present(prediction) for prediction in predictions]
    assert lines[0].startswith(f"{path}: ")
    assert lines[0][len(f"{path}: ")] in "0123456789"
    assert "%" in lines[0]
    assert lines[1].endswith("the image is blank")
    assert "problem" not in predictions[0]
    assert (predictions[1]["label"], predictions[1]["problem"]) == ("", "the image is blank")


@pytest.mark.parametrize("content", [b"", b"GIF89", b"text"])
def test_the_error_for_a_file_that_is_not_an_image_names_the_file(version, tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.png: this is not an image"):
        recipe().predict(version, [str(tmp_path / "x.png")])


def test_the_error_for_a_truncated_image_names_the_file(version, tmp_path):
    whole = png(np.random.default_rng(0).integers(0, 256, (50, 50, 1), "u1"))
    (tmp_path / "cut.png").write_bytes(whole[:900])
    with pytest.raises(DataError, match=r"cut\.png"):
        recipe().predict(version, [str(tmp_path / "cut.png")])
    with pytest.raises(UsageError, match=r"none\.png: there is no such file"):
        recipe().predict(version, [str(tmp_path / "none.png")])


def test_a_run_keeps_test_images_with_their_classes(result, version, test_part):
    (paths,) = result.examples
    assert {path.parent for path in paths} == {result.folder / "examples"}
    for path in paths:
        label, row = path.stem.split("-")
        assert test_part.labels[int(row)] == int(label)
        np.testing.assert_array_equal(Image.open(path), test_part.images[int(row)])
    assert len({path.stem.split("-")[0] for path in paths}) == 3
    assert len(recipe().predict(version, [str(paths[0].parent)])) == 3


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM", "WEBP", "AVIF", "JPEG"])
def test_every_format_of_training_is_predicted(version, tmp_path, test_part, kind):
    image = Image.fromarray(np.repeat(np.repeat(255 - test_part.images[0], 3, 0), 3, 1))
    image.save(tmp_path / "a.png")
    # JPEG and AVIF lose a little.
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}, "AVIF": {"quality": 95}}
    image.save(tmp_path / "a.jfif", kind, **options.get(kind, {}))
    one, other = recipe().predict(version, [str(tmp_path / "a.png"), str(tmp_path / "a.jfif")])
    assert one["label"] == other["label"]
    assert other["probabilities"] == pytest.approx(one["probabilities"], abs=0.02)


def test_scans_of_12_bits_are_predicted_as_those_of_8(version, tmp_path, test_part):
    image = 255 - test_part.images[0]
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(image.astype("uint16") * 16 + 15).save(tmp_path / "a.tiff")
    one, other = recipe().predict(version, [str(tmp_path / "a.png"), str(tmp_path / "a.tiff")])
    assert other["probabilities"] == one["probabilities"]


@pytest.mark.parametrize(
    "network",
    [
        *("softmax", "lenet5", "resnet"),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("mlp", "lenet5_1998", "alexnet", "vgg", "inception")
        ),
    ],
)
def test_each_architecture_trains_on_28x28_images(network):
    task = recipe(network=network, width=1.0 if "lenet" in network else 0.2, batch_size=16)
    splits = task.load_data()
    model = task.build(splits)
    batches, _ = task.dataset(model, splits.train[:16], start_epoch=0)
    before = [np.array(weight) for weight in model.trainable_weights]
    loss = model.fit(batches, steps_per_epoch=1, verbose=0).history["loss"][0]
    assert np.isfinite(loss)
    pairs = zip(before, model.trainable_weights, strict=True)
    # In a network this narrow some ReLUs are never active.
    assert np.mean([np.any(old != np.asarray(new)) for old, new in pairs]) > 0.8
    assert task.describe(model, splits)["macs"] > 5000


def test_an_unsupported_width_is_a_usage_error():
    task = recipe(network="lenet5_1998", width=2)
    with pytest.raises(UsageError, match="--network lenet5_1998: connections='paper' needs"):
        task.build(task.load_data())


@pytest.mark.parametrize("data", ["builtin", "tfds:mnist"])
def test_an_orientation_without_idx_files_is_a_usage_error(data):
    with pytest.raises(UsageError, match="--orientation upright: it applies to IDX files only"):
        recipe(data=data, orientation="upright").load_data()


def test_an_epoch_of_a_small_dataset_is_several_passes():
    task = recipe(batch_size=50, min_steps_per_epoch=10)
    splits = task.load_data()
    model = task.build(splits)
    # 120 images are 3 steps, so that 4 passes have at least 10.
    _, steps = task.dataset(model, splits.train[:120], start_epoch=0)
    assert steps == 12
    first, _ = task.dataset(model, splits.train[:120], start_epoch=1)
    whole, _ = task.dataset(model, splits.train[:120], start_epoch=0)
    later = next(iter(whole.skip(12)))
    for a, b in zip(next(iter(first)), later, strict=True):
        np.testing.assert_array_equal(a, b)


def test_classes_that_the_model_does_not_know_are_rejected():
    task = recipe()
    splits = task.load_data()
    model = task.build(splits)
    letters = LabelledImages(splits.test.images[:4], np.zeros(4, "i4"), ("x",))
    with pytest.raises(DataError, match="the class 'x'; the model knows 0, 1"):
        task.evaluate(model, replace(splits, test=letters), "test")
    # The same classes in another order.
    order = LabelledImages(splits.test.images, 9 - splits.test.labels, tuple("9876543210"))
    reordered = task.evaluate(model, replace(splits, test=order), "test")
    assert reordered == task.evaluate(model, splits, "test")


def test_networks_are_compared_by_their_mean_results(tmp_path, monkeypatch):
    figures = module("figures")
    head = "data,configuration,seed,metric,value,minutes,machine,version,command\n"
    rows = [
        f"{data},net,{seed},{metric},{value},1,m,1,c\n"
        for data, seed, metric, value in [
            ("MNIST", 0, "error", 0.01),
            ("MNIST", 1, "error", 0.03),
            ("MNIST", 0, "macs", 500),
            ("MNIST", 0, "parameters", 70),
            ("other", 0, "error", 0.5),
        ]
    ]
    (tmp_path / "results.csv").write_text(head + "".join(rows))
    monkeypatch.setattr(figures, "__file__", str(tmp_path / "figures.py"))
    assert figures.measured("MNIST") == {"net": (pytest.approx(0.02), 500, 70)}
    assert figures.measured("other") == {}


@pytest.mark.slow
@needs_mnist
def test_mnist_digits_have_the_same_labels_as_files_and_as_arrays(result):
    from dlrecipes.data.digits import read_digits

    test = read_digits(MNIST, 0)[2][:1000]
    published = ModelVersion(result.version.folder)
    arrays = published.function("images")(images=tf.constant(test.images[..., None]))
    files = published.function()(image_bytes=tf.constant([png(x[..., None]) for x in test.images]))
    assert np.mean(arrays["label"].numpy() == files["label"].numpy()) > 0.95


def test_the_card_and_the_readme_name_what_the_graphs_have(result, unknown_names):
    assert unknown_names(result.version.folder, "digit_recognition") == set()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"elastic": 0, "elastic_sigma": 4}, "--elastic-sigma: --elastic is 0"),
        ({"network": "softmax", "dropout": 0.5}, "--dropout: --network softmax has no hidden"),
        ({"network": "lenet5_1998", "width": 2}, "--width: --network lenet5_1998 has the widths"),
        ({"data_dir": "cache"}, "--data-dir: --data is not a TFDS dataset"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_before_data_is_read(settings, message):
    config = registry.find("digit_recognition").config()
    with pytest.raises(UsageError, match=message) as caught:
        config.parse(settings).check_effect(settings, "digit_recognition")
    assert "\n" not in str(caught.value)


def test_settings_that_fit_together_are_accepted():
    settings = {"data": "tfds:mnist", "data_dir": "cache", "network": "softmax"}
    registry.find("digit_recognition").config().parse(settings).check_effect(
        settings, "digit_recognition"
    )
