"""LiteRT's interpreter prints nothing, wherever it is used."""

import os
from pathlib import Path

import pytest

from dlrecipes._utils.quiet import suppress_stderr
from dlrecipes.export.litert_interpreter import open_interpreter

ROOT = Path(__file__).resolve().parents[2]


def test_every_interpreter_is_opened_without_its_messages():
    files = [path for folder in ("dlrecipes", "recipes") for path in (ROOT / folder).rglob("*.py")]
    own = [path.name for path in files if "Interpreter(model_path=str(" in path.read_text("utf-8")]
    assert own == ["litert_interpreter.py"]


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"no model")
    with pytest.raises(ValueError, match="model"):
        open_interpreter(tmp_path / "model.tflite")


def test_standard_error_returns_when_the_last_thread_leaves(capfd):
    one, other = suppress_stderr(), suppress_stderr()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    os.write(2, b"hidden")
    other.__exit__(None, None, None)
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"
