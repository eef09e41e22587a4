"""ModelVersion versions are checked again: what is whole passes, what was changed is named."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import publish
from dlrecipes.export.verification import check, found_in
from dlrecipes.recipe import Exports, Signature


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,), name="x")
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    spec = [tf.TensorSpec([None, 3], tf.float32, name="x")]
    numbers = Signature(lambda x: {"y": model(x)}, spec, [(x,), (x[:1],)])
    words = Signature(
        lambda word: {"said": tf.strings.join([word, "!"])},
        [tf.TensorSpec([None], tf.string, name="word")],
        [(np.array(["ü", "a\x00"], object),)],
    )
    exports = Exports({"serving_default": numbers, "words": words}, numbers)
    return publish(model, tmp_path_factory.mktemp("net"), exports, "# card\n")


@pytest.fixture
def copied(published, tmp_path):
    return shutil.copytree(published, tmp_path / "net" / "1")


def test_a_whole_version_is_in_order(published):
    lines = list(check(published))
    assert "files are as they were published" in lines[0]
    assert lines[1:] == [
        "SavedModel, signature serving_default: answers 2 examples as the model did",
        "SavedModel, signature words: answers 1 examples as the model did",
        "model.tflite: answers 2 examples as the model did",
        "model.keras: loads, 8 parameters",
    ]


@pytest.mark.parametrize("name", ["model.tflite", "README.md", "variables/variables.index"])
def test_a_changed_file_is_named(copied, name):
    with (copied / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(PublishError, match=f"{name} is not what was published"):
        list(check(copied))


def test_a_missing_file_is_named(copied):
    (copied / "model.keras").unlink()
    with pytest.raises(PublishError, match=r"model\.keras is missing"):
        list(check(copied))


@pytest.mark.parametrize("side", ["signatures", "litert"])
def test_other_answers_are_told_without_checksums_too(copied, side):
    (copied / "assets.extra" / "checksums.json").unlink()
    path = copied / "assets.extra" / "examples.json"
    kept = json.loads(path.read_text())
    rows = kept["litert"] if side == "litert" else kept["signatures"]["serving_default"]
    rows[0]["outputs"] = rows[1]["outputs"]
    path.write_text(json.dumps(kept))
    with pytest.raises(PublishError, match="y has shape"):
        list(check(copied))


def test_what_cannot_be_loaded_is_one_line(copied):
    (copied / "assets.extra" / "checksums.json").unlink()
    (copied / "saved_model.pb").write_bytes(b"broken")
    with pytest.raises(PublishError, match="the SavedModel cannot be loaded") as caught:
        list(check(copied))
    assert "\n" not in caught.value.message


def test_a_saved_model_of_plain_keras_is_checked_too(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.export(tmp_path / "1", verbose=False)
    assert list(check(tmp_path / "1")) == [
        "checksums: none were kept",
        "SavedModel, signature serve: loads",
        "SavedModel, signature serving_default: loads",
    ]


def test_classes_that_are_not_known_here_are_no_damage(tmp_path):
    @keras.saving.register_keras_serializable("gone")
    class Mine(keras.layers.Layer):
        def call(self, x):
            return x

    x = keras.Input((3,), name="x")
    model = keras.Model(x, Mine()(x))
    version = publish(model, tmp_path / "net", examples=np.ones((1, 3), "float32"))
    keras.saving.get_custom_objects().pop("gone>Mine")
    del Mine, model
    assert "model.keras: not loaded, for it has classes that are not known here" in check(version)


def test_a_models_folder_names_all_its_versions(published):
    assert found_in(published) == [published]
    assert found_in(published.parent) == [published]


@pytest.mark.parametrize(
    ("name", "said"), [("none", "no such folder"), ("file", "no folder"), (".", "no version")]
)
def test_what_is_no_version_is_told(tmp_path, name, said):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=said):
        found_in(tmp_path / name)
