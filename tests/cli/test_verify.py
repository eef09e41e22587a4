"""`dlrecipes verify`: its output and exit codes."""

import importlib.util
import shutil

import keras
import numpy as np
import pytest

from dlrecipes.export import checksums, publish, version_checks


@pytest.fixture
def version(tmp_path):
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, name="y")])
    return publish(model, tmp_path / "net", examples=np.ones((1, 2), "float32"))


def test_a_version_is_ok_until_it_is_changed(dlrecipes, version, tmp_path):
    # An empty folder and a damaged version do not end the checks of the versions after them.
    empty, damaged, added = tmp_path / "empty", tmp_path / "damaged" / "1", tmp_path / "added" / "1"
    empty.mkdir()
    shutil.copytree(version, damaged)
    (damaged / "model.tflite").write_bytes(b"damaged")
    checksums.write(damaged)
    shutil.copytree(version, added)
    (added / "evil.py").write_text("")
    answer = dlrecipes("verify", empty, damaged, version, added)
    assert answer.code == 1
    assert answer.out.splitlines()[0] == f"{version}: ok"
    errors = answer.err.splitlines()
    assert f"{empty}: there are no versions in this folder" in errors[0]
    assert f"{damaged}: model.tflite: LiteRT cannot load it" in errors[1]
    assert f"{added}: evil.py: added after the version was published" in errors[2]


def test_without_tensorflow_no_version_is_called_damaged(dlrecipes, tmp_path, monkeypatch):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorflow" else find_spec(name)
    )
    answer = dlrecipes("verify", tmp_path)
    assert answer.code == 1
    assert answer.err.splitlines()[0] == "Error: tensorflow is not installed."


@pytest.mark.parametrize(("error", "code"), [("", 0), ("it is damaged.", 1)])
def test_the_exit_code_is_0_only_if_all_versions_are_ok(
    dlrecipes, version, monkeypatch, error, code
):
    # The other test has results of a process.
    results = [
        version_checks.Result(version, ["a line"]),
        version_checks.Result(version, [], error),
    ]
    monkeypatch.setattr(version_checks, "check_versions", lambda versions: iter(results))
    answer = dlrecipes("verify", version, version)
    assert answer.code == code
    assert answer.out.startswith(f"{version}: ok\n  a line\n")


def test_a_missing_folder_is_a_one_line_error(dlrecipes):
    answer = dlrecipes("verify", "none")
    assert answer.code == 2
    assert "none: there is no such folder" in answer.err
