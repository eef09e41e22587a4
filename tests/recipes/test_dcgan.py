"""DCGAN from images to generated ones, with small networks."""

import json
from types import SimpleNamespace

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
        # The classifier has tests of its own.
        patch.setattr(module("recipe"), "CLASSIFIER_STEPS", 3)
        task = recipe(conditional=True)
        return runner.run(task, run_folder.new_folder(folder / "runs", None), folder / "models")


@pytest.fixture(scope="module")
def version(result):
    return ModelVersion(result.version.folder)


def ask(version, inputs=(), **settings):
    options = module("config").PredictOptions(**settings)
    task = recipe()
    return [task.present(x) for x in task.predict(version, list(inputs), options)]


def test_a_run_evaluates_draws_and_publishes(result):
    metrics = json.loads((result.folder / "metrics.json").read_text())
    names = {"fid", "precision", "recall", "diversity", "sure", "classes_drawn"}
    assert names == set(metrics["test"])
    assert metrics["best_epoch"] == metrics["epochs"] == 2
    figures = {path.stem for path in (result.folder / "figures").glob("*.png")}
    assert {"samples", "epochs", "interpolations", "nearest", "learning_curves"} <= figures
    with Image.open(result.folder / "figures" / "training.gif") as animation:
        assert (animation.format, animation.n_frames) == ("GIF", 2)


@pytest.mark.parametrize(
    ("precision", "recall", "is_noted"), [(1.0, 0.0, True), (0.9, 0.7, False), (0.1, 0.0, False)]
)
def test_a_precision_without_recall_is_noted(precision, recall, is_noted, monkeypatch):
    notes = []
    monkeypatch.setattr(module("recipe"), "print_note", lambda line, once: notes.append(line))
    task = recipe()
    scores = {"precision": precision, "recall": recall}
    task._classifier = SimpleNamespace(compare=lambda *_: scores)
    monkeypatch.setattr(task, "_samples", lambda *_: None)
    part = SimpleNamespace(images=None)
    assert task.evaluate(None, SimpleNamespace(train=part, test=part), "test") == scores
    assert [line[:14] for line in notes] == ["precision 1.00"] * is_noted


def test_the_same_seed_gives_the_same_images(version):
    generate = version.function()
    request = {"count": tf.constant([5]), "label": tf.constant([3])}
    first, again, other = (
        generate(seed=tf.constant([seed]), **request)["images"].numpy() for seed in (7, 7, 8)
    )
    assert first.shape == (5, 28, 28, 1)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    files = generate(seed=tf.constant([7]), **request)["png_bytes"].numpy()
    np.testing.assert_array_equal(tf.io.decode_png(files[4]).numpy(), first[4])


def test_without_a_label_the_classes_alternate(version):
    generate = version.function()
    request = {"seed": tf.constant([7]), "count": tf.constant([20])}
    turns = generate(label=tf.constant([-1]), **request)["images"].numpy()
    for label in (0, 4, 9):
        alone = generate(label=tf.constant([label]), **request)["images"].numpy()
        np.testing.assert_array_equal(turns[[label, 10 + label]], alone[[label, 10 + label]])


@pytest.mark.parametrize(
    "settings, side",
    [({}, 32), ({"subject": "faces"}, 64), ({"data": "folder"}, 64), ({"size": 28}, 28)],
)
def test_default_size_is_32_for_digits_and_64_otherwise(settings, side):
    assert recipe(**{"size": 0, **settings}).config.side == side


def test_noise_signature_and_litert_give_the_same_images(version):
    noise = np.random.default_rng(0).uniform(-1, 1, (3, 8)).astype("float32")
    label = np.array([0, 5, 9], "int32")
    served = version.function("noise")(noise=tf.constant(noise), label=tf.constant(label))
    images = LiteRTModel(version.file("model.tflite"))(noise=noise, label=label)["images"]
    np.testing.assert_allclose(255 * images, served["images"].numpy(), atol=0.6)


def test_predictions_are_written_as_a_sheet(version, tmp_path):
    path = tmp_path / "a sheet ü.png"
    (line,) = ask(version, count=5, seed=7, label="3", sheet=str(path))
    assert line == f"5 images from seed 7: {path}"
    # Three columns and two rows, with two white pixels between images.
    assert Image.open(path).size == (3 * 30 + 2, 2 * 30 + 2)


def test_a_sheet_replaces_no_file(version, tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"a photo")
    (line,) = ask(version, count=1, sheet=str(photo))
    assert line == f"1 images from seed 0: {tmp_path / 'photo-2.png'}"
    assert photo.read_bytes() == b"a photo"
    assert Image.open(tmp_path / "photo-2.png").format == "PNG"


@pytest.mark.parametrize(
    "inputs, settings, message",
    [
        (["x.png"], {}, "x.png: dcgan takes no inputs"),
        ([], {"label": "ten"}, "--label ten: unknown class"),
        ([], {"sheet": "nowhere/x.png"}, "there is no such folder"),
        ([], {"sheet": "."}, "expected a file, got a folder"),
    ],
)
def test_invalid_options_give_a_one_line_error(version, inputs, settings, message):
    with pytest.raises(UsageError, match=message) as caught:
        ask(version, inputs, **settings)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("subject, channels", [("faces", 3), ("facades", 3)])
