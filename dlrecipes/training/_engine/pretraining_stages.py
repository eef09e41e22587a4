"""The stages of pre-training: each trains one layer and copies it into the network."""

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
    """The training of one layer.

    Args:
        trainer: Compiled trainer, whose layer has the size of the model's.
        forward: Function from this stage's examples to those of the next stage, in float32.
        copy_to_model: Function that copies the trained weights into the model.
        monitor: Name of the log to monitor; smaller is better.
    """

    trainer: Trainer
    forward: Callable[[tf.Tensor], tf.Tensor]
    copy_to_model: Callable[[], None]
    monitor: str


def make_stages(
    model: keras.Model,
    method: str,
    optimizer: keras.optimizers.Optimizer | str | None,
    steps: int,
    seed: int,
) -> list[Stage]:
    """Returns the stages of a model, from the lowest layer up.

    The arguments are those of `pretrain`.

    Raises:
        ValueError: If the method is unknown, or if the model cannot be pre-trained with it.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}.")
    layers = {layer.name: layer for layer in model.layers}
    if {"encoder", "decoder"} <= layers.keys():
        pairs = _mirrored_layers(layers["encoder"], layers["decoder"])
        if method == "autoencoder":
            return [_autoencoder_stage(*pair, optimizer) for pair in pairs]
        unrolled = [_new_machine(*pair, seed + number) for number, pair in enumerate(pairs, 1)]
        machines, copies = zip(*unrolled, strict=True)
    elif method == "autoencoder":
        raise ValueError("method='autoencoder' needs a model of an encoder and a decoder.")
    else:
        machines = _stacked_machines(model)
        copies = [lambda: None] * len(machines)
    for below, machine in itertools.pairwise(machines):
        if below.hidden != machine.visible:
            raise ValueError(
                f"{machine.name} has {machine.visible} visible units, but the hidden units of "
                f"{below.name}, which it reads, are {below.hidden}."
            )
    stages = []
    for number, (machine, copy_to_model) in enumerate(zip(machines, copies, strict=True), 1):
        trainer = ContrastiveDivergence(machine, steps=steps, seed=seed + number)
        rate = 0.001 if "gaussian" in (machine.visible, machine.hidden) else 0.1
        trainer.compile(_copy_of(optimizer) or keras.optimizers.SGD(rate, momentum=0.5))
        stages.append(
            Stage(trainer, machine.hidden_probabilities, copy_to_model, "reconstruction_error")
        )
    return stages


def _stacked_machines(model) -> list[RestrictedBoltzmannMachine]:
    """Returns the Boltzmann machines of a model, from the lowest up."""
    # Machines are trained on the outputs of those below without dropout.
    skipped = keras.layers.InputLayer | keras.layers.Dropout
    layers = [layer for layer in model.layers if not isinstance(layer, skipped)]
    machines = [layer for layer in layers if isinstance(layer, RestrictedBoltzmannMachine)]
    if not machines or machines != layers[: len(machines)]:
        raise ValueError(
            f"{model.name} must begin with RestrictedBoltzmannMachine layers, or have models "
            "named 'encoder' and 'decoder'."
        )
    return machines


def _mirrored_layers(encoder, decoder) -> list[tuple[keras.layers.Dense, keras.layers.Dense]]:
    """Returns each layer of the encoder with its mirror in the decoder, from the input up."""
    sides = [
        [layer for layer in side.layers if not isinstance(layer, keras.layers.InputLayer)]
        for side in (encoder, decoder)
    ]
    supported = all(
        isinstance(layer, keras.layers.Dense) and layer.use_bias for layer in sides[0] + sides[1]
    )
    pairs = list(zip(sides[0], sides[1][::-1], strict=False))
    if (
        not supported
        or len(sides[0]) != len(sides[1])
        or any(up.kernel.shape != down.kernel.shape[::-1] for up, down in pairs)
    ):
        raise ValueError(
            "encoder and decoder must be Dense layers with biases, and mirror each other."
        )
    return pairs


def _new_machine(up, down, seed) -> tuple[RestrictedBoltzmannMachine, Callable[[], None]]:
    """Returns a machine for a layer and its mirror, and the function that unrolls it into them."""
    kinds = {keras.activations.sigmoid: "bernoulli", keras.activations.linear: "gaussian"}
    for layer in (up, down):
        if layer.activation not in kinds:
            raise ValueError(
                f"{layer.name}'s activation is {layer.activation.__name__}; contrastive divergence "
                "needs sigmoid or linear, and method='autoencoder' takes any."
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

    def copy_to_model():
        up.kernel.assign(machine.kernel)
        up.bias.assign(machine.hidden_bias)
        down.kernel.assign(tf.transpose(machine.kernel))
        down.bias.assign(machine.visible_bias)

    return machine, copy_to_model


def _autoencoder_stage(up, down, optimizer) -> Stage:
    """Returns the stage that trains a layer with its mirror, as a shallow autoencoder."""
    inputs = x = keras.Input((up.kernel.shape[0],))
    copies = []
    for layer in (up, down):
        # Another call of the model's own layer would remain in the model's graph.
        copy = type(layer).from_config(layer.get_config() | {"name": f"{layer.name}_{len(copies)}"})
        x = copy(x)
        copy.set_weights(layer.get_weights())
        copies.append(copy)
    trainer = SupervisedTrainer(keras.Model(inputs, x))
    is_sigmoid = down.activation is keras.activations.sigmoid
    loss = "binary_crossentropy" if is_sigmoid else "mean_squared_error"
    trainer.compile(_copy_of(optimizer) or keras.optimizers.Adam(), loss)

    def copy_to_model():
        for layer, copy in zip((up, down), copies, strict=True):
            layer.set_weights(copy.get_weights())

    return Stage(trainer, lambda x: tf.cast(copies[0](x), tf.float32), copy_to_model, "loss")


def _copy_of(
    optimizer: keras.optimizers.Optimizer | str | None,
) -> keras.optimizers.Optimizer | None:
    """Returns a new optimizer with the same settings."""
    if optimizer is None:
        return None
    original = keras.optimizers.get(optimizer)
    return type(original).from_config(original.get_config())
