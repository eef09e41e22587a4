"""Image classification from images to predictions, on tiny networks; tests of minutes are slow."""

import io
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from image_classification_case import APPLICATION, CLASSES, NAME, all_parts, noise, recipe, run
from PIL import Image

from dlrecipes.data.image_resizing import resize
from dlrecipes.data.labelled_images import ImageExamples
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.litert_metadata import read_metadata
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe import Splits
from dlrecipes.runner import start
from dlrecipes.runner.run import train


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return run(recipe(), tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def folder(result):
    return result.version.folder


@pytest.fixture(scope="module")
def version(folder):
    return ModelVersion(folder)


@pytest.fixture(scope="module")
def splits():
    return recipe().load_data()


@pytest.fixture(scope="module")
def model(version):
    return version.keras_model()


def scores(model, images):
    """The probabilities of uint8 images that have the size of the network."""
    logits = model(np.asarray(images, "float32") / 255, training=False)
    return np.asarray(tf.nn.softmax(tf.cast(logits, tf.float32)))


def png(array):
    content = io.BytesIO()
    Image.fromarray(array).save(content, "PNG")
    return content.getvalue()


# The shared run.


def test_a_run_writes_metrics(result, splits, model):
    metrics = json.loads((result.folder / "metrics.json").read_text())
    images = [splits.test.image(k) for k in range(len(splits.test))]
    right = scores(model, images).argmax(axis=1) == splits.test.labels
    assert metrics["test"]["accuracy"] == pytest.approx(right.mean())
    assert metrics["macs"] > 1000
    assert {"macro_f1", "expected_calibration_error"} <= set(metrics["test"])


def test_all_figures_are_drawn(result, capsys):
    names = {path.stem for path in (result.folder / "figures").glob("*.png")}
    assert names == {
        *("learning_curves", "confusion", "mistakes", "reliability", "explanations"),
        *("filters", "feature_maps", "preferred_images", "networks"),
    }


def test_the_card_and_the_readme_name_what_the_graphs_have(folder, unknown_names):
    # Settings and folders are named there as well.
    assert unknown_names(folder, NAME) == set()


def test_files_and_arrays_of_any_size_and_channels_are_classified(version, model):
    arrays = [noise(16, 16), noise(40, 30), noise(7, 90)]
    expected = scores(model, [resize(array, 16) for array in arrays])
    outputs = version.call(image_bytes=[png(array) for array in arrays])
    assert outputs["classes"].tolist() == [[b"cat", b"dog"]] * 3
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=0.01)
    assert [label.decode() for label in outputs["label"]] == [
        CLASSES[k] for k in outputs["probabilities"].argmax(axis=1)
    ]
    for array, row in zip(arrays, expected, strict=True):
        grey = np.asarray(Image.fromarray(array).convert("L"))
        alpha = np.concatenate([array, np.full((*array.shape[:2], 1), 255, "uint8")], axis=2)
        for images in (array, alpha):
            own = version.call("images", images=images[None])["probabilities"][0]
            np.testing.assert_allclose(own, row, atol=0.01)
        colour = np.repeat(grey[..., None], 3, axis=2)
        results = [
            version.call("images", images=images[None])["probabilities"]
            for images in (grey[..., None], colour)
        ]
        np.testing.assert_allclose(*results, atol=1e-5)


def test_the_litert_file_takes_prepared_images_and_has_the_metadata(folder, model):
    images = np.stack([noise(16, 16, seed=k) for k in range(4)])
    litert = LiteRTModel(folder / "model.tflite")
    outputs = litert(images=images.astype("float32") / 255)["probabilities"]
    np.testing.assert_allclose(outputs, scores(model, images), atol=1e-4)
    metadata = read_metadata(folder / "model.tflite")
    image = metadata["inputs"][0]
    assert (image["color_space"], image["mean"], image["std"]) == ("RGB", [0], [255])
    assert metadata["outputs"][0]["labels"] == CLASSES
    assert (folder / "assets.extra" / "labels.txt").read_text() == "cat\ndog\n"


def test_explanations_have_the_size_of_the_image(version):
    arrays = [noise(40, 30), noise(16, 50)]
    outputs = version.call("explain", image_bytes=[png(array) for array in arrays])
    for array, content in zip(arrays, outputs["explanation_bytes"], strict=True):
        assert np.asarray(Image.open(io.BytesIO(content))).shape == array.shape
    plain = version.call(image_bytes=[png(array) for array in arrays])
    assert outputs["label"].tolist() == plain["label"].tolist()
    np.testing.assert_allclose(outputs["probability"], plain["probabilities"].max(axis=1), 1e-4)


