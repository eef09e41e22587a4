"""What a conformance case says of a trainer, and how the tests train it.

Run as a script, it trains all cases in a process of its own, as one worker or to be killed:
`python trainer_contract.py ROLE FOLDER CASES`, where CASES is "main" (one a trainer) or "special".
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from contract import cases

from dlrecipes import distribute
from dlrecipes.training import Checkpoints, Trainer

EPOCHS, STEPS, BATCH = 3, 3, 8


class TrainerCase(NamedTuple):
    """How to build a trainer, what it learns from, and the few things that it cannot do.

    Args:
        make: Returns the trainer, compiled; with dropout or batch normalisation it is
            `not_distributed`, as a replica draws and normalises for itself.
        data: Returns what `fit` takes, as arrays in any structure, examples along the first axis.
        batches: Returns the endless batches from an epoch on, instead of shuffled ones of
            `data`.
        loss: Name of the log that is compared.
        tolerance: How far the loss in bfloat16 may be from the one in float32, of it.
        cosine: The least between the ways that the weights go in bfloat16 and in float32.
        not_distributed: Why a step on two workers is not that of one process.
    """

    make: Callable[[], Trainer]
    data: Callable[[], Any]
    batches: Callable[[int], tf.data.Dataset] | None = None
    loss: str = "loss"
    tolerance: float = 0.05
    cosine: float = 0.9
    not_distributed: str = ""


# They take the steps of `SupervisedTrainer` and `TruncatedBPTT`.
SAME_LOOP = ("ImageClassifier", "CharacterLanguageModel")
# One of each kind of loop: supervised, over time, adversarial, of pairs. These are trained in
# processes of their own by the quick tests, too.
CORE = ("SupervisedTrainer", "TruncatedBPTT, Elman", "GAN", "TripletEmbedding")


def all_cases(which: str = "all") -> dict[str, TrainerCase]:
    """Returns the cases of all families by name: the trainer's; after a comma, what is special.

    Args:
        which: `"core"` cases, other `"main"` ones, which have no comma, `"special"` ones, or
            `"all"`.
    """
    found = cases("trainer_cases")
    return {n: case for n, case in found.items() if which in ("all", kind(n))}


def kind(name: str) -> str:
    """Returns whether a case's name is that of a `"core"`, a `"main"` or a `"special"` one."""
    if name in CORE:
        return "core"
    return "special" if "," in name or name in SAME_LOOP else "main"


def make(case: TrainerCase) -> Trainer:
    """Returns the case's trainer with the weights of a fixed seed."""
    keras.utils.set_random_seed(7)
    return case.make()


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


def state(model: Trainer, random: bool = True) -> dict[str, np.ndarray]:
    """Returns all that the next step depends on, numbered: names differ from copy to copy.

    Args:
        model: The trainer.
        random: Whether the states of Keras' random numbers are wanted, which a `.keras` file
            does not hold.
    """
    found = model.variables if random else model.weights
    found = [v for v in found if not any(v is m for m in model.metrics_variables)]
    slots = [v for optimizer, _ in model.optimized for v in optimizer.variables]
    return {str(n): np.array(v.numpy()) for n, v in enumerate([*found, *slots])}


def random_states(model: Trainer) -> list[keras.Variable]:
    """Returns the states of Keras' random numbers, which a `.keras` file does not hold."""
    others = {id(v) for v in [*model.weights, *model.metrics_variables]}
    return [v for v in model.variables if id(v) not in others]


def checkpoints(folder: Path, name: str) -> Checkpoints:
    """Returns the callback that keeps a case's checkpoints."""
    return Checkpoints(folder / name.replace(" ", "_"), "gradient_norm", "min")


class AtStep(keras.callbacks.Callback):
    """Does something at the second step of the second epoch."""

    def __init__(self, action: Callable[[], None]):
        super().__init__()
        self.action = action

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 1):
            self.action()


def worker(folder: Path, found: dict, strategy: tf.distribute.Strategy) -> None:
    """Trains each case and keeps its state."""
    number = strategy.cluster_resolver.task_id if distribute.several_workers(strategy) else 0
    for name, case in found.items():
        if case.not_distributed:
            continue
        with strategy.scope():
            model = make(case)
        logs = fit(model, case)
        logs = {f"log {name}": np.array(values) for name, values in logs.items()}
        np.savez(folder / f"{name} {number}.npz", **state(model), **logs)


def killed(folder: Path, found: dict) -> None:
    """Trains each case, each until it is in the midst of its second epoch; is killed then."""
    tf.config.experimental.enable_op_determinism()

    def train(rest):
        if not rest:
            os.kill(os.getpid(), signal.SIGKILL)
        (name, case), *rest = rest
        keep = checkpoints(folder, name)
        fit(make(case), case, callbacks=[keep, AtStep(lambda: train(rest))])

    train(list(found.items()))


def resumed(folder: Path, found: dict) -> None:
    """Goes on with each case; keeps the states of that and of an uninterrupted training."""
    tf.config.experimental.enable_op_determinism()
    for name, case in found.items():
        whole = make(case)
        fit(whole, case)
        np.savez(folder / f"{name} 0.npz", **state(whole))
        again = make(case)
        keep = checkpoints(folder, name)
        keep.resume(again)
        assert keep.epochs == 1, name
        fit(again, case, keep.epochs, callbacks=[keep])
        np.savez(folder / f"{name} 1.npz", **state(again))


def main(role: str, folder: str, which: str) -> None:
    """Does what its role says; leaves files in the folder."""
    devices = tf.config.list_physical_devices("CPU")[:1]
    if role == "mirrored":
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(devices[0], two)
    found = all_cases(which)
    if role in ("killed", "resumed"):
        {"killed": killed, "resumed": resumed}[role](Path(folder), found)
    else:
        worker(Path(folder), found, distribute.strategy(role))


if __name__ == "__main__":
    # The cases import this module by name: there must not be two of it.
    import trainer_contract

    trainer_contract.main(*sys.argv[1:])
