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
from dlrecipes.training._engine.pretraining_stages import Stage, make_stages
from dlrecipes.training.callbacks.checkpoints import Checkpoints
from dlrecipes.training.callbacks.early_stopping import StopOnGeneralizationGap, StopOnPlateau
from dlrecipes.training.supervised import SupervisedTrainer
from dlrecipes.training.trainer import Trainer

# Examples that are passed through a trained layer at a time.
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

    Each layer is trained on the outputs of the layers below, as probabilities, while those layers
    stay fixed. The trained weights are then in the model, which can be fine-tuned like any other
    model, with `SupervisedTrainer` or `fit`.

    With `"contrastive_divergence"`, a layer is a restricted Boltzmann machine. The machines of a
    `models.deep_belief_network` are trained in place. For a `models.autoencoder`, machines with
    small initial weights are created, trained and unrolled: the encoder's layer gets the kernel and
    the hidden biases, and the mirrored layer of the decoder the transposed kernel and the visible
    biases. A sigmoid layer has Bernoulli units and a linear one Gaussian units.

    With `"autoencoder"`, a layer of the encoder and its mirror learn to reconstruct their inputs,
    by cross-entropy if the mirror is a sigmoid layer and by the squared error otherwise. Any
    activation is supported.

    With a `folder`, pre-training that was killed resumes when it is called again, from the last
    completed epoch, and ends with the weights of an uninterrupted run. The folder also stores the
    model's initial weights. The order of the examples and all random numbers are functions of
    `seed`.

    Args:
        model: Model that begins with Boltzmann machines, such as `models.deep_belief_network`, or a
            model of an `encoder` and a `decoder`, such as `models.autoencoder`.
        x: Examples of shape `(examples, features)`, from 0 to 1 if the lowest visible units are
            Bernoulli units, otherwise standardized.
        epochs: Epochs per layer, at least 1. Defaults to 10.
        batch_size: Examples per batch, at least 1. Defaults to 100.
        method: `"contrastive_divergence"`, or, for autoencoders, `"autoencoder"`. Defaults to
            `"contrastive_divergence"`.
        optimizer: Optimizer, of which each layer gets a new copy. Defaults to `None`, which means
            Adam for `"autoencoder"`, and otherwise SGD with momentum 0.5 and a learning rate of
            0.1, or 0.001 with Gaussian units.
        steps: Gibbs steps of contrastive divergence, at least 1. Defaults to 1.
        seed: Seed of the examples' order, of all random numbers and of new machines, at least 0.
            Defaults to 0.
        folder: Folder of the checkpoints, or `None` for none. Defaults to `None`.
        callbacks: Function from a layer's number, beginning with 1, to its callbacks. When a layer
            resumes from a `folder`, `EarlyStopping`, `ReduceLROnPlateau`, `StopOnPlateau` and
            `StopOnGeneralizationGap` continue, and other callbacks start over. Defaults to `None`.
        verbose: Verbosity of `fit`. Defaults to 0.

    Returns:
        The history of each layer, from the lowest up: by name, a list with a value per epoch.

    Raises:
        ValueError: If the model is of another kind, if its units do not fit the method, if `x` does
            not fit the model, or if a number is out of bounds. With a `folder`: if a callback
            restores weights that the folder does not store.
        RecipeError: If `folder` holds pre-training with other settings or data.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.models import deep_belief_network
    >>> from dlrecipes.training import pretrain
    >>> model = deep_belief_network(6, hidden_units=(5, 4), num_classes=3)
    >>> history = pretrain(model, np.eye(6), epochs=2, batch_size=3)
    >>> len(history), len(history[0]["reconstruction_error"])
    (2, 2)

    Reference:
        Hinton, Osindero and Teh, 2006, "A fast learning algorithm for deep belief nets", section 4.
        https://doi.org/10.1162/neco.2006.18.7.1527
        Hinton and Salakhutdinov, 2006, "Reducing the dimensionality of data with neural networks",
        figure 1, and its supporting text for the learning rates.
        https://doi.org/10.1126/science.1127647
        Bengio, Lamblin, Popovici and Larochelle, 2007, "Greedy layer-wise training of deep
        networks", section 4, for autoencoders.
    """
    integer("epochs", epochs)
    integer("batch_size", batch_size)
    integer("seed", seed, 0)
    stages = make_stages(model, method, optimizer, steps, seed)
    examples = _check_examples(x, stages[0].trainer)
    if folder is not None:
        folder = Path(folder)
        settings = {"epochs": epochs, "batch_size": batch_size, "method": method, "steps": steps}
        settings |= {"seed": seed, "examples": [*examples.shape, zlib.crc32(examples.tobytes())]}
        settings["optimizers"] = [_describe(stage.trainer.optimizer) for stage in stages]
        _check_folder(model, folder, settings)
        # The stages of autoencoders hold copies of weights, which may have changed.
        stages = make_stages(model, method, optimizer, steps, seed)
    histories = []
    for number, stage in enumerate(stages, 1):
        own = list(callbacks(number)) if callbacks else []
        place = folder and folder / f"stage-{number}"
        order = seed + number
        histories.append(_train(stage, examples, epochs, batch_size, order, place, own, verbose))
        stage.copy_to_model()
        if number < len(stages):
            starts = range(0, len(examples), ROWS)
            parts = [stage.forward(tf.constant(examples[s : s + ROWS])) for s in starts]
            examples = np.concatenate(parts)
    return histories


def _train(stage: Stage, examples, epochs, batch_size, seed, folder, callbacks, verbose):
    """Trains one layer, resuming from its checkpoints, and returns its history."""
    trainer, supervised = stage.trainer, isinstance(stage.trainer, SupervisedTrainer)
    done, past, callbacks = 0, {}, [*callbacks]
    if folder is not None:
        checkpoints = _layer_checkpoints(stage, folder, callbacks)
        checkpoints.resume(trainer)
        done, callbacks = checkpoints.epochs, [*callbacks, checkpoints]
        past = {
            name: [logs[name] for logs in checkpoints.history]
            for name in (checkpoints.history or [{}])[0]
        }
        if checkpoints.stopped or done == epochs:
            if any(isinstance(callback, StopOnGeneralizationGap) for callback in callbacks):
                checkpoints.restore_best(trainer)
            return past
    batches = training_batches({"x": examples}, {}, batch_size, seed, start_epoch=done)
    new = trainer.fit(
        batches.map(lambda x, _: (x["x"], x["x"]) if supervised else x["x"]),
        initial_epoch=done,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch(len(examples), batch_size),
        callbacks=callbacks,
        shuffle=False,
        verbose=verbose,
    ).history
    return {name: [*past.get(name, ()), *map(float, values)] for name, values in new.items()}


def _layer_checkpoints(stage: Stage, folder: Path, callbacks) -> Checkpoints:
    """Returns a layer's checkpoints, connected to the callbacks that restore the best weights."""
    deciding = [callback for callback in callbacks if isinstance(callback, DECIDING)]
    checkpoints = Checkpoints(folder, stage.monitor, "min", deciding)
    for callback in callbacks:
        # These keep their best weights in memory, which a resumed process does not have.
        if getattr(callback, "restore_best_weights", False):
            raise ValueError(
                f"With a folder {type(callback).__name__} must have restore_best_weights=False."
            )
        if isinstance(callback, StopOnGeneralizationGap):
            if callback.validation != stage.monitor:
                raise ValueError(
                    "With a folder StopOnGeneralizationGap must have "
                    f"validation={stage.monitor!r}, whose best epoch is kept, "
                    f"not {callback.validation!r}."
                )
            callback.checkpoints = checkpoints
    return checkpoints


