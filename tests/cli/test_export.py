"""`dlrecipes export`: new versions in other formats, measured and verified."""

import json

import pytest


@pytest.mark.slow
def test_smaller_files_are_measured_and_listed(dlrecipes, published_slots):
    kinds = ("float16", "dynamic", "int8")
    arguments = ["--models-dir", published_slots]
    for kind in kinds:
        arguments += ["--quantize", kind]
    answer = dlrecipes("export", "slot_filling", *arguments)
    assert answer.code == 0, answer.err
    new = published_slots / "slot_filling" / "2"
    assert f"Published  {new}" in answer.out
    rows = json.loads((new / "assets.extra" / "litert.json").read_text())
    assert list(rows)[:3] == ["model.tflite", "model.float16.tflite", "model.dynamic.tflite"]
    for name, row in rows.items():
        assert (new / name).stat().st_size == row["bytes"]
        assert 0 <= row["span_f1"] <= 1
    # Most of the file of such a small network is the graph; only the weights are halved.
    assert rows["model.float16.tflite"]["bytes"] < rows["model.tflite"]["bytes"]
    card = (new / "README.md").read_text()
    assert "model.dynamic.tflite" in card
    # After one epoch, int8 may lose too much; the card says so.
    assert "model.int8.tflite" in card
    assert ("model.int8.tflite is left out" in card) == ("model.int8.tflite" not in rows)
    # The metric of LiteRT is the task's, on the same sentences.
    metrics = json.loads((new / "assets.extra" / "metrics.json").read_text())
    assert rows["model.tflite"]["span_f1"] == pytest.approx(metrics["test"]["span_f1"], abs=1e-9)


@pytest.mark.slow
def test_onnx_is_added_to_a_tagger_without_a_recurrent_layer(dlrecipes, published_slots):
    arguments = ["--models-dir", published_slots, "--quantize", "none", "--format", "onnx"]
    answer = dlrecipes("export", "slot_filling", *arguments)
    assert answer.code == 0, answer.err
    versions = published_slots / "slot_filling"
    assert sorted(path.name for path in versions.iterdir()) == ["1", "2"]
    assert (versions / "2" / "model.onnx").stat().st_size > 0


def test_none_cannot_be_combined_with_other_formats(dlrecipes):
    answer = dlrecipes("export", "slot_filling", "--quantize", "none", "--quantize", "int8")
    assert answer.code == 2
    assert "--quantize none cannot be combined with other formats" in answer.err


def test_options_without_a_change_are_a_one_line_error(dlrecipes, published_slots):
    answer = dlrecipes("export", "slot_filling", "--models-dir", published_slots)
    assert answer.code == 2
    assert "nothing to change; its formats are model.tflite" in answer.err


def test_an_unpublished_recipe_is_a_one_line_error(dlrecipes, tmp_path):
    answer = dlrecipes("export", "slot_filling", "--models-dir", tmp_path)
    assert answer.code == 2
    assert "no model is published there" in answer.err


def test_leaving_out_litert_cannot_be_combined_with_its_formats(dlrecipes):
    answer = dlrecipes("export", "slot_filling", "--no-litert", "--quantize", "int8")
    assert answer.code == 2
    assert "--no-litert cannot be combined with --quantize int8" in answer.err


@pytest.mark.slow
def test_a_version_without_litert_is_published_and_used(dlrecipes, published_slots):
    where = ["--models-dir", published_slots]
    answer = dlrecipes("export", "slot_filling", *where, "--no-litert")
    assert answer.code == 0, answer.err
    new = published_slots / "slot_filling" / "2"
    assert not list(new.glob("*.tflite"))
    card = (new / "README.md").read_text()
    assert "There is no `model.tflite`. It was not requested." in card
    assert "| `model.tflite` |" not in card
    assert dlrecipes("verify", new).code == 0
    answer = dlrecipes("predict", "slot_filling", *where, "leave Beijing on November 2nd")
    assert answer.code == 0, answer.err
    # A version's LiteRT files are made from its Keras model, so that they can be added again.
    answer = dlrecipes("export", "slot_filling", *where, "--quantize", "dynamic")
    assert answer.code == 0, answer.err
    assert (published_slots / "slot_filling" / "3" / "model.tflite").is_file()
