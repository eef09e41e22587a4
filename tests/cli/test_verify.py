"""`dlrecipes verify`: its output and exit codes."""

import keras
import numpy as np
import pytest

from dlrecipes.export import publish


@pytest.fixture
def version(tmp_path):
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, name="y")])
    return publish(model, tmp_path / "net", examples=np.ones((1, 2), "float32"))


def test_a_version_is_ok_until_it_is_changed(dlrecipes, version):
    answer = dlrecipes("verify", str(version))
    assert answer.code == 0
    assert answer.out.splitlines()[0] == f"{version}: ok"
    with (version / "model.tflite").open("ab") as file:
        file.write(b"x")
    answer = dlrecipes("verify", str(version))
    assert answer.code == 1
    assert "model.tflite was changed after it was published" in answer.err


def test_a_missing_folder_is_a_one_line_error(dlrecipes):
    answer = dlrecipes("verify", "none")
    assert answer.code == 2
    assert "none: there is no such folder" in answer.err
