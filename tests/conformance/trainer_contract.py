"""Conformance cases of trainers, and how the tests train them.

Run as a script, it trains all cases in a process of its own, as one worker or to be killed:
`python trainer_contract.py ROLE FOLDER KIND`, where KIND is "core", "main" or "special".
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from contract import load_cases

from dlrecipes import distribute
from dlrecipes.training import Checkpoints, Trainer

EPOCHS, STEPS, BATCH = 3, 3, 8


class TrainerCase(NamedTuple):
    """How to build a trainer, its training data, and its known limits.

    Args:
        make: Returns the compiled trainer. With dropout or batch normalisation the case is
            `not_distributed`, because each replica samples and normalises independently.
        data: Returns arrays in the structure that `fit` takes, examples along the first axis.
        batches: Returns the endless batches from an epoch on, instead of shuffled batches of
            `data`.
        loss: Name of the log that is compared.
        tolerance: Largest relative difference between the losses in bfloat16 and in float32.
        cosine: Smallest cosine between the changes of the weights in bfloat16 and in float32.
        not_distributed: Why a step on two workers differs from that step in one process.
        after_load: Gives a loaded trainer what a `.keras` file does not hold.
    """

    make: Callable[[], Trainer]
    data: Callable[[], Any]
    batches: Callable[[int], tf.data.Dataset] | None = None
    loss: str = "loss"
    tolerance: float = 0.05
    cosine: float = 0.9
    not_distributed: str = ""
    after_load: Callable[[Trainer], None] = lambda model: None


# Subclasses that take the steps of `SupervisedTrainer` and `TruncatedBPTT`.
SAME_LOOP = ("ImageClassifier", "CharacterLanguageModel")
# One trainer for each kind of loop: supervised, over time, adversarial, on pairs. The quick tests
# run the whole contract for these.
CORE = ("SupervisedTrainer", "TruncatedBPTT", "GAN", "TripletEmbedding")


def all_cases(which: str = "all") -> dict[str, TrainerCase]:
    """Returns the cases by name: the trainer's, and after a comma what is special about the case.

    Args:
        which: A kind of cases, see `kind`, or `"all"`.
    """
    cases = load_cases("trainer_cases")
    return {name: case for name, case in cases.items() if which in ("all", kind(name))}


def kind(name: str) -> str:
    """Returns the kind of a case, by its name.

    `"core"` is one case per kind of loop, `"main"` one case for each of the other trainers, and
    `"special"` is every other case.
    """
    if name in CORE:
        return "core"
    return "special" if "," in name or name in SAME_LOOP else "main"


def make(case: TrainerCase) -> Trainer:
    """Returns the case's trainer with the weights of a fixed seed."""
    keras.utils.set_random_seed(7)
    return case.make()


class SharedTrainer:
    """One compiled trainer of a case, for all tests of that case: its step is traced once.

    Args:
        case: The case.
    """

    def __init__(self, case: TrainerCase):
        self.case = case
        self._model = make(case)
        self._model.build_optimizers()
        self._initial = [v.numpy() for v in variables(self._model)]

    def fresh(self) -> Trainer:
        """Returns the trainer as it was before training; it must not be used in two places."""
        for variable, value in zip(variables(self._model), self._initial, strict=True):
            variable.assign(value)
        return self._model

    @cached_property
    def trained(self) -> "Training":
        """The results of training for all epochs."""
        return train(self.fresh(), self.case)


class Training(NamedTuple):
    """The results of training a case for all epochs.

    Args:
        history: Logs by name, one value per epoch.
        start: Trainable weights before training, as one vector.
        end: Trainable weights after training, as one vector.
        unchanged: Paths of the trainable weights that training did not change.
        state: Everything that the next step depends on, as `state` returns it.
    """

    history: dict[str, list[float]]
    start: np.ndarray
    end: np.ndarray
    unchanged: list[str]
    state: dict[str, np.ndarray]


def train(model: Trainer, case: TrainerCase) -> Training:
    """Trains for all epochs."""
    before = [v.numpy() for v in model.trainable_variables]
    history = fit(model, case)
    after = [v.numpy() for v in model.trainable_variables]
    start, end = (np.concatenate([value.ravel() for value in values]) for values in (before, after))
    unchanged = [
        v.path
        for v, old, new in zip(model.trainable_variables, before, after, strict=True)
        if np.array_equal(old, new)
    ]
    return Training(history, start, end, unchanged, state(model))


def batches(case: TrainerCase, start_epoch: int = 0) -> tf.data.Dataset:
    """Returns endless batches, whose order is a function of the epoch alone."""
    if case.batches is not None:
        return case.batches(start_epoch)
    data = case.data()
    count = len(tf.nest.flatten(data)[0])

    def epoch(number):
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seed=[number, 3])
        return tf.data.Dataset.from_tensor_slices(order).repeat().batch(BATCH).take(STEPS)

    rows = tf.data.Dataset.counter(start_epoch).flat_map(epoch)
    tables = tf.nest.map_structure(tf.constant, data)
    return rows.map(lambda row: tf.nest.map_structure(lambda table: tf.gather(table, row), tables))


