"""What trains each layer of a deep network by itself, and puts it into the network."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from dlrecipes.layers import RestrictedBoltzmannMachine
from dlrecipes.training.contrastive_divergence import ContrastiveDivergence
from dlrecipes.training.supervised import SupervisedTrainer
from dlrecipes.training.trainer import Trainer

METHODS = ("contrastive_divergence", "autoencoder")


class Stage(NamedTuple):
    """What trains one layer.

    Args:
        trainer: Compiled; its layer has the size of the model's.
        up: Returns what the next stage sees of what this one saw, in float32.
        land: Puts what was learnt into the model.
        monitor: The log that says how far it is; the smaller, the better.
    """

    trainer: Trainer
    up: Callable[[tf.Tensor], tf.Tensor]
    land: Callable[[], None]
    monitor: str


def stages_of(
    model: keras.Model,
    method: str,
    optimizer: keras.optimizers.Optimizer | str | None,
    steps: int,
    seed: int,
) -> list[Stage]:
    """Returns the stages of a model, from the lowest up; refuses one that has none.

    Arguments are those of `pretrain`.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}.")
    layers = {layer.name: layer for layer in model.layers}
    if {"encoder", "decoder"} <= layers.keys():
        pairs = _mirrored(layers["encoder"], layers["decoder"])
        if method == "autoencoder":
            return [_shallow(*pair, optimizer) for pair in pairs]
        made = [_machine(*pair, seed + number) for number, pair in enumerate(pairs, 1)]
        machines, lands = zip(*made, strict=True)
    elif method == "autoencoder":
        raise ValueError("method='autoencoder' wants a model of an encoder and a decoder.")
    else:
        machines = _stacked(model)
        lands = [lambda: None] * len(machines)
    for below, machine in itertools.pairwise(machines):
        if below.hidden != machine.visible:
            raise ValueError(
                f"{machine.name} has {machine.visible} visible units, but those that it sees, "
                f"of {below.name}, are {below.hidden}."
            )
    stages = []
    for number, (machine, land) in enumerate(zip(machines, lands, strict=True), 1):
        trainer = ContrastiveDivergence(machine, steps=steps, seed=seed + number)
        rate = 0.001 if "gaussian" in (machine.visible, machine.hidden) else 0.1
        trainer.compile(_like(optimizer) or keras.optimizers.SGD(rate, momentum=0.5))
        stages.append(Stage(trainer, machine.hidden_probabilities, land, "reconstruction_error"))
    return stages


def _stacked(model) -> list[RestrictedBoltzmannMachine]:
    """Returns the machines of a model, from the lowest up."""
    layers = [one for one in model.layers if not isinstance(one, keras.layers.InputLayer)]
    machines = [one for one in layers if isinstance(one, RestrictedBoltzmannMachine)]
    if not machines or machines != layers[: len(machines)]:
        raise ValueError(
            f"{model.name} must begin with RestrictedBoltzmannMachine layers, or have models "
            "named 'encoder' and 'decoder'."
        )
    return machines


def _mirrored(encoder, decoder) -> list[tuple[keras.layers.Dense, keras.layers.Dense]]:
    """Returns each layer of the encoder with its mirror, from the input on."""
    sides = [
        [layer for layer in side.layers if not isinstance(layer, keras.layers.InputLayer)]
        for side in (encoder, decoder)
    ]
    fine = all(isinstance(one, keras.layers.Dense) and one.use_bias for one in sides[0] + sides[1])
    pairs = list(zip(sides[0], sides[1][::-1], strict=False))
    if (
        not fine
        or len(sides[0]) != len(sides[1])
        or any(up.kernel.shape != down.kernel.shape[::-1] for up, down in pairs)
    ):
        raise ValueError("encoder and decoder must be Dense layers with biases that mirror others.")
    return pairs


def _machine(up, down, seed) -> tuple[RestrictedBoltzmannMachine, Callable[[], None]]:
    """Returns a machine for a layer and its mirror, and what unrolls it into them."""
    kinds = {keras.activations.sigmoid: "bernoulli", keras.activations.linear: "gaussian"}
    for layer in (up, down):
        if layer.activation not in kinds:
            raise ValueError(
                f"{layer.name}'s activation is {layer.activation.__name__}; contrastive divergence "
                "wants sigmoid or linear ones: method='autoencoder' takes any."
            )
    machine = RestrictedBoltzmannMachine(
        up.units,
        visible=kinds[down.activation],
        hidden=kinds[up.activation],
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=seed),
        dtype=up.dtype_policy,
        name=up.name,
    )
    machine.build((None, up.kernel.shape[0]))

    def land():
        up.kernel.assign(machine.kernel)
        up.bias.assign(machine.hidden_bias)
        down.kernel.assign(tf.transpose(machine.kernel))
        down.bias.assign(machine.visible_bias)

    return machine, land


def _shallow(up, down, optimizer) -> Stage:
    """Returns the stage that trains a layer and its mirror to restore what they see."""
    inputs = x = keras.Input((up.kernel.shape[0],))
    copies = []
    for layer in (up, down):
        # Another call of the model's own layer would stay in its graph.
        copy = type(layer).from_config(layer.get_config() | {"name": f"{layer.name}_{len(copies)}"})
        x = copy(x)
        copy.set_weights(layer.get_weights())
        copies.append(copy)
    trainer = SupervisedTrainer(keras.Model(inputs, x))
    restored = down.activation is keras.activations.sigmoid
    loss = "binary_crossentropy" if restored else "mean_squared_error"
    trainer.compile(_like(optimizer) or keras.optimizers.Adam(), loss)

    def land():
        for layer, copy in zip((up, down), copies, strict=True):
            layer.set_weights(copy.get_weights())

    return Stage(trainer, lambda x: tf.cast(copies[0](x), tf.float32), land, "loss")


def _like(
    optimizer: keras.optimizers.Optimizer | str | None,
) -> keras.optimizers.Optimizer | None:
    """Returns a new optimizer of the same settings."""
    if optimizer is None:
        return None
    given = keras.optimizers.get(optimizer)
    return type(given).from_config(given.get_config())
