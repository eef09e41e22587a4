"""Greedy layer-wise pre-training of deep belief networks and deep autoencoders."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from dlrecipes._utils.files import atomic_write
from dlrecipes.data.batches import steps_per_epoch, training_batches
from dlrecipes.errors import RecipeError, reason
from dlrecipes.layers._arguments import integer
from dlrecipes.training._engine.pretraining_stages import Stage, stages_of
from dlrecipes.training.callbacks.checkpoints import Checkpoints
from dlrecipes.training.callbacks.early_stopping import StopOnGeneralizationGap, StopOnPlateau
from dlrecipes.training.supervised import SupervisedTrainer
from dlrecipes.training.trainer import Trainer

# Rows that are passed up at once.
ROWS = 1024
# Callbacks whose state is a function of the history.
DECIDING = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ReduceLROnPlateau,
    StopOnPlateau,
    StopOnGeneralizationGap,
)


def pretrain(
    model: keras.Model,
    x: np.ndarray,
    epochs: int = 10,
    batch_size: int = 100,
    method: str = "contrastive_divergence",
    optimizer: keras.optimizers.Optimizer | str | None = None,
    steps: int = 1,
    seed: int = 0,
    folder: str | Path | None = None,
    callbacks: Callable[[int], Sequence[keras.callbacks.Callback]] | None = None,
    verbose: int | str = 0,
) -> list[dict[str, list[float]]]:
    """Trains a deep network layer by layer, from the lowest up, without targets.

    Each layer learns from what those below, which stay as they are, make of the data: their
    probabilities. What it learnt then lies in the model, which is fine-tuned as any other, with
    `SupervisedTrainer` or `fit`.

    With `"contrastive_divergence"` a layer is a restricted Boltzmann machine. Those of a
    `models.deep_belief_network` are trained where they are. For a `models.autoencoder` they are
    made, beginning with small weights, and unrolled: the encoder's layer gets the kernel and
    the hidden biases, and the decoder's layer that mirrors it the transposed kernel and the
    visible biases. A sigmoid layer has Bernoulli units and a linear one Gaussian units. With
    `"autoencoder"` a layer of the encoder and its mirror learn to restore what they see, by
    cross-entropy where the mirror is a sigmoid and by the squared error elsewhere; any activation
    goes.

    With a `folder` a killed pre-training goes on when it is called again: in the epoch of the
    stage where it was, to the very weights it would have reached. The weights that the model
    had at first are kept there too. Order and draws are functions of `seed`.

    Args:
        model: A model of machines from the input on, such as `models.deep_belief_network`, or
            one of an `encoder` and a `decoder`, such as `models.autoencoder`.
        x: Examples, of shape `(examples, features)`; from 0 to 1 where the lowest visible units
            are Bernoulli's, else standardised.
        epochs: Epochs of each layer, at least 1.
        batch_size: Examples a batch, at least 1.
        method: `"contrastive_divergence"`, or, for autoencoders, `"autoencoder"`.
        optimizer: Each layer gets a new one like it. `None` is, for machines, SGD with momentum
            0.5 and a learning rate of 0.1, or 0.001 where there are Gaussian units; else Adam.
        steps: Gibbs steps of contrastive divergence, at least 1.
        seed: Seed of the batches' order, of all draws and of the machines that are made.
        folder: Where checkpoints go, or `None`.
        callbacks: Returns the callbacks of a layer, given its number, from 1 on. In a layer
            that goes on from a `folder`, `EarlyStopping`, `ReduceLROnPlateau` and the
            package's `StopWhen...` are where they were; others begin anew.
        verbose: As `fit` takes it.

    Returns:
        The history of each layer, from the lowest up: logs by name, a value an epoch.

    Raises:
        ValueError: If the model is neither of the two, its units do not fit the method, `x`
            does not fit it, or a number is out of its bounds; with a `folder`, if a callback is
            to give the layer weights that are not kept there.
        RecipeError: If `folder` holds a pre-training of other settings or data.

    Example:

    >>> from dlrecipes.models import deep_belief_network
    >>> model = deep_belief_network(6, hidden_units=(5, 4), num_classes=3)
    >>> history = pretrain(model, np.eye(6), epochs=2, batch_size=3)
    >>> len(history), len(history[0]["reconstruction_error"])
    (2, 2)

    Reference:
        Hinton, Osindero and Teh, 2006, "A fast learning algorithm for deep belief nets",
        section 4.
        Hinton and Salakhutdinov, 2006, "Reducing the dimensionality of data with neural
        networks", figure 1, and its supporting text for the learning rates.
        Bengio, Lamblin, Popovici and Larochelle, 2007, "Greedy layer-wise training of deep
        networks", section 4, for autoencoders.
    """
    integer("epochs", epochs)
    integer("batch_size", batch_size)
    integer("seed", seed, 0)
    stages = stages_of(model, method, optimizer, steps, seed)
    seen = _examples(x, stages[0].trainer)
    if folder is not None:
        folder = Path(folder)
        settings = {"epochs": epochs, "batch_size": batch_size, "method": method, "steps": steps}
        settings |= {"seed": seed, "examples": [*seen.shape, zlib.crc32(seen.tobytes())]}
        settings["optimizers"] = [_described(stage.trainer.optimizer) for stage in stages]
        _begin(model, folder, settings)
        # The weights may have changed: those of autoencoders were copied.
        stages = stages_of(model, method, optimizer, steps, seed)
    histories = []
    for number, stage in enumerate(stages, 1):
        own = list(callbacks(number)) if callbacks else []
        place = folder and folder / f"stage-{number}"
        order = seed + number
        histories.append(_train(stage, seen, epochs, batch_size, order, place, own, verbose))
        stage.land()
        if number < len(stages):
            starts = range(0, len(seen), ROWS)
            seen = np.concatenate([stage.up(tf.constant(seen[s : s + ROWS])) for s in starts])
    return histories


def _train(stage: Stage, seen, epochs, batch_size, seed, folder, callbacks, verbose):
    """Trains one layer, from where a killed process left it; returns its history."""
    trainer, supervised = stage.trainer, isinstance(stage.trainer, SupervisedTrainer)
    done, past, callbacks = 0, {}, [*callbacks]
    if folder is not None:
        keep = _kept(stage, folder, callbacks)
        keep.resume(trainer)
        done, callbacks = keep.epochs, [*callbacks, keep]
        past = {name: [logs[name] for logs in keep.history] for name in (keep.history or [{}])[0]}
        if keep.stopped or done == epochs:
            if any(isinstance(one, StopOnGeneralizationGap) for one in callbacks):
                keep.restore_best(trainer)
            return past
    batches = training_batches({"x": seen}, {}, batch_size, seed, start_epoch=done)
    new = trainer.fit(
        batches.map(lambda x, _: (x["x"], x["x"]) if supervised else x["x"]),
        initial_epoch=done,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch(len(seen), batch_size),
        callbacks=callbacks,
        shuffle=False,
        verbose=verbose,
    ).history
    return {name: [*past.get(name, ()), *map(float, values)] for name, values in new.items()}


def _kept(stage: Stage, folder: Path, callbacks) -> Checkpoints:
    """Returns a layer's checkpoints, told to the callbacks that take the best weights of them."""
    keep = Checkpoints(
        folder, stage.monitor, "min", [one for one in callbacks if isinstance(one, DECIDING)]
    )
    for one in callbacks:
        # Their best weights lie in memory, where a process that goes on has none.
        if getattr(one, "restore_best_weights", False):
            raise ValueError(
                f"With a folder {type(one).__name__} must have restore_best_weights=False."
            )
        if isinstance(one, StopOnGeneralizationGap):
            if one.validation != stage.monitor:
                raise ValueError(
                    "With a folder StopOnGeneralizationGap must have "
                    f"validation={stage.monitor!r}, whose best epoch is kept, "
                    f"not {one.validation!r}."
                )
            one.checkpoints = keep
    return keep


