"""Formats are added to a version, or removed, while its other files stay the same files."""

import dataclasses
import json
import os
import signal

import keras
import numpy as np
import pytest

from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import change, new_version, publish
from dlrecipes.export.signatures import Quantized, exports_from_model
from dlrecipes.export.verification import MAX_EXAMPLES, check

EXAMPLES = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
KEPT = ("saved_model.pb", "model.keras", "model.tflite", "variables/variables.index")


def network():
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2, name="y")])


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A published version; tests make the next ones, and must not change it."""
    return publish(network(), tmp_path_factory.mktemp("models") / "net", examples=EXAMPLES)


def exports(scores=(), drop=0.1):
    """Returns a model with exports whose smaller files have these scores in turn."""
    model, left = network(), list(scores)
    quantized = Quantized(
        (), [(EXAMPLES,)], "accuracy", lambda lite: left.pop(0) if left else 1.0, drop
    )
    return model, dataclasses.replace(exports_from_model(model, EXAMPLES), quantized=quantized)


def inodes(folder):
    return {name: (folder / name).stat().st_ino for name in KEPT}


def card(folder):
    return (folder / "README.md").read_text()


def changed(folder, load=exports, **options):
    return change.apply(folder, change.plan(folder, **options), load)


def test_smaller_files_are_added_without_writing_the_others_again(first):
    new = changed(first, formats=["float16"])
    assert inodes(new) == inodes(first)
    lines = list(check(new))
    assert f"model.float16.tflite: matches the model on {MAX_EXAMPLES} examples" in lines
    rows = change.measurements(new)
    assert list(rows) == ["model.tflite", "model.float16.tflite"]
    assert all(row["accuracy"] == 1 for row in rows.values())
    assert "`model.float16.tflite` is called in the same way." in card(new)
    assert "| `model.float16.tflite` | float16 |" in card(new)
    # The earlier version is as it was.
    list(check(first))
    assert "float16" not in card(first)
    # A second format keeps the first one, whose metric is not measured again.
    both = changed(new, lambda: exports([0.5], drop=1), formats=["dynamic", "float16"])
    rows = change.measurements(both)
    assert {name: row["accuracy"] for name, row in rows.items()} == {
        "model.tflite": 1,
        "model.float16.tflite": 1,
        "model.dynamic.tflite": 0.5,
    }
    list(check(both))
    fewer = changed(both, None, formats=[])
    list(check(fewer))
    assert [path.name for path in fewer.glob("*.tflite")] == ["model.tflite"]
    assert list(change.measurements(fewer)) == ["model.tflite"]
    assert "float16" not in card(fewer) and "dynamic" not in card(fewer)
    assert inodes(fewer) == inodes(first)


def test_onnx_is_added_without_the_model_and_its_data(first):
    pytest.importorskip("tf2onnx")
    new = changed(first, None, onnx=True)
    assert inodes(new) == inodes(first)
    pytest.importorskip("onnxruntime")
    # As many examples as a version stores.
    assert f"model.onnx: matches the model on {MAX_EXAMPLES} examples" in list(check(new))
    assert "`model.onnx` has the inputs and outputs of `model.tflite`:" in card(new)
    assert card(new).count("onnxruntime.InferenceSession") == 1
    # The usage of ONNX stays when LiteRT is left out.
    without = changed(new, None, litert=False)
    list(check(without))
    assert not list(without.glob("*.tflite"))
    assert "There is no `model.tflite`. It was not requested." in card(without)
    assert card(without).count("onnxruntime.InferenceSession") == 1
    assert "litert" not in card(without).split("---")[1]


def test_litert_files_are_made_again_from_the_keras_model(first):
    without = changed(first, None, litert=False)
    assert "| `model.tflite` |" not in card(without)
    again = changed(without, formats=["dynamic"])
    list(check(again))
    assert {path.name for path in again.glob("*.tflite")} == {
        "model.tflite",
        "model.dynamic.tflite",
    }
    assert "| `model.tflite` |" in card(again)
    assert "litert" in card(again).split("---")[1]


def test_a_file_that_loses_too_much_is_not_published(first):
    before = sorted(first.parent.iterdir())
    with pytest.raises(
        PublishError, match=r"model\.int8\.tflite is left out: its accuracy is 0\.5"
    ):
        changed(first, lambda: exports([1.0, 0.5]), formats=["int8"])
    assert sorted(first.parent.iterdir()) == before
    new = changed(first, lambda: exports([1.0, 0.5, 1.0]), formats=["int8", "float16"])
    assert "model.float16.tflite is left out" in card(new)
    later = changed(new, formats=["dynamic"])
    assert "model.float16.tflite is left out" in card(later)


def test_a_disk_without_links_gets_copies(first, monkeypatch):
    def no_link(*paths):
        raise OSError("no links here")

    monkeypatch.setattr(new_version.os, "link", no_link)
    new = changed(first, None, litert=False)
    assert not set(inodes_without_litert(new)) & set(inodes_without_litert(first))
    list(check(new))


def inodes_without_litert(folder):
    return [(folder / name).stat().st_ino for name in KEPT if "tflite" not in name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_killed_in_the_middle_leaves_no_version(first, monkeypatch):
    before = {path.name for path in first.parent.iterdir()}
    monkeypatch.setattr(change, "fsync_tree", lambda folder: os.kill(os.getpid(), signal.SIGKILL))
    child = os.fork()
    if child == 0:
        changed(first, None, litert=False)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    left = {path.name for path in first.parent.iterdir()} - before
    # A hidden folder, which the next day's publishing deletes.
    assert all(name.startswith(".publishing-") for name in left)
    list(check(first))


def test_what_is_there_already_is_one_line(first):
    with pytest.raises(UsageError, match=r"nothing to change; its formats are model.tflite\."):
        change.plan(first)
    with pytest.raises(UsageError, match="nothing to change"):
        change.plan(first, formats=[])


def test_a_damaged_version_is_not_the_start_of_another(first, tmp_path):
    copy = tmp_path / "net" / "1"
    copy.mkdir(parents=True)
    new_version.link_files(first, copy)
    new_version.replace_file(copy / "model.keras", "damaged")
    with pytest.raises(PublishError, match=r"model.keras was changed after it was published"):
        change.plan(copy, onnx=True)
    with pytest.raises(UsageError, match="not a version's number"):
        change.plan(copy.rename(tmp_path / "net" / "mine"), onnx=True)


def test_the_smaller_files_of_a_model_without_a_metric_are_refused(first):
    model, described = exports()
    described = dataclasses.replace(described, quantized=None)
    with pytest.raises(UsageError, match="does not say how to measure smaller LiteRT files"):
        changed(first, lambda: (model, described), formats=["float16"])
    assert json.loads((first / "assets.extra" / "checksums.json").read_text())
