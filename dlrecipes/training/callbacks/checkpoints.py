"""Checkpoints from which a killed run resumes exactly."""

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
from dlrecipes.layers._arguments import integer
from dlrecipes.training.trainer import Trainer


class Checkpoints(keras.callbacks.Callback):
    """Saves the whole state of training after each epoch, and keeps the last and the best epoch.

    A checkpoint holds the weights, the optimizer's state, the state of random generators and the
    history. Callbacks that decide by the history alone, such as `EarlyStopping`, get their state
    back by replaying it. A checkpoint is written under a temporary name and renamed when it is
    complete. `Checkpoints` must be the last callback.

    Args:
        folder: Folder of the checkpoints.
        monitor: Metric by which the best epoch is chosen, such as `"val_loss"`. With `None` the
            last epoch is the best.
        mode: `"min"` or `"max"`. Defaults to `"min"`.
        replayed: Callbacks whose state is a function of the history, such as `EarlyStopping` and
            `ReduceLROnPlateau`. Defaults to none.
        start_from_epoch: Number of first epochs of which none is the best, as in `EarlyStopping`:
            epochs before the schedule of `MagnitudePruning` ends. If there are no others, the
            last epoch is the best. Defaults to 0.

    Raises:
        ValueError: If `mode` or `start_from_epoch` is out of bounds. In `fit`: if `monitor` is not
            logged, or if the folder holds checkpoints that were not resumed and would be replaced.
        RecipeError: If a checkpoint cannot be written, or if none in the folder can be read.

    Example:

    >>> import tempfile
    >>> import keras
    >>> from dlrecipes.training import Checkpoints
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = keras.ops.ones((4, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoints = Checkpoints(folder, monitor="loss")
    ...     history = model.fit(x, x, epochs=2, verbose=0, callbacks=[checkpoints])
    >>> checkpoints.epochs, checkpoints.path(2).name
    (2, 'epoch-0002')
    """

    def __init__(
        self,
        folder: Path,
        monitor: str | None,
        mode: Literal["min", "max"] = "min",
        replayed: Sequence[keras.callbacks.Callback] = (),
        start_from_epoch: int = 0,
    ):
        super().__init__()
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', not {mode!r}.")
        integer("start_from_epoch", start_from_epoch, least=0)
        self.folder = Path(folder)
        self.monitor = monitor
        self.sign = 1 if mode == "max" else -1
        self.replayed = replayed
        self.start_from_epoch = start_from_epoch
        self.history: list[dict[str, float]] = []
        self.seconds = 0.0
        self.seconds_here = 0.0
        self.stopped = False
        self._resumed = False

    @property
    def epochs(self) -> int:
        """The number of completed epochs."""
        return len(self.history)

    @property
    def best(self) -> int:
        """The best epoch, counted from 1, and the first of equal ones; 0 before the first epoch."""
        skipped = self.start_from_epoch
        if self.monitor is None or self.epochs <= skipped:
            return self.epochs
        scores = [self.sign * logs[self.monitor] for logs in self.history[skipped:]]
        return scores.index(max(scores)) + 1 + skipped

    def path(self, epoch: int) -> Path:
        """Returns the folder of an epoch's checkpoint."""
        return self.folder / f"epoch-{epoch:04d}"

    def resume(self, model: keras.Model) -> None:
        """Restores the last complete checkpoint; does nothing if there is none.

        Args:
            model: Model, built and compiled as when it was saved.

        Raises:
            ValueError: If the model is not compiled.
            RecipeError: If there are checkpoints but none fits the model, or if they were saved
                with another optimizer.
        """
        if getattr(model, "optimizer", None) is None:
            raise ValueError(f"{model.name} is not compiled: compile it, then resume.")
        paths = saved_epochs(self.folder)
        for path in reversed(paths):
            try:
                state = json.loads((path / "state.json").read_text())
                _check_optimizers(path, state.get("optimizers"), model)
                _restore(model, path)
            except _OtherOptimizerError:
                raise
            except (OSError, ValueError, RecipeError):
                # Damaged: resuming from the previous one leads to the same weights.
                continue
            self.history = state["history"]
            self.seconds = state["seconds"]
            self.stopped = state["stopped"]
            self._resumed = True
            return
        if paths:
            raise RecipeError(
                f"{self.folder}: no checkpoint fits the model: they are damaged, or the data or "
                "the recipe has changed since they were saved.",
                "Start again in another folder, or with `dlrecipes run` without --resume.",
            )

    def save_initial(self, model: keras.Model) -> None:
        """Saves a model before its first epoch, so that `resume` begins with its weights.

        Args:
            model: Model, built and compiled.

        Raises:
            RecipeError: If the checkpoint cannot be written.
        """
        # The averages of an optimizer begin with the weights.
        build_optimizers(model)
        self._write(model)

    def restore_best(self, model: keras.Model) -> None:
        """Restores the state of the best epoch.

        Args:
            model: Model, built and compiled as when it was saved.

        Raises:
            ValueError: If there is no best epoch, because nothing was trained or resumed.
            RecipeError: If the checkpoint cannot be read.
        """
        if not self.history:
            raise ValueError("The best epoch is unknown: fit with these Checkpoints, or resume.")
        _restore(model, self.path(self.best))

    def on_train_begin(self, logs=None):
        if not self._resumed and not self.history and saved_epochs(self.folder):
            raise ValueError(
                f"{self.folder} holds checkpoints of an earlier run, which this one would replace: "
                "call resume(model) before fit to resume it, or choose another folder."
            )
        for callback in self.replayed:
            for epoch, past in enumerate(self.history):
                callback.on_epoch_end(epoch, dict(past))
        if self.history:
            # Replayed callbacks may have changed restored values, such as the learning rate.
            _restore(self.model, self.path(self.epochs))
            self.model.stop_training = False
        self._since = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor is not None and self.monitor not in (logs or {}):
            names = ", ".join(logs or {}) or "nothing"
            raise ValueError(f"monitor is {self.monitor!r}, which is not among the logs: {names}.")
        now = time.monotonic()
        self.seconds += now - self._since
        self.seconds_here += now - self._since
        self._since = now
        self.stopped = bool(self.model.stop_training)
        self.history.append({name: float(value) for name, value in (logs or {}).items()})
        self._write(self.model)
        for old in self.folder.glob("epoch-*"):
            if old not in (self.path(self.epochs), self.path(self.best)):
                shutil.rmtree(old, ignore_errors=True)

    def _write(self, model: keras.Model) -> None:
        final = self.path(self.epochs)
        part = self.folder / f".part-{final.name}"
        for leftover in (part, final):
            shutil.rmtree(leftover, ignore_errors=True)
        state = {
            "history": self.history,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "optimizers": _optimizer_names(model),
        }
        try:
            part.mkdir(parents=True)
            _checkpoint(model).write(str(part / "model"))
            (part / "state.json").write_text(json.dumps(state))
            fsync_tree(part)
            part.rename(final)
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(part, ignore_errors=True)
            if several_workers(model.distribute_strategy) and is_worker_failure(error):
                # Saving reads the metrics from all workers; one of them has failed.
                raise
            raise RecipeError(
                f"{self.folder}: the checkpoint of epoch {self.epochs} cannot be written: "
                f"{reason(error)}.",
                "The run is kept: free some disk space, then resume it with "
                f"--resume --name {self.folder.parent.name}.",
            ) from error