def _describe(optimizer: keras.optimizers.Optimizer) -> str:
    config = {k: v for k, v in optimizer.get_config().items() if k != "name"}
    return f"{type(optimizer).__name__} {json.dumps(config, sort_keys=True, default=str)}"


def _check_examples(x, trainer: Trainer) -> np.ndarray:
    """Returns the examples as float32, after checking them."""
    examples = np.asarray(x)
    features = trainer.trainable_variables[0].shape[0]
    if examples.ndim != 2 or examples.shape[1] != features or not len(examples):
        raise ValueError(f"x must be of shape (examples, {features}), not {examples.shape}.")
    examples = examples.astype("float32")
    if not np.isfinite(examples).all():
        raise ValueError("x contains NaN or infinity.")
    machine, least, most = getattr(trainer, "machine", None), examples.min(), examples.max()
    bernoulli = machine is not None and machine.visible == "bernoulli"
    if bernoulli and (least < 0 or most > 1):
        raise ValueError(f"x must lie in [0, 1] for Bernoulli units, not in [{least:g}, {most:g}].")
    return examples


def _check_folder(model: keras.Model, folder: Path, settings: dict) -> None:
    """Stores the settings and the initial weights; if they are stored, checks and restores them."""
    settings = json.loads(json.dumps(settings))
    file, weights = folder / "settings.json", folder / "initial.weights.h5"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        model.save_weights(weights)
        atomic_write(file, json.dumps(settings))
        return
    try:
        stored = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise RecipeError(f"{file} cannot be read: {reason(error)}.") from error
    for name, value in settings.items():
        if stored.get(name) != value:
            raise RecipeError(
                f"{folder} holds pre-training with {name} {stored.get(name)}, not {value}.",
                "Choose another folder.",
            )
    try:
        model.load_weights(weights)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{weights} does not fit {model.name}: {reason(error)}") from error