def test_evaluation_takes_other_classes_in_another_order(model, splits):
    task = recipe()
    expected = task.evaluate(model, splits, "test")
    test = splits.test
    reverse = ImageExamples(test.source, 1 - test.labels, test.names[::-1], test.rows)
    other = Splits(reverse, reverse, reverse, description={}, notes=[])
    assert task.evaluate(model, other, "test") == expected
    unknown = all_parts(["cat", "zebra"])
    with pytest.raises(DataError, match="the class 'zebra'; the model knows cat, dog"):
        task.evaluate(model, unknown, "test")


def test_a_network_starts_with_the_features_of_a_version_with_other_classes(folder, model):
    task = recipe(start=str(folder), freeze=1)
    data = all_parts(["bird", "dog", "fish"])
    fresh = task.build(data)
    assert start.initialize(task, fresh, data)["version"] == str(folder)
    old, new = ({w.path: np.array(w) for w in m.weights} for m in (model, fresh))
    heads = [path for path in new if "predictions" in path]
    assert len(heads) == 2
    for path in set(new) - set(heads):
        np.testing.assert_array_equal(new[path], old[path], err_msg=path)
    # The known class keeps its column.
    kernel = next(path for path in heads if "kernel" in path)
    np.testing.assert_array_equal(new[kernel][:, 1], old[kernel][:, 1])
    batches, steps = task.dataset(fresh, data.train, 0)
    fresh.fit(
        batches, steps_per_epoch=steps, verbose=0, callbacks=task.callbacks(fresh, data)
    )  # fmt: skip
    for weight in fresh.weights:
        assert np.any(np.array(weight) != new[weight.path]) == (weight.path in heads), weight.path


def test_a_start_of_another_size_is_one_line(folder, splits):
    task = recipe(start=str(folder), size=24)
    data = all_parts(CLASSES, size=24)
    message = "its network takes images of 16x16x3, this run's of 24x24x3"
    with pytest.raises(UsageError, match=message) as caught:
        start.initialize(task, task.build(data), data)
    assert "--size 24 here, 16 there" in str(caught.value)


@pytest.mark.parametrize(
    "settings", [{}, pytest.param({"size": 24, "ensemble_size": 2}, marks=pytest.mark.slow)]
)
def test_a_teacher_is_learned_from(folder, model, settings):
    task = recipe(teacher=str(folder), width=0.1, teacher_weight=1.0, mixing="cutmix", **settings)
    # In another order than the teacher's.
    data = all_parts(["dog", "cat"], size=task.config.size)
    student = task.build(data)
    before = [np.array(w) for w in model.weights]
    batches, steps = task.dataset(student, data.train, 0)
    history = student.fit(batches, steps_per_epoch=steps, verbose=0).history
    assert np.isfinite(history["loss"][0])
    teacher = student.teacher
    for old, new in zip(before, getattr(teacher, "network", teacher).weights, strict=True):
        np.testing.assert_array_equal(old, new)
    # The teacher is neither trained nor saved.
    assert student.count_params() < sum(w.size for w in before) * task.config.ensemble_size


def test_a_teacher_of_other_classes_is_one_line(folder):
    task = recipe(teacher=str(folder))
    with pytest.raises(UsageError, match=r"--teacher .* does not know bird") as caught:
        task.build(all_parts(["cat", "bird"]))
    assert "trained on these classes" in caught.value.hint
    with pytest.raises(UsageError, match=r"--teacher .* does not know bird"):
        task.build(all_parts(["cat", "dog", "bird"]))


def test_the_learning_rate_warms_up_and_is_lower_after_frozen_epochs(folder):
    task = recipe(
        start=str(folder), freeze=2, epochs=4, learning_rate=0.1, fine_tuning_rate=0.5, warmup=0.5
    )
    # 12 images in batches of 20 are one step per epoch.
    rate = task.build(all_parts(CLASSES, 6)).optimizer._learning_rate
    assert [float(rate(step)) for step in range(4)] == pytest.approx([0.1, 0.1, 0.0, 0.05])


# Training.


