"""Every trainer keeps what `fit` promises: saving, resuming, several workers, bfloat16, NaN."""

import fcntl
import json
import os
import socket
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from trainer_contract import (
    EPOCHS,
    STEPS,
    SharedTrainer,
    all_cases,
    batches,
    fit,
    kind,
    make,
    random_states,
    state,
    train,
    with_logs,
)

import dlrecipes.training
from dlrecipes.errors import TrainingDiverged
from dlrecipes.training import StopOnDivergence, Trainer

HERE = Path(__file__).resolve().parent
CASES = all_cases()
DISTRIBUTED = [name for name, case in CASES.items() if not case.not_distributed]

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="trainers need the TensorFlow backend"
)


def each_case(names=CASES, quick=("core",), slow=()):
    """Parametrizes by cases; those that are not of the quick kinds, or named, are slow."""

    def marks(name):
        return () if kind(name) in quick and name not in slow else pytest.mark.slow

    return pytest.mark.parametrize("name", [pytest.param(n, marks=marks(n)) for n in names])


def public_trainers():
    public = {name: getattr(dlrecipes.training, name) for name in dlrecipes.training.__all__}
    classes = {n: o for n, o in public.items() if isinstance(o, type) and issubclass(o, Trainer)}
    return {name for name, trainer in classes.items() if trainer is not Trainer}


@lru_cache(maxsize=1)
def shared_trainer(name):
    return SharedTrainer(CASES[name])


@pytest.fixture
def shared(name):
    """Returns the compiled trainer that the tests of a case share."""
    return shared_trainer(name)


def start(role, folder, which, **environment):
    return subprocess.Popen(
        [sys.executable, "trainer_contract.py", role, str(folder), which],
        cwd=HERE,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(*processes):
    for process in processes:
        text, _ = process.communicate(timeout=600)
        assert process.returncode == 0, text[-3000:]


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def on_two_workers(folder, which):
    """Trains in two processes, which find each other by TF_CONFIG."""
    hosts = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    configs = [json.dumps({"cluster": {"worker": hosts}, "task": task}) for task in tasks]
    wait_for(*[start("multi_worker", folder, which, TF_CONFIG=config) for config in configs])


def on_two_devices(folder, which):
    """Trains on two logical devices of one process."""
    wait_for(start("mirrored", folder, which))


def after_kill(folder, which):
    """Trains without interruption (state 0), and with a kill from which it resumes (state 1)."""
    wait_for(start("killed_and_resumed", folder, which))


@pytest.fixture(scope="session")
def trained_elsewhere(tmp_path_factory, worker_id):
    """Returns a function that gives the state of a case after training in other processes.

    All cases of a kind are trained at once, and once for all test processes.
    """
    base = tmp_path_factory.getbasetemp()
    shared_folder = base if worker_id == "master" else base.parent

    def state_of(how, name, number=0):
        which = kind(name)
        folder = shared_folder / f"{how.__name__}-{which}"
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "begun").exists():
                (folder / "begun").touch()
                how(folder, which)
        with np.load(folder / f"{name} {number}.npz") as arrays:
            return {key: arrays[key] for key in arrays.files}

    return state_of


def assert_close(actual, expected):
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(actual[key], value, rtol=1e-5, atol=1e-5, err_msg=key)


def test_every_trainer_has_a_case():
    assert {name.split(",")[0] for name in CASES} == public_trainers()


@each_case(quick=("core", "main"))
def test_fit_logs_numbers_and_changes_every_trainable_weight(shared):
    history = shared.trained.history
    assert shared.case.loss in history
    assert all(np.isfinite(values).all() for values in history.values())
    assert {len(values) for values in history.values()} == {EPOCHS}
    assert not shared.trained.unchanged


@each_case()
def test_reloaded_trainer_continues_as_the_saved_one(shared, tmp_path):
    case, model = shared.case, shared.fresh()
    fit(model, case, epochs=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    case.after_load(again)
    for new, old in zip(random_states(again), random_states(model), strict=True):
        new.assign(old)
    for trainer in (model, again):
        fit(trainer, case, start_epoch=1, epochs=2)
    assert_close(state(again, random=False), state(model, random=False))


# Tracing its unrolled steps twice takes longest of all.
@each_case(slow=("TruncatedBPTT",))
def test_killed_and_resumed_training_ends_bit_for_bit_like_an_uninterrupted_one(
    name, trained_elsewhere
):
    whole, resumed = (trained_elsewhere(after_kill, name, number) for number in (0, 1))
    assert whole.keys() == resumed.keys()
    for key, value in whole.items():
        assert value.tobytes() == resumed[key].tobytes(), key


# `training/_engine/test_uneven_batches.py` runs a step on two workers in the quick tests.
@pytest.mark.slow
@each_case(DISTRIBUTED)
def test_two_workers_take_the_steps_of_one_process(name, shared, trained_elsewhere):
    first, second = (trained_elsewhere(on_two_workers, name, number) for number in (0, 1))
    assert_close(first, with_logs(shared.trained.state, shared.trained.history))
    assert all(np.array_equal(value, second[key]) for key, value in first.items())


# Slow because another process trains all cases; two workers do the same by other means.
@pytest.mark.slow
@each_case(DISTRIBUTED)
def test_two_devices_take_the_steps_of_one(name, shared, trained_elsewhere):
    expected = with_logs(shared.trained.state, shared.trained.history)
    assert_close(trained_elsewhere(on_two_devices, name), expected)


@each_case()
def test_bfloat16_changes_the_weights_and_the_loss_about_as_float32_does(shared):
    case, exact = shared.case, shared.trained
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make(case)
        mixed = train(model, case)
    finally:
        keras.config.set_dtype_policy(policy)
    assert all(v.dtype == "float32" for v in model.trainable_variables)
    expected, actual = (training.history[case.loss][-1] for training in (exact, mixed))
    assert abs(actual - expected) <= case.tolerance * max(1.0, abs(expected))
    # In so few steps the loss may hardly change: the weights show that both learned the same.
    exact_change, mixed_change = exact.end - exact.start, mixed.end - mixed.start
    exact_norm, mixed_norm = np.linalg.norm(exact_change), np.linalg.norm(mixed_change)
    assert exact_norm > 0.01
    assert 0.9 <= mixed_norm / exact_norm <= 1.1
    assert exact_change @ mixed_change / (exact_norm * mixed_norm) >= case.cosine


@each_case()
def test_nan_weights_stop_training_at_that_step(shared, tmp_path):
    model = shared.fresh()
    weight = model.trainable_variables[0]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(TrainingDiverged, match=r"at step 1 of epoch 1\. No epoch was completed"):
        fit(model, shared.case, callbacks=[StopOnDivergence(tmp_path)])


@each_case()
def test_several_steps_per_execution_are_the_same_steps(shared):
    model = make(shared.case)
    model.steps_per_execution = STEPS
    fit(model, shared.case)
    assert_close(state(model), shared.trained.state)


def test_batches_depend_on_the_epoch_alone():
    case = CASES["SupervisedTrainer"]
    third = list(batches(case).skip(2 * STEPS).take(STEPS).as_numpy_iterator())
    again = list(batches(case, start_epoch=2).take(STEPS).as_numpy_iterator())
    tf.nest.map_structure(np.testing.assert_array_equal, third, again)
