"""Checks of the networks and the data that trainers are given."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from dlrecipes.data.image_batches import plain_decoding_errors
from dlrecipes.layers import EnsembleMean

# Marks the message of a check in the graph, so that `plain_errors` recognizes it.
MARKER = "Invalid data: "


def check_built(network: keras.Model, name: str | None = None) -> None:
    """Raises an error unless the network is a built model or layer."""
    if not isinstance(network, keras.Layer):
        raise TypeError(f"{name or 'network'} must be a keras.Model, not {network!r}.")
    if not network.built:
        raise ValueError(f"{name or network.name} has no weights yet: call it on a batch first.")


def input_pairs(network: keras.Model, x: Any) -> list[tuple[keras.KerasTensor, Any]]:
    """Returns each input of a network with its part of the data; none if they do not match.

    Args:
        network: Network that the data are for.
        x: Inputs of one batch: a structure of arrays, tensors or `tf.TensorSpec`.
    """
    inputs = getattr(network, "inputs", None) or ()
    if isinstance(x, Mapping):
        return [(tensor, x[tensor.name]) for tensor in inputs if tensor.name in x]
    leaves = tf.nest.flatten(x)
    return list(zip(inputs, leaves, strict=True)) if len(leaves) == len(inputs) else []


def check_inputs(network: keras.Model, x: Any) -> None:
    """Raises an error if data have other shapes than a network expects.

    A network without known inputs is not checked.

    Args:
        network: Network that the data are for.
        x: Inputs of one batch: a structure of `tf.TensorSpec` or tensors.
    """
    if x is None:
        return
    for expected, tensor in input_pairs(network, x):
        if not _is_compatible(expected.shape, tensor.shape):
            sizes = ", ".join(["batch", *map(str, expected.shape[1:])])
            raise ValueError(
                f"{network.name} reads {expected.name} of shape ({sizes}), "
                f"not {tuple(tensor.shape)}."
            )


def ensemble_size(network: keras.Model) -> int:
    """Returns the number of networks whose outputs are stacked along the batch axis in training.

    It is the size of a `models.ensemble`, and 1 for any other network.
    """
    layers = network._flatten_layers(include_self=False)
    return next((layer.members for layer in layers if isinstance(layer, EnsembleMean)), 1)


def runtime_check(condition: tf.Tensor, message: str) -> tf.Operation | None:
    """Returns a check of values at run time, whose error `plain_errors` shortens to the message.

    Args:
        condition: Boolean scalar.
        message: The requirement that the values must meet.
    """
    return tf.debugging.Assert(condition, [f"{MARKER}{message}"])


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Converts the error of a failed `runtime_check` to a `ValueError` with the message alone.

    TensorFlow's own error adds the node and the stack trace that created it: dozens of lines. The
    error of an image that cannot be decoded is raised as the `DataError` that it was.
    """
    try:
        with plain_decoding_errors():
            yield
    except tf.errors.InvalidArgumentError as error:
        message = re.search(rf"{MARKER}(.*?)(?:'|\]|\n|$)", error.message)
        if not message:
            raise
        raise ValueError(message[1]) from None


def end_failed_training(callbacks: Any) -> None:
    """Calls `on_train_error` of callbacks that have it; Keras does not call `on_train_end`.

    Args:
        callbacks: The argument of `fit`: a list, a `keras.callbacks.CallbackList` or `None`.
    """
    for callback in getattr(callbacks, "callbacks", callbacks) or ():
        if hasattr(callback, "on_train_error"):
            callback.on_train_error()


def _is_compatible(expected: tuple, shape: tf.TensorShape) -> bool:
    if shape.rank is None:
        return True
    sizes = list(shape)
    # Keras adds or removes a last axis of size 1.
    if len(sizes) == len(expected) - 1 and expected[-1] == 1:
        sizes.append(1)
    elif len(sizes) == len(expected) + 1 and sizes[-1] == 1:
        sizes.pop()
    return tf.TensorShape(sizes).is_compatible_with(tf.TensorShape([None, *expected[1:]]))


def refuse_losses_and_metrics(trainer: str, arguments: Mapping[str, Any]) -> None:
    """Raises an error if arguments of `compile` name a loss or metrics.

    Args:
        trainer: Name of the trainer's class, which defines its own.
        arguments: Arguments of `compile` by name.

    Raises:
        ValueError: If `loss`, `loss_weights`, `metrics` or `weighted_metrics` is given.
    """
    if arguments.get("loss"):
        raise ValueError(
            f"{trainer} has its own losses and metrics and takes no loss: compile it without one."
        )
    for name in ("loss_weights", "metrics", "weighted_metrics"):
        if arguments.get(name):
            raise ValueError(f"{trainer} has its own losses and metrics: compile takes no {name}.")