class _Stop(keras.callbacks.Callback):
    """Ends the process, as it were, in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self._epoch, self._number = epoch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._number = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self._number == self._epoch and batch == 2:
            raise KeyboardInterrupt


def trained(folder, stop=None, **settings):
    task = recipe(**settings)
    if stop is not None:
        callbacks = task.callbacks
        task.callbacks = lambda model, splits: [*callbacks(model, splits), _Stop(stop)]
    folder.mkdir(exist_ok=True)
    try:
        model = train(task, folder, parts=())[0]
    except KeyboardInterrupt:
        return None
    return [np.array(weight) for weight in model.weights]


def check_resumed(tmp_path, **settings):
    expected = trained(tmp_path / "whole", **settings)
    assert trained(tmp_path / "cut", stop=1, **settings) is None
    for one, same in zip(expected, trained(tmp_path / "cut", **settings), strict=True):
        np.testing.assert_array_equal(one, same)


@pytest.mark.slow
def test_a_killed_run_resumes_with_the_same_bits(tmp_path):
    settings = {"mixing": "mixup", "dropout": 0.3, "ema": 0.9, "prune": 0.5}
    check_resumed(tmp_path, epochs=2, **settings)


@pytest.mark.slow
def test_a_killed_run_with_everything_resumes_with_the_same_bits(tmp_path, folder):
    check_resumed(
        tmp_path,
        **{"epochs": 4, "start": str(folder), "freeze": 2, "mixing": "cutmix", "ema": 0.9},
        **{"teacher": str(folder), "rand_augment": 0.5, "rotation": 10, "random_erasing": 0.2},
        **{"colour": 0.3},
        **{"balance": True, "dropout": 0.3},
    )


# Whole runs.


@pytest.mark.slow
def test_pruned_weights_are_zero_in_every_file(tmp_path):
    result = run(recipe(prune=0.8, epochs=3, ema=0.5), tmp_path)
    folder = result.version.folder
    model = ModelVersion(folder).keras_model()
    kernels = [w for w in model.weights if "kernel" in w.path and len(w.shape) > 1]
    zeros = sum(np.sum(np.asarray(w) == 0) for w in kernels)
    size = sum(np.size(w) for w in kernels)
    assert zeros / size == pytest.approx(0.8, abs=0.01)
    report = json.loads((folder / "assets.extra" / "litert.json").read_text())
    assert {"model.tflite", "model.int8.tflite"} <= set(report)
    saved = ModelVersion(folder).call("images", images=noise(16, 16)[None])["probabilities"]
    np.testing.assert_allclose(saved, scores(model, [noise(16, 16)]), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"ensemble_size": 2, "mirror": True, "ema": 0.9, "balance": True},
        {"precision": "mixed_bfloat16", "mixing": "cutmix", "rand_augment": 0.3},
        {**APPLICATION, "epochs": 1},
        {"network": "applications:VGG16", "width": 1.0, "size": 32, "epochs": 1},
    ],
    ids=["ensemble", "bfloat16", "MobileNetV3Small", "VGG16"],
)
def test_other_configurations_run_to_a_published_model(tmp_path, capsys, settings):
    result = run(recipe(**settings), tmp_path)
    output = capsys.readouterr()
    assert "could be drawn" not in output.out + output.err
    version = ModelVersion(result.version.folder)
    images = np.stack([noise(32, 32, seed=k) for k in range(3)])
    outputs = version.call("images", images=images)
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, rtol=1e-4)
    if settings.get("mirror"):
        mirrored = version.call("images", images=images[:, :, ::-1])
        np.testing.assert_allclose(mirrored["probabilities"], outputs["probabilities"], atol=1e-3)


@pytest.mark.slow
def test_folders_with_names_of_any_kind_run_to_a_published_model(tmp_path, capsys):
    names = [
        "-x",
        "--help",
        "1e5",
        "42",
        "a,b",
        "gâteau à l'été",
        "null",
        "q\"'x",
        "true",
        "犬 と 猫",
    ]
    for place, name in enumerate(names):
        (tmp_path / "my data" / name).mkdir(parents=True)
        for number in range(3):
            image = Image.fromarray(noise(20, 30, seed=10 * place + number))
            image.save(tmp_path / "my data" / name / f"{number} ü.png")
    result = run(recipe(data=str(tmp_path / "my data")), tmp_path)
    output = capsys.readouterr()
    assert "could be drawn" not in output.out + output.err
    classes = ModelVersion(result.version.folder).call("images", images=noise(16, 16)[None])
    assert sorted(x.decode() for x in classes["classes"][0]) == sorted(names)
    # From ten classes on.
    assert "top_5_accuracy" in result.metrics["test"]


@pytest.mark.slow
def test_images_that_do_not_fit_into_memory_train_equally(tmp_path, monkeypatch):
    from dlrecipes.data import image_store

    expected = trained(tmp_path / "kept")
    monkeypatch.setattr(image_store, "MEMORY", 0)
    for one, same in zip(expected, trained(tmp_path / "streamed"), strict=True):
        np.testing.assert_array_equal(one, same)


@pytest.mark.slow
def test_an_image_that_disappears_is_one_line_and_the_run_resumes(tmp_path):
    for name in CLASSES:
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            image = Image.fromarray(noise(20, 20, seed=number))
            image.save(tmp_path / "photos" / name / f"{number}.png")
    settings = {"data": str(tmp_path / "photos"), "epochs": 2}
    expected = trained(tmp_path / "whole", **settings)
    shutil.move(tmp_path / "photos", tmp_path / "hidden")
    with pytest.raises(DataError):
        trained(tmp_path / "cut", **settings)
    shutil.move(tmp_path / "hidden", tmp_path / "photos")
    for one, same in zip(expected, trained(tmp_path / "cut", **settings), strict=True):
        np.testing.assert_array_equal(one, same)
