"""The recipe from images to new ones, on a small network."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlrecipes import runner
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe import registry
from dlrecipes.runner import run_folder

SMALL = {
    "size": 28,
    "filters": 4,
    "epochs": 2,
    "min_steps_per_epoch": 1,
    "num_samples": 40,
    "latent_size": 8,
}


def recipe(**settings):
    source = registry.find("dcgan")
    return source.recipe()(source.config().parse({**SMALL, **settings}), source.name)


def module(name):
    return registry.find("dcgan")._module(name)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dcgan")
    with pytest.MonkeyPatch.context() as patch:
        # How well the classifier reads is tested by itself.
        patch.setattr(module("scores"), "STEPS", 3)
        task = recipe(conditional=True)
        return runner.run(task, run_folder.new_folder(folder / "runs", None), folder / "models")


@pytest.fixture(scope="module")
def version(result):
    return ModelVersion(result.version.folder)


def ask(version, inputs=(), **told):
    options = module("config").PredictOptions(**told)
    task = recipe()
    return [task.present(x) for x in task.predict(version, list(inputs), options)]


def test_a_run_measures_draws_and_publishes(result):
    metrics = json.loads((result.folder / "metrics.json").read_text())
    names = {"fid", "precision", "recall", "diversity", "sure", "classes_drawn"}
    assert names == set(metrics["test"])
    assert metrics["best_epoch"] == metrics["epochs"] == 2
    figures = {path.stem for path in (result.folder / "figures").glob("*.png")}
    assert {"samples", "epochs", "interpolations", "nearest", "learning_curves"} <= figures
    with Image.open(result.folder / "figures" / "training.gif") as moving:
        assert (moving.format, moving.n_frames) == ("GIF", 2)


def test_a_seed_draws_the_same_images_and_another_others(version):
    draw = version.function()
    request = {"count": tf.constant([5]), "label": tf.constant([3])}
    first, again, other = (
        draw(seed=tf.constant([seed]), **request)["images"].numpy() for seed in (7, 7, 8)
    )
    assert first.shape == (5, 28, 28, 1)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    files = draw(seed=tf.constant([7]), **request)["png_bytes"].numpy()
    np.testing.assert_array_equal(tf.io.decode_png(files[4]).numpy(), first[4])


def test_without_a_class_all_are_drawn_in_turn(version):
    draw = version.function()
    request = {"seed": tf.constant([7]), "count": tf.constant([20])}
    turns = draw(label=tf.constant([-1]), **request)["images"].numpy()
    for label in (0, 4, 9):
        alone = draw(label=tf.constant([label]), **request)["images"].numpy()
        np.testing.assert_array_equal(turns[[label, 10 + label]], alone[[label, 10 + label]])


@pytest.mark.parametrize(
    "told, side",
    [({}, 32), ({"subject": "faces"}, 64), ({"data": "folder"}, 64), ({"size": 28}, 28)],
)
def test_images_are_of_64_pixels_but_the_digits(told, side):
    assert recipe(**{"size": 0, **told}).config.side == side


def test_noise_and_litert_draw_alike(version):
    noise = np.random.default_rng(0).uniform(-1, 1, (3, 8)).astype("float32")
    label = np.array([0, 5, 9], "int32")
    drawn = version.function("noise")(noise=tf.constant(noise), label=tf.constant(label))
    found = LiteRTModel(version.file("model.tflite"))(noise=noise, label=label)["images"]
    np.testing.assert_allclose(255 * found, drawn["images"].numpy(), atol=0.6)


def test_predictions_are_a_sheet(version, tmp_path):
    path = tmp_path / "a sheet ü.png"
    (line,) = ask(version, count=5, seed=7, label="3", sheet=str(path))
    assert line == f"5 images of seed 7: {path}"
    # Three columns, two rows, two white pixels between them.
    assert Image.open(path).size == (3 * 30 + 2, 2 * 30 + 2)


@pytest.mark.parametrize(
    "inputs, told, message",
    [
        (["x.png"], {}, "x.png: dcgan takes no inputs"),
        ([], {"label": "ten"}, "--label ten: unknown class"),
        ([], {"sheet": "nowhere/x.png"}, "there is no such folder"),
        ([], {"sheet": "."}, "expected a file, got a folder"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(version, inputs, told, message):
    with pytest.raises(UsageError, match=message) as caught:
        ask(version, inputs, **told)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("subject, channels", [("faces", 3), ("facades", 3)])
def test_built_in_faces_and_facades_have_colours_unless_not_wanted(subject, channels, monkeypatch):
    data = module("data")
    for name in ("FACES", "FACADES"):
        monkeypatch.setattr(data, name, 40)
    monkeypatch.setattr(data, "EACH", 1)
    for colour, wanted in ((True, channels), (False, 1)):
        splits = recipe(subject=subject, size=32, colour=colour).load_data()
        assert splits.train.images.shape[1:] == (32, 32, wanted)
        assert (len(splits.train), len(splits.validation), len(splits.test)) == (32, 4, 4)


def test_a_folder_of_images_or_of_classes_is_read(tmp_path, monkeypatch):
    for number in range(40):
        folder = tmp_path / "classes" / ("a" if number % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGBA", (20, 33), (number, 0, 0, 255)).save(folder / f"{number}.png")
    splits = recipe(data=str(tmp_path / "classes"), conditional=True).load_data()
    assert splits.train.names == ("a", "b")
    assert splits.train.images.shape == (32, 28, 28, 3)
    for image, label in zip(splits.train.images, splits.train.labels, strict=True):
        assert image[0, 0, 0] % 2 == (1 if label == 0 else 0)
    # Told of classes, where there are some.
    monkeypatch.setattr(module("data"), "LEAST", 20)
    task = recipe(data=str(tmp_path / "classes" / "a"), conditional=True)
    assert not task.build(task.load_data()).takes_labels


def test_a_tfds_data_set_is_read_with_its_classes(monkeypatch):
    import contextlib
    from types import SimpleNamespace

    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(28, 28, 1)),
            "label": tfds.features.ClassLabel(names=["a", "b"]),
        }
    )
    rows = [
        {"image": np.full((28, 28, 1), 6 * number, "uint8"), "label": number % 2}
        for number in range(40)
    ]
    kept = SimpleNamespace(as_numpy_iterator=lambda: rows)
    builder = SimpleNamespace(
        info=SimpleNamespace(features=features), as_dataset=lambda split: kept
    )
    found = module("data").tfds
    monkeypatch.setattr(found, "prepared", lambda *_: contextlib.nullcontext(builder))
    splits = recipe(data="tfds:two").load_data()
    assert splits.train.names == ("a", "b")
    for image, label in zip(splits.train.images, splits.train.labels, strict=True):
        assert image[0, 0, 0] // 6 % 2 == label


def test_a_folder_without_images_or_with_too_few_is_told(tmp_path):
    with pytest.raises(DataError, match="there are no images in it, nor in its folders"):
        recipe(data=str(tmp_path)).load_data()
    with pytest.raises(DataError, match="there is no such folder"):
        recipe(data=str(tmp_path / "none")).load_data()
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="1 images are too few; at least 40"):
        recipe(data=str(tmp_path)).load_data()
    (tmp_path / "b.png").write_text("text")
    with pytest.raises(DataError, match=r"b\.png: this is not an image"):
        recipe(data=str(tmp_path)).load_data()


@pytest.mark.slow
def test_real_images_are_like_themselves_and_noise_is_not(monkeypatch):
    splits = recipe().load_data()
    scores = module("scores")
    monkeypatch.setattr(scores, "STEPS", 100)
    critic = scores.FeatureClassifier.trained(splits.train[:200], seed=0)
    real, other = splits.train.images[:150], splits.train.images[150:300]
    noise = np.random.default_rng(0).integers(0, 256, real.shape, dtype="uint8")
    close, far = (scores.scores(critic, real, made) for made in (other, noise))
    assert close["fid"] < far["fid"]
    assert close["precision"] > far["precision"]
    assert close["classes_drawn"] == 10
    assert far["recall"] < 0.1 < close["recall"]
    copies = np.repeat(real[:1], 150, axis=0)
    assert scores.scores(critic, real, copies)["diversity"] < 0.01