def _described(optimizer: keras.optimizers.Optimizer) -> str:
    config = {k: v for k, v in optimizer.get_config().items() if k != "name"}
    return f"{type(optimizer).__name__} {json.dumps(config, sort_keys=True, default=str)}"


def _examples(x, trainer: Trainer) -> np.ndarray:
    """Returns the examples in float32, once they can be that."""
    seen = np.asarray(x)
    features = trainer.trainable_variables[0].shape[0]
    if seen.ndim != 2 or seen.shape[1] != features or not len(seen):
        raise ValueError(f"x must be of shape (examples, {features}), not {seen.shape}.")
    seen = seen.astype("float32")
    if not np.isfinite(seen).all():
        raise ValueError("x holds values that are no finite numbers.")
    machine, least, most = getattr(trainer, "machine", None), seen.min(), seen.max()
    bernoulli = machine is not None and machine.visible == "bernoulli"
    if bernoulli and (least < 0 or most > 1):
        raise ValueError(f"x must lie in [0, 1] for Bernoulli units, not in [{least:g}, {most:g}].")
    return seen


def _begin(model: keras.Model, folder: Path, settings: dict) -> None:
    """Keeps the settings and the first weights, or checks and puts back those that were kept."""
    settings = json.loads(json.dumps(settings))
    file, weights = folder / "settings.json", folder / "initial.weights.h5"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        model.save_weights(weights)
        atomic_write(file, json.dumps(settings))
        return
    try:
        kept = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise RecipeError(f"{file} cannot be read: {reason(error)}.") from error
    for name, value in settings.items():
        if kept.get(name) != value:
            raise RecipeError(
                f"{folder} holds a pre-training with {name} {kept.get(name)}, not {value}.",
                "Name another folder.",
            )
    try:
        model.load_weights(weights)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{weights} does not fit {model.name}: {reason(error)}") from error
