"""Checkpoints from which a killed run goes on exactly where it was."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import keras
import tensorflow as tf

from dlrecipes._utils.files import fsync_tree
from dlrecipes.distribute import is_worker_failure, several_workers
from dlrecipes.errors import RecipeError, reason
from dlrecipes.training.trainer import Trainer


class Checkpoints(keras.callbacks.Callback):
    """Saves all that training depends on at the end of each epoch; keeps the last and the best.

    That is weights, optimizer (all that TensorFlow tracks on the model), random states,
    the history, and, by replaying the history, the state of callbacks that decide by it.
    A checkpoint is renamed into place whole. Put it last among the callbacks.

    Args:
        folder: Where checkpoints go.
        monitor: The metric by which an epoch is the best, such as `"val_loss"`; `None` takes the
            last for the best.
        mode: `"min"` or `"max"`.
        replayed: Callbacks whose state is a function of the history: `EarlyStopping`,
            `ReduceLROnPlateau`.

    Raises:
        ValueError: If `mode` is neither; in `fit`, if `monitor` is not logged, or the folder
            holds checkpoints that were not resumed: they would be replaced.
        RecipeError: If a checkpoint cannot be written, or none that is there can be read.
    """

    def __init__(
        self,
        folder: Path,
        monitor: str | None,
        mode: Literal["min", "max"] = "min",
        replayed: Sequence[keras.callbacks.Callback] = (),
    ):
        super().__init__()
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', not {mode!r}.")
        self.folder = Path(folder)
        self.monitor = monitor
        self.sign = 1 if mode == "max" else -1
        self.replayed = replayed
        self.history: list[dict[str, float]] = []
        self.seconds = 0.0
        self.seconds_here = 0.0
        self.stopped = False

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return len(self.history)

    @property
    def best(self) -> int:
        """The best epoch, counted from 1; the first of equals. 0 before the first."""
        if self.monitor is None:
            return self.epochs
        scores = [self.sign * logs[self.monitor] for logs in self.history]
        return scores.index(max(scores)) + 1 if scores else 0

    def path(self, epoch: int) -> Path:
        """The folder of an epoch's checkpoint."""
        return self.folder / f"epoch-{epoch:04d}"

    def resume(self, model: keras.Model) -> None:
        """Puts the model into the state of the last whole checkpoint; does nothing without one.

        Args:
            model: Built and compiled as when it was saved.

        Raises:
            ValueError: If it is not compiled.
            RecipeError: If there are checkpoints, and none fits, or they are of another
                optimizer.
        """
        if getattr(model, "optimizer", None) is None:
            raise ValueError(f"{model.name} is not compiled: compile it, then resume.")
        found = saved_epochs(self.folder)
        for path in reversed(found):
            try:
                state = json.loads((path / "state.json").read_text())
                _refuse_other_optimizers(path, state.get("optimizers"), model)
                _read(model, path)
            except _OtherOptimizerError:
                raise
            except (OSError, ValueError, RecipeError):
                # Damaged: the one before leads to the same weights, later.
                continue
            self.history = state["history"]
            self.seconds = state["seconds"]
            self.stopped = state["stopped"]
            return
        if found:
            raise RecipeError(
                f"{self.folder}: no checkpoint there fits: they are damaged, or the data or the "
                "recipe has changed since.",
                "Begin anew: in another folder, or with `dlrecipes run` without --resume.",
            )

    def restore_best(self, model: keras.Model) -> None:
        """Puts the model into the state of the best epoch.

        Raises:
            ValueError: If no epoch is known: nothing was trained or resumed.
            RecipeError: If its checkpoint cannot be read.
        """
        if not self.history:
            raise ValueError("There is no best epoch yet: fit with these Checkpoints, or resume.")
        _read(model, self.path(self.best))

    def on_train_begin(self, logs=None):
        """Brings callbacks to where they were."""
        if not self.history and saved_epochs(self.folder):
            raise ValueError(
                f"{self.folder} holds checkpoints of an earlier run, which this one would replace: "
                "call resume(model) before fit to go on with it, or name another folder."
            )
        for callback in self.replayed:
            for epoch, past in enumerate(self.history):
                callback.on_epoch_end(epoch, dict(past))
        if self.history:
            # What was replayed may have set what the checkpoint holds: the learning rate.
            _read(self.model, self.path(self.epochs))
            self.model.stop_training = False
        self._since = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Saves the epoch, then drops those that are neither last nor best."""
        if self.monitor is not None and self.monitor not in (logs or {}):
            named = ", ".join(logs or {}) or "nothing"
            raise ValueError(f"monitor is {self.monitor!r}, which is not logged: {named}.")
        now = time.monotonic()
        self.seconds += now - self._since
        self.seconds_here += now - self._since
        self._since = now
        self.stopped = bool(self.model.stop_training)
        self.history.append({name: float(value) for name, value in (logs or {}).items()})
        self._write()
        for old in self.folder.glob("epoch-*"):
            if old not in (self.path(self.epochs), self.path(self.best)):
                shutil.rmtree(old, ignore_errors=True)

    def _write(self) -> None:
        final = self.path(self.epochs)
        part = self.folder / f".part-{final.name}"
        for leftover in (part, final):
            shutil.rmtree(leftover, ignore_errors=True)
        state = {
            "history": self.history,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "optimizers": _optimizers(self.model),
        }
        try:
            part.mkdir(parents=True)
            _checkpoint(self.model).write(str(part / "model"))
            (part / "state.json").write_text(json.dumps(state))
            fsync_tree(part)
            part.rename(final)
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(part, ignore_errors=True)
            if several_workers(self.model.distribute_strategy) and is_worker_failure(error):
                # What metrics counted is read from all workers.
                raise
            raise RecipeError(
                f"{self.folder}: the checkpoint of epoch {self.epochs} cannot be written: "
                f"{reason(error)}.",
                "The run is kept; make room and go on with "
                f"--resume --name {self.folder.parent.name}.",
            ) from error


def saved_epochs(folder: Path) -> list[Path]:
    """Returns the checkpoints in a folder, the oldest first."""
    return sorted(folder.glob("epoch-*"), key=lambda path: int(path.name.removeprefix("epoch-")))


def build_optimizers(model: keras.Model) -> None:
    """Makes the optimizers' slots, where they are not made yet, so that they can be read.

    Under a strategy of several workers all of them do it at once: the chief tells each new
    variable's value to the others.
    """
    if isinstance(model, Trainer):
        model.build_optimizers()
    elif model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


class _OtherOptimizerError(RecipeError):
    """A checkpoint of another optimizer: older ones are of it, too."""


def _optimizers(model: keras.Model) -> list[str]:
    """Returns the names of the optimizers' classes."""
    if isinstance(model, Trainer):
        return [type(optimizer).__name__ for optimizer, _ in model.optimized]
    return [type(model.optimizer).__name__]


def _refuse_other_optimizers(path: Path, saved: list[str] | None, model: keras.Model) -> None:
    # Slots of the same shapes would be taken for the new optimizer's, the learning rate, too.
    if saved is not None and saved != _optimizers(model):
        raise _OtherOptimizerError(
            f"{path}: this checkpoint is of {', '.join(saved)}; the model is compiled with "
            f"{', '.join(_optimizers(model))}.",
            "Compile it as before, or begin in another folder.",
        )


def _read(model: keras.Model, folder: Path) -> None:
    build_optimizers(model)
    try:
        _checkpoint(model).read(str(folder / "model")).assert_existing_objects_matched()
    except (AssertionError, IndexError, ValueError, tf.errors.OpError) as error:
        raise RecipeError(f"{folder}: this checkpoint is damaged: {reason(error)}.") from error


def _checkpoint(model: keras.Model) -> tf.train.Checkpoint:
    # TensorFlow tracks no seed generator of Keras': without these, dropout begins anew.
    others = {id(v) for v in [*model.weights, *model.metrics_variables]}
    random = [v.value for v in model.variables if id(v) not in others]
    return tf.train.Checkpoint(model=model, random=random)
