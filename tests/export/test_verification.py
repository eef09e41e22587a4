"""Verification of published versions: intact ones pass, and errors name the changed file."""

import json

import keras
import numpy as np
import pytest

from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import publish
from dlrecipes.export.verification import check, found_in


def test_an_intact_version_passes(published):
    lines = list(check(published))
    assert lines[0].endswith(" files are unchanged")
    assert lines[1:] == [
        "SavedModel, signature serving_default: matches the model on 2 examples",
        "SavedModel, signature words: matches the model on 1 examples",
        "model.tflite: matches the model on 2 examples",
        "model.keras: loads, 8 parameters",
    ]


@pytest.mark.parametrize("name", ["model.tflite", "README.md", "variables/variables.index"])
def test_a_changed_file_is_named(copied, name):
    with (copied / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(PublishError, match=f"{name} was changed after it was published"):
        list(check(copied))


def test_a_missing_file_is_named(copied):
    (copied / "model.keras").unlink()
    with pytest.raises(PublishError, match=r"model\.keras is missing"):
        list(check(copied))


@pytest.mark.parametrize("side", ["signatures", "litert"])
def test_changed_outputs_are_detected_without_checksums(copied, side):
    (copied / "assets.extra" / "checksums.json").unlink()
    path = copied / "assets.extra" / "examples.json"
    references = json.loads(path.read_text())
    litert, signatures = references["litert"], references["signatures"]
    rows = litert if side == "litert" else signatures["serving_default"]
    rows[0]["outputs"] = rows[1]["outputs"]
    path.write_text(json.dumps(references))
    with pytest.raises(PublishError, match="y has shape"):
        list(check(copied))


def test_a_broken_saved_model_is_a_one_line_error(copied):
    (copied / "assets.extra" / "checksums.json").unlink()
    (copied / "saved_model.pb").write_bytes(b"broken")
    with pytest.raises(PublishError, match="the SavedModel cannot be loaded") as caught:
        list(check(copied))
    assert "\n" not in caught.value.message


def test_a_saved_model_exported_by_keras_only_has_to_load(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.export(tmp_path / "1", verbose=False)
    assert list(check(tmp_path / "1")) == [
        "checksums: none were stored",
        "SavedModel, signature serve: loads",
        "SavedModel, signature serving_default: loads",
    ]


def test_a_keras_file_with_unregistered_classes_is_not_an_error(tmp_path):
    @keras.saving.register_keras_serializable("gone")
    class Mine(keras.layers.Layer):
        def call(self, x):
            return x

    x = keras.Input((3,), name="x")
    model = keras.Model(x, Mine()(x))
    version = publish(model, tmp_path / "net", examples=np.ones((1, 3), "float32"))
    keras.saving.get_custom_objects().pop("gone>Mine")
    del Mine, model
    assert "model.keras: not loaded, because it has classes that are not registered" in check(
        version
    )


def test_the_folder_of_a_model_names_all_its_versions(published):
    assert found_in(published) == [published]
    assert found_in(published.parent) == [published]


@pytest.mark.parametrize(
    ("name", "message"),
    [("none", "no such folder"), ("file", "not a folder"), (".", "there are no versions")],
)
def test_a_path_without_versions_is_an_error(tmp_path, name, message):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=message):
        found_in(tmp_path / name)
