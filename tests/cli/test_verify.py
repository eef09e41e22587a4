"""`dlrecipes verify`: its output and exit codes."""

import shutil

import keras
import numpy as np
import pytest

from dlrecipes.export import checksums, publish


@pytest.fixture
def version(tmp_path):
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, name="y")])
    return publish(model, tmp_path / "net", examples=np.ones((1, 2), "float32"))


def test_a_version_is_ok_until_it_is_changed(dlrecipes, version, tmp_path):
    answer = dlrecipes("verify", str(version))
    assert answer.code == 0
    assert answer.out.splitlines()[0] == f"{version}: ok"
    # An empty folder and a damaged version do not end the checks of the versions after them.
    empty, copy = tmp_path / "empty", shutil.copytree(version, tmp_path / "copy" / "1")
    empty.mkdir()
    (version / "model.tflite").write_bytes(b"damaged")
    checksums.write(version)
    (copy / "evil.py").write_text("")
    answer = dlrecipes("verify", str(empty), str(version), str(copy))
    assert answer.code == 1
    errors = answer.err.splitlines()
    assert f"{empty}: there are no versions in this folder" in errors[0]
    assert f"{version}: model.tflite: LiteRT cannot load it" in errors[1]
    assert f"{copy}: evil.py: added after the version was published" in errors[2]


def test_a_missing_folder_is_a_one_line_error(dlrecipes):
    answer = dlrecipes("verify", "none")
    assert answer.code == 2
    assert "none: there is no such folder" in answer.err
