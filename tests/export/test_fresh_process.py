"""The fresh process that checks what is to be published."""

import os
import signal
from pathlib import Path

import keras
import numpy as np
import pytest

from dlrecipes import export
from dlrecipes.errors import PublishError
from dlrecipes.export import fresh_process
from dlrecipes.export.fresh_process import VerificationProcess, weights_of
from dlrecipes.export.litert import concrete_function
from dlrecipes.export.reference_outputs import record
from dlrecipes.export.signatures import exports_from_model
from dlrecipes.export.version import ModelVersion


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(fresh_process, "VerificationProcess", VerificationProcess)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2, name="y")])


@pytest.fixture(scope="module")
def version(model, tmp_path_factory):
    return export.publish(model, tmp_path_factory.mktemp("net"), examples=np.eye(3, dtype="f"))


def wanted_of(model, shown=None):
    """Returns what a model answers; of another model's examples where `shown` is given."""
    exports = exports_from_model(model, np.eye(3, dtype="f"))
    endpoint = exports.signatures["serving_default"]
    found = record(endpoint, concrete_function(endpoint))
    return {"signatures": {"serving_default": found}, "litert": found, "weights": weights_of(model)}


def test_what_was_published_agrees(model, version):
    with VerificationProcess() as process:
        process.check(version, wanted_of(model))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("signatures", "SavedModel, signature serving_default: y differs"),
        *(
            pytest.param(part, said, marks=pytest.mark.slow)
            for part, said in (
                ("litert", "model.tflite: y differs"),
                ("weights", "model.keras: its weights are not the model's"),
            )
        ),
    ],
)
def test_another_model_is_told_by_the_artefact(model, version, part, said):
    other = keras.models.clone_model(model)
    other.set_weights([weight + 1 for weight in model.get_weights()])
    with VerificationProcess() as process, pytest.raises(PublishError, match=said):
        process.check(version, {**wanted_of(model), part: wanted_of(other)[part]})


def test_a_process_that_is_killed_is_one_line(model, version):
    with VerificationProcess() as process:
        os.kill(process._child.pid, signal.SIGKILL)
        process._child.wait()
        with pytest.raises(PublishError, match="ended with code -9"):
            process.check(version, wanted_of(model))


def test_nothing_is_left_of_a_process_that_was_not_asked():
    with VerificationProcess() as process:
        child, place = process._child, process._place.name
    assert child.poll() is not None
    assert not Path(place).exists()


def test_a_killed_process_publishes_nothing(model, tmp_path, monkeypatch):
    def killed(process, folder, wanted):
        os.kill(process._child.pid, signal.SIGKILL)
        VerificationProcess.check(process, folder, wanted)

    class Killed(VerificationProcess):
        check = killed

    monkeypatch.setattr(fresh_process, "VerificationProcess", Killed)
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
    assert ModelVersion(version).keras_model().count_params() == 8


def test_the_module_is_what_children_start():
    assert fresh_process.main.__module__ == "dlrecipes.export.fresh_process"