def test_builtin_faces_and_facades_are_in_colour_or_grey(subject, channels, monkeypatch):
    data = module("data")
    for name in ("FACES", "FACADES"):
        monkeypatch.setattr(data, name, 40)
    monkeypatch.setattr(data, "EACH", 1)
    for colour, expected in ((True, channels), (False, 1)):
        splits = recipe(subject=subject, size=32, colour=colour).load_data()
        assert splits.train.images.shape[1:] == (32, 32, expected)
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
    # A folder without classes gives an unconditional model.
    monkeypatch.setattr(module("data"), "LEAST", 20)
    task = recipe(data=str(tmp_path / "classes" / "a"), conditional=True)
    assert not task.build(task.load_data()).takes_labels


def test_train_and_test_are_parts_and_hidden_folders_are_not_classes(tmp_path):
    for part, count in (("train", 40), ("test", 6)):
        for name in ("a", "_b", ".ipynb_checkpoints", "__MACOSX"):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for number in range(count // 2):
                Image.new("L", (9, 9), 100 if part == "train" else 200).save(
                    folder / f"{number}.png"
                )
    splits = recipe(data=str(tmp_path)).load_data()
    assert set(splits.train.names) == {"a", "_b"}
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (36, 4, 6)
    assert splits.train.images.max() == splits.validation.images.max() == 100
    assert splits.test.images.min() == 200


def write_black(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("L", (9, 9)).save(folder / f"{number}.png")


def test_a_few_images_next_to_class_folders_are_named(tmp_path):
    write_black(tmp_path, 2)
    for name in ("a", "b"):
        write_black(tmp_path / name, 20)
    splits = recipe(data=str(tmp_path)).load_data()
    assert splits.train.names == ("a", "b")
    assert splits.notes[0].endswith("next to the class folders: 0.png, 1.png. They are not read.")


def test_more_images_next_to_folders_than_in_them_are_refused(tmp_path):
    write_black(tmp_path, 40)
    write_black(tmp_path / "samples", 2)
    with pytest.raises(DataError, match=r"40 images lie next to the class folders: 0\.png"):
        recipe(data=str(tmp_path)).load_data()


def test_a_part_without_the_class_folders_of_train_is_refused(tmp_path):
    for path in ("train/a", "train/b", "test"):
        write_black(tmp_path / path, 20)
    with pytest.raises(DataError, match="in both train and test, or in neither"):
        recipe(data=str(tmp_path)).load_data()


def test_a_tfds_dataset_is_read_with_its_classes(monkeypatch):
    import contextlib
    from types import SimpleNamespace

    import tensorflow_datasets as tfds

    from dlrecipes.data import tfds as tfds_reader

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
    dataset = SimpleNamespace(as_numpy_iterator=lambda: rows)
    builder = SimpleNamespace(
        info=SimpleNamespace(features=features, splits={"train": None, "test": None}),
        as_dataset=lambda split: dataset,
    )
    monkeypatch.setattr(tfds_reader, "prepared", lambda *_: contextlib.nullcontext(builder))
    splits = recipe(data="tfds:two").load_data()
    assert splits.train.names == ("a", "b")
    for image, label in zip(splits.train.images, splits.train.labels, strict=True):
        assert image[0, 0, 0] // 6 % 2 == label


def test_a_folder_without_images_or_with_too_few_is_reported(tmp_path):
    with pytest.raises(DataError, match="there are no images in this folder or its folders"):
        recipe(data=str(tmp_path)).load_data()
    with pytest.raises(DataError, match="there is no such folder"):
        recipe(data=str(tmp_path / "none")).load_data()
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="expected at least 40 images, got 1"):
        recipe(data=str(tmp_path)).load_data()
    (tmp_path / "b.png").write_text("text")
    with pytest.raises(DataError, match=r"b\.png: this is not an image"):
        recipe(data=str(tmp_path)).load_data()


def test_the_card_and_the_readme_name_what_the_graphs_have(result, unknown_names):
    assert unknown_names(result.version.folder, "dcgan") == set()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subject": "faces", "data": "images"}, "--subject: it is for the built-in data"),
        ({"colour": False}, "--colour: the built-in digits are grey"),
        ({"conditional": True, "subject": "faces"}, "--conditional: the built-in faces have no"),
        (
            {"data_dir": "cache", "patience": 3},
            "--patience: the last .*; --data-dir: --data is not",
        ),
        ({"subject": "facades", "size": 28}, "--subject facades --size 28: .* 32 or 64"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_before_data_is_read(settings, message):
    config = registry.find("dcgan").config()
    with pytest.raises(UsageError, match=message) as caught:
        config.parse(settings).check_effect(settings, "dcgan")
    assert "\n" not in str(caught.value)


def test_settings_that_fit_together_are_accepted():
    settings = {"data": "images", "colour": False, "conditional": False}
    registry.find("dcgan").config().parse(settings).check_effect(settings, "dcgan")
