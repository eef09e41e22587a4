"""The fresh process that verifies a version before it is published."""

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
from dlrecipes.export.version import ModelVersion


@pytest.fixture
def real_process(monkeypatch):
    """Verifies in a process of its own, as outside of tests."""
    monkeypatch.setattr(fresh_process, "VerificationProcess", VerificationProcess)


@pytest.fixture(scope="module")
def references(make_exports):
    """Returns the references of a model, as `publish` makes them."""

    def call(model):
        signatures = {
            name: record(signature, concrete_function(signature))
            for name, signature in make_exports(model).signatures.items()
        }
        litert = signatures["serving_default"]
        return {"signatures": signatures, "litert": litert, "weights": weights_of(model)}

    return call


# Slow because it needs a process; the mismatch below needs one as well.
@pytest.mark.slow
def test_a_version_that_matches_its_model_is_published(model, tmp_path, real_process):
    assert weights_of(model) is not None
    version = export.publish(model, tmp_path / "net", examples=np.eye(3, dtype="f"))
    assert version == tmp_path / "net" / "1"


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("signatures", "SavedModel, signature serving_default: (y|total) differs"),
        *(
            pytest.param(part, message, marks=pytest.mark.slow)
            for part, message in (
                ("litert", "model.tflite: (y|total) differs"),
                ("weights", "model.keras: its weights differ from the model's"),
            )
        ),
    ],
)
def test_a_mismatch_names_the_artefact(model, published, references, part, message):
    other = keras.models.clone_model(model)
    other.set_weights([weight + 1 for weight in model.get_weights()])
    expected = {**references(model), part: references(other)[part]}
    with VerificationProcess() as process, pytest.raises(PublishError, match=message):
        process.check(published, expected)


def test_a_killed_process_is_a_one_line_error(model, published, references):
    with VerificationProcess() as process:
        os.kill(process._child.pid, signal.SIGKILL)
        process._child.wait()
        with pytest.raises(PublishError, match="ended with code -9"):
            process.check(published, references(model))


def test_a_process_that_is_not_used_leaves_nothing():
    with VerificationProcess() as process:
        child, folder = process._child, process._folder.name
    assert child.poll() is not None
    assert not Path(folder).exists()


def test_a_killed_process_publishes_nothing(model, tmp_path, monkeypatch):
    class Killed(VerificationProcess):
        def check(self, folder, expected):
            os.kill(self._child.pid, signal.SIGKILL)
            super().check(folder, expected)

    monkeypatch.setattr(fresh_process, "VerificationProcess", Killed)
    with pytest.raises(PublishError, match="ended with code -9"):
        export.publish(model, tmp_path / "net", examples=np.eye(3, dtype="f"))
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize("process", ["this", pytest.param("another", marks=pytest.mark.slow)])
def test_classes_defined_in_this_process_are_loaded_here(tmp_path, process, request):
    if process == "another":
        request.getfixturevalue("real_process")

    @keras.saving.register_keras_serializable("tests")
    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    x = keras.Input((3,), name="x")
    model = keras.Model(x, Doubled(name="y")(keras.layers.Dense(2)(x)))
    assert weights_of(model) is None
    version = export.publish(model, tmp_path / "net", examples=np.eye(3, dtype="f"))
    assert ModelVersion(version).keras_model().count_params() == 8


def test_child_processes_find_the_module_by_its_name():
    assert fresh_process.main.__module__ == "dlrecipes.export.fresh_process"


@pytest.mark.slow
def test_a_lambda_is_loaded_by_the_other_process_if_it_is_allowed(tmp_path, real_process):
    double = keras.layers.Lambda(lambda x: 2 * x, name="y")
    model = keras.Sequential([keras.Input((3,), name="x"), double])
    assert weights_of(model, safe=False)["safe"] is False
    version = export.publish(model, tmp_path / "net", examples=np.eye(3, dtype="f"), safe=False)
    assert version == tmp_path / "net" / "1"