def fit(model: Trainer, case: TrainerCase, start_epoch: int = 0, callbacks=(), epochs=EPOCHS):
    """Trains; returns the history."""
    return model.fit(
        batches(case, start_epoch),
        initial_epoch=start_epoch,
        epochs=epochs,
        steps_per_epoch=STEPS,
        verbose=0,
        shuffle=False,
        callbacks=list(callbacks),
    ).history


def variables(model: Trainer, random: bool = True) -> list[keras.Variable]:
    """Returns all variables that the next step depends on, in a fixed order.

    Args:
        model: The trainer.
        random: Whether to include the states of Keras' random numbers, which a `.keras` file
            does not hold. Defaults to `True`.
    """
    own = model.variables if random else model.weights
    own = [v for v in own if not any(v is m for m in model.metrics_variables)]
    return [*own, *(v for optimizer, _ in model.optimized for v in optimizer.variables)]


def state(model: Trainer, random: bool = True) -> dict[str, np.ndarray]:
    """Returns the values of `variables`, numbered: names differ from copy to copy."""
    return {str(n): np.array(v.numpy()) for n, v in enumerate(variables(model, random))}


def random_states(model: Trainer) -> list[keras.Variable]:
    """Returns the states of Keras' random numbers, which a `.keras` file does not hold."""
    others = {id(v) for v in [*model.weights, *model.metrics_variables]}
    return [v for v in model.variables if id(v) not in others]


def checkpoints(folder: Path, name: str) -> Checkpoints:
    """Returns the callback that writes a case's checkpoints."""
    return Checkpoints(folder / name.replace(" ", "_"), "gradient_norm", "min")


class AtStep(keras.callbacks.Callback):
    """Calls a function after the second step of the second epoch."""

    def __init__(self, action: Callable[[], None]):
        super().__init__()
        self.action = action

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 1):
            self.action()


def worker(folder: Path, cases: dict, strategy: tf.distribute.Strategy) -> None:
    """Trains each case under the strategy; writes its state and its logs."""
    number = strategy.cluster_resolver.task_id if distribute.several_workers(strategy) else 0
    for name, case in cases.items():
        if case.not_distributed:
            continue
        with strategy.scope():
            model = make(case)
        logs = fit(model, case)
        np.savez(folder / f"{name} {number}.npz", **with_logs(state(model), logs))


def with_logs(values: dict[str, np.ndarray], logs: dict[str, list[float]]) -> dict[str, np.ndarray]:
    """Returns a state and the logs of training as one dictionary of arrays."""
    return values | {f"log {name}": np.array(value) for name, value in logs.items()}


def killed(folder: Path, cases: dict) -> None:
    """Trains each case into its second epoch, then kills the process while all are training."""
    tf.config.experimental.enable_op_determinism()

    def train(rest):
        if not rest:
            os.kill(os.getpid(), signal.SIGKILL)
        (name, case), *rest = rest
        saving = checkpoints(folder, name)
        fit(make(case), case, callbacks=[saving, AtStep(lambda: train(rest))])

    train(list(cases.items()))


def resumed(folder: Path, cases: dict) -> None:
    """Resumes each case; writes its state, and the state after uninterrupted training."""
    tf.config.experimental.enable_op_determinism()
    for name, case in cases.items():
        model = make(case)
        saving = checkpoints(folder, name)
        saving.resume(model)
        assert saving.epochs == 1, name
        fit(model, case, saving.epochs, callbacks=[saving])
        np.savez(folder / f"{name} 1.npz", **state(model))
        # The same model again, from the start: another one would have to be traced as well.
        start = make(case)
        start.build_optimizers()
        for variable, initial in zip(variables(model), variables(start), strict=True):
            variable.assign(initial)
        fit(model, case)
        np.savez(folder / f"{name} 0.npz", **state(model))


def killed_and_resumed(folder: Path, cases: dict) -> None:
    """Trains and kills a copy of this process, and resumes each case in this one.

    Both have a TensorFlow of their own, because the process is copied before it computes anything;
    importing it takes longer than training.
    """
    copy = os.fork()
    if not copy:
        try:
            killed(folder, cases)
        finally:
            os._exit(1)
    _, status = os.waitpid(copy, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    resumed(folder, cases)


def main(role: str, folder: str, which: str) -> None:
    """Runs a role, which leaves files in the folder.

    Args:
        role: Name of a strategy (`"multi_worker"`, `"mirrored"`), or `"killed_and_resumed"`.
        folder: Where to write.
        which: Kind of cases.
    """
    cases = all_cases(which)
    if role == "killed_and_resumed":
        killed_and_resumed(Path(folder), cases)
    else:
        if role == "mirrored":
            devices = tf.config.list_physical_devices("CPU")[:1]
            two = [tf.config.LogicalDeviceConfiguration()] * 2
            tf.config.set_logical_device_configuration(devices[0], two)
        worker(Path(folder), cases, distribute.strategy(role))


if __name__ == "__main__":
    # The cases import this module by name, and its classes must exist once.
    import trainer_contract

    trainer_contract.main(*sys.argv[1:])
