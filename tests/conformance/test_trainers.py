"""Every trainer does what `fit` promises: saved, resumed, distributed, in bfloat16, diverged."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from trainer_contract import (
    EPOCHS,
    STEPS,
    all_cases,
    batches,
    fit,
    kind,
    make,
    random_states,
    state,
)

import dlrecipes.training
from dlrecipes.errors import TrainingDiverged
from dlrecipes.training import StopOnDivergence, Trainer

HERE = Path(__file__).resolve().parent
CASES = all_cases()
SEVERAL = [name for name, case in CASES.items() if not case.not_distributed]

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="trainers are TensorFlow's"
)


def main_first(names, quick=("core", "main")):
    """Parametrizes by cases; those that are not of the quick kinds are slow."""
    slow = pytest.mark.slow
    return pytest.mark.parametrize(
        "name", [pytest.param(n, marks=() if kind(n) in quick else slow) for n in names]
    )


def trainers():
    named = {name: getattr(dlrecipes.training, name) for name in dlrecipes.training.__all__}
    classes = {n: o for n, o in named.items() if isinstance(o, type) and issubclass(o, Trainer)}
    return {name for name, trainer in classes.items() if trainer is not Trainer}


def start(role, folder, which, **environment):
    return subprocess.Popen(
        [sys.executable, "trainer_contract.py", role, str(folder), which],
        cwd=HERE,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(*processes, code=0):
    for process in processes:
        text, _ = process.communicate(timeout=600)
        assert process.returncode == code, text[-3000:]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def alone(folder, which):
    """Leaves the states after training in one process."""
    finished(start("none", folder, which))


def on_two_workers(folder, which):
    """Leaves those of training in two processes, which know of one another by TF_CONFIG."""
    hosts = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    config = [json.dumps({"cluster": {"worker": hosts}, "task": task}) for task in tasks]
    finished(*[start("multi_worker", folder, which, TF_CONFIG=one) for one in config])


def on_two_devices(folder, which):
    """Leaves those of training on two logical devices of one process."""
    finished(start("mirrored", folder, which))


def after_kill(folder, which):
    """Leaves those of an uninterrupted training (0), and of one killed and resumed (1)."""
    finished(start("killed", folder, which), code=-signal.SIGKILL)
    finished(start("resumed", folder, which))


@pytest.fixture(scope="session")
def trained(tmp_path_factory, worker_id):
    """Returns the state that a training left of a case; trains once, for all test processes."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def state_of(how, name, number=0):
        which = kind(name)
        folder = shared / f"{how.__name__}-{which}"
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "begun").exists():
                (folder / "begun").touch()
                how(folder, which)
        with np.load(folder / f"{name} {number}.npz") as arrays:
            return {key: arrays[key] for key in arrays.files}

    return state_of


def assert_close(state, expected):
    assert state.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(state[key], value, rtol=1e-5, atol=1e-5, err_msg=key)


def all_weights(model):
    """Returns all trainable weights as one vector."""
    return np.concatenate([v.numpy().ravel() for v in model.trainable_variables])


def test_every_trainer_has_a_case():
    assert {name.split(",")[0] for name in CASES} == trainers()


@main_first(CASES)
def test_fit_logs_numbers_and_moves_every_trainable_weight(name):
    model = make(CASES[name])
    before = [np.array(v.numpy()) for v in model.trainable_variables]
    history = fit(model, CASES[name])
    assert CASES[name].loss in history
    assert all(np.isfinite(values).all() for values in history.values())
    assert {len(values) for values in history.values()} == {EPOCHS}
    still = [
        v.path
        for v, old in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(v.numpy(), old)
    ]
    assert not still


@main_first(CASES, quick=["core"])
def test_saved_trainer_goes_on_as_if_it_had_not_been_saved(name, tmp_path):
    model = make(CASES[name])
    fit(model, CASES[name], epochs=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    for new, old in zip(random_states(again), random_states(model), strict=True):
        new.assign(old)
    for one in (model, again):
        fit(one, CASES[name], start_epoch=1, epochs=2)
    assert_close(state(again, random=False), state(model, random=False))


@main_first(CASES, quick=["core"])
def test_killed_training_ends_in_the_very_state_of_an_uninterrupted_one(name, trained):
    whole, resumed = trained(after_kill, name, 0), trained(after_kill, name, 1)
    assert whole.keys() == resumed.keys()
    for key, value in whole.items():
        assert value.tobytes() == resumed[key].tobytes(), key


# A step on two workers is tried by `training/test_shares.py`, too.
@pytest.mark.slow
@main_first(SEVERAL)
def test_two_workers_take_the_steps_of_one_process(name, trained):
    one = trained(alone, name)
    first, second = trained(on_two_workers, name, 0), trained(on_two_workers, name, 1)
    assert_close(first, one)
    assert all(np.array_equal(value, second[key]) for key, value in first.items())


# Another process that trains all; what two workers do is the same by other means.
@pytest.mark.slow
@main_first(SEVERAL)
def test_two_devices_take_the_steps_of_one(name, trained):
    assert_close(trained(on_two_devices, name), trained(alone, name))


@main_first(CASES, quick=["core"])
def test_bfloat16_goes_about_the_way_of_float32_to_about_its_loss(name):
    losses, ways = {}, {}
    for policy in ("float32", "mixed_bfloat16"):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            model = make(CASES[name])
            start = all_weights(model)
            losses[policy] = fit(model, CASES[name])[CASES[name].loss][-1]
            ways[policy] = all_weights(model) - start
        finally:
            keras.config.set_dtype_policy(before)
        assert all(v.dtype == "float32" for v in model.trainable_variables)
    difference = abs(losses["mixed_bfloat16"] - losses["float32"])
    assert difference <= CASES[name].tolerance * max(1.0, abs(losses["float32"]))
    # In so few steps a loss may hardly move: that one learnt what the other did is seen here.
    expected, found = (np.linalg.norm(ways[p]) for p in ("float32", "mixed_bfloat16"))
    assert expected > 0.01
    assert 0.9 <= found / expected <= 1.1
    cosine = ways["float32"] @ ways["mixed_bfloat16"] / (expected * found)
    assert cosine >= CASES[name].cosine


@main_first(CASES, quick=["core"])
def test_weights_that_are_no_number_end_training_at_that_step(name, tmp_path):
    model = make(CASES[name])
    weight = model.trainable_variables[0]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(TrainingDiverged, match=r"at step 1 of epoch 1\. No epoch was completed"):
        fit(model, CASES[name], callbacks=[StopOnDivergence(tmp_path)])


@main_first(CASES, quick=["core"])
def test_several_steps_an_execution_are_the_same_steps(name):
    one, several = make(CASES[name]), make(CASES[name])
    several.steps_per_execution = STEPS
    for model in (one, several):
        fit(model, CASES[name])
    assert_close(state(several), state(one))


def test_batches_depend_on_the_epoch_alone():
    case = CASES["SupervisedTrainer"]
    third = list(batches(case).skip(2 * STEPS).take(STEPS).as_numpy_iterator())
    again = list(batches(case, start_epoch=2).take(STEPS).as_numpy_iterator())
    tf.nest.map_structure(np.testing.assert_array_equal, third, again)
