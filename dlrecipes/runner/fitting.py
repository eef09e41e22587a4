"""Training of a recipe's model with `fit`: callbacks, history, and workers."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dlrecipes import distribute
from dlrecipes._utils.files import atomic_write
from dlrecipes._utils.stages import stage
from dlrecipes.recipe.base import Recipe, Splits, batches_and_steps
from dlrecipes.recipe.guard import blame
from dlrecipes.runner import tensorboard
from dlrecipes.runner.recipe_checkpoints import recipe_checkpoints
from dlrecipes.training.callbacks import snapshots
from dlrecipes.training.callbacks.checkpoints import Checkpoints, build_optimizers
from dlrecipes.training.callbacks.stop_on_divergence import StopOnDivergence

SNAPSHOTS = "snapshots"


def fit_on_all(
    recipe: Recipe, splits: Splits, folder: Path, strategy: tf.distribute.Strategy
) -> Checkpoints:
    """Trains under a strategy from the chief's last checkpoint, without evaluating.

    Args:
        recipe: The recipe, with the same settings on all workers.
        splits: Its data.
        folder: This worker's own folder; the chief's is the run's.
        strategy: Strategy of one process or of several.
    """
    with strategy.scope():
        model = recipe.build(splits)
        build_optimizers(model)
    checkpoints = recipe_checkpoints(recipe, folder)
    if distribute.is_chief(strategy):
        checkpoints.resume(model)
    # Other workers take the chief's checkpoint: their own may differ.
    if distribute.several_workers(strategy):
        last = checkpoints.path(checkpoints.epochs)
        kept = last if last.is_dir() else None
        name = distribute.broadcast_from_chief(strategy, last.name.encode()).decode()
        distribute.broadcast_files_from_chief(strategy, kept, checkpoints.folder / name)
        if not distribute.is_chief(strategy):
            checkpoints.resume(model)
    fit(recipe, model, splits, folder, checkpoints)
    return checkpoints


def fit(
    recipe: Recipe,
    model: keras.Model,
    splits: Splits,
    folder: Path,
    checkpoints: Checkpoints,
) -> None:
    """Trains from the last checkpoint until validation no longer improves."""
    config = recipe.config
    epochs = config.epochs if recipe.trains else 1
    if checkpoints.stopped or checkpoints.epochs >= epochs:
        return
    progress = 1 if sys.stdout.isatty() else 2
    early = []
    if recipe.monitor is not None:
        stopping = keras.callbacks.EarlyStopping
        early = [
            stopping(
                recipe.monitor,
                mode=recipe.mode,
                patience=config.patience,
                start_from_epoch=recipe.start_from_epoch,
            )
        ]
    checkpoints.replayed = early
    train, steps = batches_and_steps(recipe.dataset(model, splits.train, checkpoints.epochs))
    validation, validation_steps = batches_and_steps(recipe.dataset(model, splits.validation))
    history = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: _write_history(folder, checkpoints.history)
    )
    # The data and the model are the recipe's.
    with blame(recipe, "build", "dataset"), stage("train"):
        model.fit(
            train,
            epochs=epochs,
            initial_epoch=checkpoints.epochs,
            steps_per_epoch=steps,
            validation_data=validation,
            validation_steps=validation_steps,
            # The datasets are shuffled already; Keras would warn that it does not.
            shuffle=False,
            # A progress bar on a terminal, one line per epoch in a log.
            verbose=progress if recipe.trains else 0,
            callbacks=[
                FirstStep(),
                StopOnDivergence(checkpoints.folder),
                keras.callbacks.TensorBoard(folder / tensorboard.LOGS, write_graph=False),
                *early,
                *recipe.callbacks(model, splits),
                # Before the checkpoint: a finished epoch has its snapshot.
                snapshots.Snapshots(folder / SNAPSHOTS, lambda: recipe.snapshot(model, splits)),
                checkpoints,
                history,
            ],
        )


class FirstStep(keras.callbacks.Callback):
    """Counts the first execution of training steps, in which they are traced, as a stage."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins the stage."""
        self._open = contextlib.ExitStack()
        self._open.enter_context(stage("trace"))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends the stage."""
        self._open.close()

    def on_train_end(self, logs: Any = None) -> None:
        """Ends the stage of a training without steps."""
        self._open.close()


def _write_history(folder: Path, history: list[dict[str, float]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", *history[0]])
    writer.writeheader()
    writer.writerows({"epoch": n, **logs} for n, logs in enumerate(history, start=1))
    atomic_write(folder / "history.csv", text.getvalue())
