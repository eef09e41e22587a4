"""The fresh process that checks what is to be published."""

import os
import signal
from pathlib import Path

import keras
import numpy as np
import pytest

from dlrecipes import checker, export
from dlrecipes.answers import answers
from dlrecipes.checker import FreshProcess, weights_of
from dlrecipes.endpoints import of_model
from dlrecipes.errors import PublishError
from dlrecipes.lite import traced
from dlrecipes.published import Published


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(checker, "FreshProcess", FreshProcess)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2, name="y")])


@pytest.fixture(scope="module")
def version(model, tmp_path_factory):
    return export.publish(model, tmp_path_factory.mktemp("net"), examples=np.eye(3, dtype="f"))


def wanted_of(model, shown=None):
    """Returns what a model answers; of another model's examples where `shown` is given."""
    exports = of_model(model, np.eye(3, dtype="f"))
    endpoint = exports.signatures["serving_default"]
    found = answers(endpoint, traced(endpoint))
    return {"signatures": {"serving_default": found}, "lite": found, "weights": weights_of(model)}


def test_what_was_published_agrees(model, version):
    with FreshProcess() as process:
        process.check(version, wanted_of(model))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("signatures", "SavedModel, signature serving_default: y differs"),
        *(
            pytest.param(part, said, marks=pytest.mark.slow)
            for part, said in (
                ("lite", "model.tflite: y differs"),
                ("weights", "model.keras: its weights are not the model's"),
            )
        ),
    ],
)
def test_another_model_is_told_by_the_artefact(model, version, part, said):
    other = keras.models.clone_model(model)
    other.set_weights([weight + 1 for weight in model.get_weights()])
    with FreshProcess() as process, pytest.raises(PublishError, match=said):
        process.check(version, {**wanted_of(model), part: wanted_of(other)[part]})


def test_a_process_that_is_killed_is_one_line(model, version):
    with FreshProcess() as process:
        os.kill(process._child.pid, signal.SIGKILL)
        process._child.wait()
        with pytest.raises(PublishError, match="ended with code -9"):
            process.check(version, wanted_of(model))


def test_nothing_is_left_of_a_process_that_was_not_asked():
    with FreshProcess() as process:
        child, place = process._child, process._place.name
    assert child.poll() is not None
    assert not Path(place).exists()


def test_a_killed_process_publishes_nothing(model, tmp_path, monkeypatch):
    def killed(process, folder, wanted):
        os.kill(process._child.pid, signal.SIGKILL)
        FreshProcess.check(process, folder, wanted)

    class Killed(FreshProcess):
        check = killed

    monkeypatch.setattr(checker, "FreshProcess", Killed)
    with pytest.raises(PublishError, match="ended with code -9"):
        export.publish(model, tmp_path / "net", examples=np.eye(3, dtype="f"))
    assert not (tmp_path / "net").exists()


def test_classes_that_only_this_process_has_are_loaded_here(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    x = keras.Input((3,), name="x")
    model = keras.Model(x, Doubled(name="y")(keras.layers.Dense(2)(x)))
    assert weights_of(model) is None
    version = export.publish(model, tmp_path / "net", examples=np.eye(3, dtype="f"))
    assert Published(version).keras_model().count_params() == 8


def test_the_module_is_what_children_start():
    assert checker.main.__module__ == "dlrecipes.checker"
