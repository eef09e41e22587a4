"""Verification of published versions: intact ones pass, and errors name the changed file."""

import io
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import checksums, publish, verification
from dlrecipes.export.reference_outputs import NOT_COMPARED, inputs
from dlrecipes.export.verification import check, small_references
from dlrecipes.export.version_checks import _check, _send, check_versions, versions_in

# Python imports this as `sitecustomize`. It stands for a C++ library that crashes on a file.
# A process that is asked for this folder ends as a library that crashes would end it. It does so
# before TensorFlow is loaded, which takes seconds.
CRASH = """
import os, sys

def crash(event, args):
    if event == "import" and args[0] == "tensorflow" and {folder!r} in sys.argv[1]:
        os.abort()

sys.addaudithook(crash)
"""


def test_an_intact_version_passes(published):
    lines = list(check(published))
    assert lines[0].endswith(" files are unchanged, and there are no others")
    assert lines[1:] == [
        "SavedModel, signature serving_default: matches the model on 2 examples",
        "SavedModel, signature words: matches the model on 1 example",
        "model.tflite: matches the model on 2 examples",
        "model.keras: has the SavedModel's weights (8 parameters), matches the model on 2 examples",
    ]


@pytest.mark.parametrize("name", ["model.tflite", "README.md", "variables/variables.index"])
def test_a_changed_file_is_named(copied, name):
    with (copied / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(PublishError, match=f"{name} was changed after it was published"):
        list(check(copied))


def test_each_file_that_changed_is_named(copied):
    for name in ("model.tflite", "README.md"):
        with (copied / name).open("ab") as file:
            file.write(b"x")
    (copied / "model.keras").unlink()
    (copied / "evil.py").write_text("x")
    with pytest.raises(PublishError) as caught:
        list(check(copied))
    assert str(caught.value.message) == (
        f"{copied}: model.keras is missing; "
        "README.md, model.tflite were changed after they were published; "
        "evil.py: added after the version was published."
    )


def test_a_missing_file_is_named(copied):
    (copied / "model.keras").unlink()
    with pytest.raises(PublishError, match=r"model\.keras is missing"):
        list(check(copied))


@pytest.mark.parametrize(
    "name", ["evil.py", "other.tflite", ".hidden", "assets/words.txt", "variables/checksums.json"]
)
def test_an_added_file_is_named(copied, name):
    (copied / name).parent.mkdir(exist_ok=True)
    (copied / name).write_text("x")
    with pytest.raises(PublishError, match=f"{name}: added after the version was published"):
        list(check(copied))


def test_added_files_that_are_not_named_are_counted(copied):
    for number in range(5):
        (copied / f"added{number}.py").write_text("x")
    with pytest.raises(PublishError) as caught:
        list(check(copied))
    assert caught.value.message == (
        f"{copied}: added0.py, added1.py, added2.py and 2 more: added after the version was "
        "published."
    )


def test_a_named_pipe_or_a_linked_folder_is_refused_without_reading_it(copied, tmp_path):
    (copied / "elsewhere").symlink_to(tmp_path)
    with pytest.raises(PublishError, match="elsewhere is not a regular file"):
        list(check(copied))
    (copied / "elsewhere").unlink()
    os.mkfifo(copied / "pipe")
    with pytest.raises(PublishError, match="pipe is not a regular file"):
        list(check(copied))


def test_a_version_that_lost_its_checksums_is_not_in_order(copied):
    (copied / "assets.extra" / "checksums.json").unlink()
    with pytest.raises(PublishError, match=r"checksums\.json is missing"):
        list(check(copied))


@pytest.mark.parametrize("content", ["", "{}", "[]", "{", "null"])
def test_a_list_of_checksums_that_lists_nothing_is_not_in_order(copied, content):
    (copied / "assets.extra" / "checksums.json").write_text(content)
    with pytest.raises(PublishError, match=r"checksums\.json: (this is not JSON|expected)"):
        list(check(copied))


def test_a_keras_file_with_other_weights_is_detected(copied):
    model = keras.saving.load_model(copied / "model.keras")
    kernel = model.get_layer("y").kernel
    kernel.assign(kernel + 1e-3)
    model.save(copied / "model.keras")
    checksums.write(copied)
    with pytest.raises(PublishError, match=r"model\.keras: the weight y/kernel is not the Saved"):
        list(check(copied))


def test_a_keras_file_with_the_same_weights_that_answers_differently_is_detected(copied):
    model = keras.saving.load_model(copied / "model.keras")
    model.get_layer("y").activation = keras.activations.tanh
    model.save(copied / "model.keras")
    checksums.write(copied)
    with pytest.raises(PublishError, match=r"model\.keras: 0 differs from the model"):
        list(check(copied))


@pytest.mark.parametrize("content", [b"", b"broken", "half"])
def test_a_damaged_litert_file_is_named(copied, content):
    path = copied / "model.tflite"
    path.write_bytes(path.read_bytes()[:1200] if content == "half" else content)
    checksums.write(copied)
    with pytest.raises(PublishError, match=r"model\.tflite: (LiteRT cannot load it|fails on its)"):
        list(check(copied))


@pytest.mark.parametrize("side", ["signatures", "litert"])
def test_changed_outputs_are_detected_with_new_checksums(copied, side):
    path = copied / "assets.extra" / "examples.json"
    references = json.loads(path.read_text())
    litert, signatures = references["litert"], references["signatures"]
    rows = litert if side == "litert" else signatures["serving_default"]
    rows[0]["outputs"] = rows[1]["outputs"]
    path.write_text(json.dumps(references))
    checksums.write(copied)
    with pytest.raises(PublishError, match="y has shape"):
        list(check(copied))


@pytest.mark.parametrize("content", ["{}", '{"signatures": {}}', None])
def test_a_version_that_lost_its_examples_is_not_in_order(copied, content):
    path = copied / "assets.extra" / "examples.json"
    path.unlink()
    if content:
        path.write_text(content)
    checksums.write(copied)
    with pytest.raises(PublishError, match=r"examples\.json is missing or empty"):
        list(check(copied))


@pytest.mark.parametrize("content", ['{"signatures": 5}', '{"litert": "x"}', "[]", "[" * 99_999])
def test_examples_of_another_structure_are_not_in_order(copied, content):
    (copied / "assets.extra" / "examples.json").write_text(content)
    checksums.write(copied)
    with pytest.raises(PublishError, match=r"examples\.json: (expected|this is not JSON)"):
        list(check(copied))


@pytest.mark.parametrize("name", ["model.tflite", "model.keras"])
def test_a_file_that_was_removed_is_named_with_new_checksums(copied, name):
    (copied / name).unlink()
    checksums.write(copied)
    with pytest.raises(PublishError, match=f"{name} is missing"):
        list(check(copied))


@pytest.mark.parametrize("part", ["litert", "formats"])
def test_a_litert_file_without_outputs_is_not_in_order_with_new_checksums(copied, part):
    name = "model.tflite" if part == "litert" else "model.float16.tflite"
    shutil.copy(copied / "model.tflite", copied / "other")
    (copied / "other").rename(copied / name)
    path = copied / "assets.extra" / "examples.json"
    references = json.loads(path.read_text())
    references.pop(part)
    path.write_text(json.dumps(references))
    checksums.write(copied)
    with pytest.raises(PublishError, match=rf"{name}: .*examples\.json has no outputs"):
        list(check(copied))


def test_a_signature_without_outputs_is_not_in_order(copied):
    path = copied / "assets.extra" / "examples.json"
    references = json.loads(path.read_text())
    references["signatures"].pop("words")
    path.write_text(json.dumps(references))
    checksums.write(copied)
    with pytest.raises(PublishError, match="additional signature words"):
        list(check(copied))


def test_a_signature_with_large_examples_only_keeps_one_row_of_one(
    model, make_exports, monkeypatch
):
    monkeypatch.setattr(verification, "MAX_CHARACTERS", 1)
    for signature in make_exports(model).signatures.values():
        (reference,) = small_references(signature, signature.traced)
        assert [len(array) for array in inputs(reference).values()] == [1]


def test_an_older_version_without_some_outputs_passes_and_they_are_named(copied):
    path = copied / "assets.extra" / "examples.json"
    references = json.loads(path.read_text())
    references["signatures"]["words"] = references["litert"] = []
    references["keras"] = None
    path.write_text(json.dumps(references))
    checksums.write(copied)
    assert list(check(copied))[1:] == [
        "SavedModel, signature serving_default: matches the model on 2 examples",
        f"SavedModel, signature words: loads; {NOT_COMPARED}",
        f"model.tflite: loads; {NOT_COMPARED}",
        f"model.keras: has the SavedModel's weights (8 parameters); {NOT_COMPARED}",
    ]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs an unreadable file")
@pytest.mark.parametrize("name", ["model.tflite", "assets.extra/checksums.json"])
def test_a_file_that_cannot_be_read_is_named(copied, name, monkeypatch):
    (copied / name).unlink()
    # Reading it fails, for the superuser as well.
    (copied / name).symlink_to("/proc/self/mem")
    with pytest.raises(PublishError, match=f"{name}: Input/output error"):
        list(check(copied))


def test_a_name_with_line_breaks_is_reported_on_one_line(copied):
    (copied / "a\nb: ok\x1b[2K").write_text("")
    events = io.StringIO()
    _send(events, error=_check(copied, events))
    (event,) = map(json.loads, events.getvalue().splitlines())
    assert r"a\nb: ok\x1b[2K: added after" in event["error"]


def test_a_broken_saved_model_is_a_one_line_error(copied):
    (copied / "saved_model.pb").write_bytes(b"broken")
    checksums.write(copied)
    with pytest.raises(PublishError, match="the SavedModel cannot be loaded") as caught:
        list(check(copied))
    assert "\n" not in caught.value.message


def test_a_saved_model_exported_by_keras_only_has_to_load(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.export(tmp_path / "1", verbose=False)
    assert list(check(tmp_path / "1")) == [
        "checksums: none were stored",
        f"SavedModel, signature serve: loads; {NOT_COMPARED}",
        f"SavedModel, signature serving_default: loads; {NOT_COMPARED}",
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
    assert versions_in(published) == [published]
    assert versions_in(published.parent) == [published]


@pytest.mark.parametrize(
    ("name", "message"),
    [("none", "no such folder"), ("file", "not a folder"), (".", "there are no versions")],
)
def test_a_path_without_versions_is_an_error(tmp_path, name, message):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=message):
        versions_in(tmp_path / name)


def test_a_version_that_crashes_its_library_does_not_end_the_others_checks(
    published, tmp_path, monkeypatch
):
    first = shutil.copytree(published, tmp_path / "first" / "1")
    last = shutil.copytree(published, tmp_path / "last" / "1")
    (tmp_path / "sitecustomize.py").write_text(CRASH.format(folder=str(first)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    results = list(check_versions([first, last]))
    assert [result.folder for result in results] == [first, last]
    assert "crashes its library (SIGABRT)" in results[0].error
    assert results[1].error == "" and len(results[1].lines) == 5