def saved_epochs(folder: Path) -> list[Path]:
    """Returns the checkpoints in a folder, oldest first."""
    return sorted(folder.glob("epoch-*"), key=lambda path: int(path.name.removeprefix("epoch-")))


def build_optimizers(model: keras.Model) -> None:
    """Creates the optimizers' slots if they do not exist yet, so that a checkpoint can be read.

    Under a strategy with several workers, all workers must call it at the same time, because the
    chief sends each new variable's value to the others.
    """
    if isinstance(model, Trainer):
        model.build_optimizers()
    elif model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


class _OtherOptimizerError(RecipeError):
    """The checkpoint was saved with another optimizer, and so were the older ones."""


def optimizers(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """Returns the optimizers of a model or a trainer."""
    if isinstance(model, Trainer):
        return [optimizer for optimizer, _ in model.optimized]
    return [model.optimizer]


def _optimizer_names(model: keras.Model) -> list[str]:
    """Returns the class names of the optimizers."""
    return [type(optimizer).__name__ for optimizer in optimizers(model)]


def _check_optimizers(path: Path, saved: list[str] | None, model: keras.Model) -> None:
    # Slots of the same shapes would be restored into the new optimizer, as would its learning rate.
    if saved is not None and saved != _optimizer_names(model):
        raise _OtherOptimizerError(
            f"{path}: the checkpoint was saved with {', '.join(saved)}; the model is compiled with "
            f"{', '.join(_optimizer_names(model))}.",
            "Compile it with the same optimizer, or start again in another folder.",
        )


def _restore(model: keras.Model, folder: Path) -> None:
    build_optimizers(model)
    try:
        _checkpoint(model).read(str(folder / "model")).assert_existing_objects_matched()
    except (AssertionError, IndexError, ValueError, tf.errors.OpError) as error:
        raise RecipeError(f"{folder}: the checkpoint is damaged: {reason(error)}.") from error


def _checkpoint(model: keras.Model) -> tf.train.Checkpoint:
    # TensorFlow does not track Keras' seed generators; without them, dropout would start over.
    others = {id(v) for v in [*model.weights, *model.metrics_variables]}
    random = [v.value for v in model.variables if id(v) not in others]
    return tf.train.Checkpoint(model=model, random=random)
