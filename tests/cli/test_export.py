"""`dlrecipes export`: new versions in other formats, measured and compared."""

import json

import pytest


@pytest.mark.slow
def test_smaller_files_are_measured_and_told(dlrecipes, published_slots):
    kinds = ("float16", "dynamic", "int8")
    arguments = ["--models-dir", published_slots]
    for kind in kinds:
        arguments += ["--quantize", kind]
    answer = dlrecipes("export", "slot_filling", *arguments)
    assert answer.code == 0, answer.err
    new = published_slots / "slot_filling" / "2"
    assert f"Published  {new}" in answer.out
    told = json.loads((new / "assets.extra" / "litert.json").read_text())
    assert list(told)[:3] == ["model.tflite", "model.float16.tflite", "model.dynamic.tflite"]
    for name, one in told.items():
        assert (new / name).stat().st_size == one["bytes"]
        assert 0 <= one["span_f1"] <= 1
    # Of so small a network the graph is most of the file; weights alone are halved.
    assert told["model.float16.tflite"]["bytes"] < told["model.tflite"]["bytes"]
    card = (new / "README.md").read_text()
    assert "model.dynamic.tflite" in card
    # A network of one epoch may lose too much by 8 bits: that is told, too.
    assert "model.int8.tflite" in card
    assert ("model.int8.tflite is left out" in card) == ("model.int8.tflite" not in told)
    # The metric of LiteRT is the task's: that of the card, on the same sentences.
    kept = json.loads((new / "assets.extra" / "metrics.json").read_text())
    assert told["model.tflite"]["span_f1"] == pytest.approx(kept["test"]["span_f1"], abs=1e-9)


@pytest.mark.slow
def test_what_onnx_cannot_have_publishes_nothing(dlrecipes, published_slots):
    # Viterbi's loop is what tf2onnx does not know.
    arguments = ["--models-dir", published_slots, "--quantize", "none", "--format", "onnx"]
    answer = dlrecipes("export", "slot_filling", *arguments)
    assert answer.code == 1
    assert answer.err.startswith("Error: model.onnx: tf2onnx cannot convert this model: ")
    assert [path.name for path in (published_slots / "slot_filling").iterdir()] == ["1"]


def test_none_goes_with_no_other_format(dlrecipes):
    answer = dlrecipes("export", "slot_filling", "--quantize", "none", "--quantize", "int8")
    assert answer.code == 2
    assert "--quantize none goes with no other format" in answer.err


def test_what_was_not_published_is_one_line(dlrecipes, tmp_path):
    answer = dlrecipes("export", "slot_filling", "--models-dir", tmp_path)
    assert answer.code == 2
    assert "no model is published there" in answer.err
