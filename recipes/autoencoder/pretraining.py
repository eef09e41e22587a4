"""Pre-training layer by layer as Boltzmann machines, and what the machines have learned."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from scipy.special import expit

from dlrecipes._utils.wording import counted
from dlrecipes.data.batches import epoch_steps
from dlrecipes.data.digits import LabelledImages
from dlrecipes.training import pretrain

from . import networks
from .config import Config

# Numbers of Gibbs steps after which each chain is shown, and of chains and filters.
GIBBS_STEPS, CHAINS = (0, 1, 5, 20, 100, 500), 6
SHOWN = CHAINS * len(GIBBS_STEPS)


class Machine(NamedTuple):
    """A trained Boltzmann machine.

    Args:
        kernel: Weights of shape `(visible units, hidden units)`.
        visible_bias: Biases of the visible units.
        hidden_bias: Biases of the hidden units.
        gaussian: Whether the hidden units are Gaussian.
    """

    kernel: np.ndarray
    visible_bias: np.ndarray
    hidden_bias: np.ndarray
    gaussian: bool

    def up(self, visible: np.ndarray) -> np.ndarray:
        """Returns probabilities or means of the hidden units."""
        drive = visible @ self.kernel + self.hidden_bias
        return drive if self.gaussian else expit(drive)

    def down(self, hidden: np.ndarray) -> np.ndarray:
        """Returns probabilities of the visible units."""
        return expit(hidden @ self.kernel.T + self.visible_bias)

    def gibbs_step(self, visible: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns samples of visible units, given those of the last step."""
        hidden = self.up(visible)
        if self.gaussian:
            hidden = hidden + rng.standard_normal(hidden.shape)
        else:
            hidden = rng.random(hidden.shape) < hidden
        visible = self.down(hidden)
        return (rng.random(visible.shape) < visible).astype("float32")


def train(config: Config, model: keras.Model, examples: LabelledImages, folder: Path) -> np.ndarray:
    """Trains the layers one after the other.

    Args:
        config: The settings.
        model: The trainer of the network.
        examples: Training images.
        folder: Folder of the checkpoints.

    Returns:
        Filters of the lowest machine, and samples of the stack: uint8 of shape
        `(2, SHOWN, height, width, channels)`.
    """
    _, passes = epoch_steps(len(examples), config.batch_size, config.min_steps_per_epoch)
    pretrain(
        networks.inner(model),
        networks.flattened(examples.images),
        epochs=config.pretrain_epochs * passes,
        batch_size=config.batch_size,
        seed=config.seed,
        folder=folder,
        callbacks=lambda layer: [_Progress(layer, passes)],
    )
    stack = machines(model)
    shape = (SHOWN, *examples.images.shape[1:])
    pictures = [filters(stack[0]), samples(stack, examples, config.seed)]
    return np.stack([(255 * part).round().astype("uint8").reshape(shape) for part in pictures])


class _Progress(keras.callbacks.Callback):
    """Prints the error of each layer; a line per epoch would be hundreds of them."""

    def __init__(self, layer: int, passes: int):
        super().__init__()
        self._layer, self._passes = layer, passes

    def on_epoch_end(self, epoch, logs=None):
        # Keras counts a pass as an epoch; an epoch of small data has several.
        passes = epoch + 1
        last = passes == self.params["epochs"]
        if last or (sys.stdout.isatty() and passes % self._passes == 0):
            error = (logs or {}).get("reconstruction_error", float("nan"))
            repeated = f" of {self._passes} passes over the data" if self._passes > 1 else ""
            print(
                f"layer {self._layer}: {counted(passes // self._passes, 'epoch')}{repeated}, "
                f"reconstruction error {error:.4f}",
                end="\n" if last else "\r",
                flush=True,
            )


def machines(model: keras.Model) -> list[Machine]:
    """Returns the machines of a model that was pre-trained and not yet fine-tuned."""
    stack = networks.machines(model)
    if stack:
        return [
            Machine(np.array(x.kernel), np.array(x.visible_bias), np.array(x.hidden_bias), False)
            for x in stack
        ]
    up, down = (
        [layer for layer in networks.inner(model).get_layer(side).layers if layer.weights]
        for side in ("encoder", "decoder")
    )
    return [
        Machine(
            np.array(layer.kernel),
            np.array(mirror.bias),
            np.array(layer.bias),
            layer.activation is keras.activations.linear,
        )
        for layer, mirror in zip(up, reversed(down), strict=True)
    ]


def filters(machine: Machine) -> np.ndarray:
    """Returns the largest weights of hidden units as images from 0 to 1; grey is their mean."""
    weights = np.zeros((SHOWN, len(machine.kernel)), "float32")
    columns = machine.kernel.T - machine.kernel.mean(axis=0)[:, None]
    largest = np.argsort(-np.square(columns).sum(axis=1), kind="stable")[:SHOWN]
    columns = columns[largest]
    weights[: len(columns)] = columns / (4 * columns.std(axis=1, keepdims=True) + 1e-9)
    return np.clip(weights + 0.5, 0, 1)


def samples(stack: list[Machine], examples: LabelledImages, seed: int) -> np.ndarray:
    """Returns samples of a stack of machines: chains after each of `GIBBS_STEPS`.

    The highest machine with Bernoulli units is sampled, beginning with training images; those below
    pass its probabilities down. The machine of the code has few Gaussian units, and is left out.

    Args:
        stack: The machines from the lowest up.
        examples: Training images.
        seed: Seed of the random numbers.
    """
    rng = np.random.default_rng(seed)
    visible = networks.flattened(examples.images[rng.choice(len(examples), CHAINS)])
    *below, highest = [machine for machine in stack if not machine.gaussian] or stack
    for machine in below:
        visible = machine.up(visible)
    rows = []
    for step in range(GIBBS_STEPS[-1] + 1):
        if step in GIBBS_STEPS:
            # Probabilities have less noise than the last sample.
            images = highest.down(highest.up(visible))
            for machine in reversed(below):
                images = machine.down(images)
            rows.append(images)
        visible = highest.gibbs_step(visible, rng)
    return np.concatenate(rows)
