"""What trainers ask of the networks that they are given, before they train them."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from dlrecipes.layers import EnsembleMean

# What opens the message of a check in the graph, so that it can be told from TensorFlow's.
REFUSED = "Refused: "


def refuse_unbuilt(network: keras.Model, name: str | None = None) -> None:
    """Refuses what is no model or layer, and one whose weights are not made."""
    if not isinstance(network, keras.Layer):
        raise TypeError(f"{name or 'network'} must be a keras.Model, not {network!r}.")
    if not network.built:
        raise ValueError(f"{name or network.name} has no weights yet: call it on a batch first.")


def check_inputs(network: keras.Model, x: Any) -> None:
    """Refuses data of other shapes than a network reads; does nothing where it does not tell.

    Args:
        network: What is to read it.
        x: A structure of `tf.TensorSpec` or tensors, as a batch is.
    """
    if x is None:
        return
    inputs = getattr(network, "inputs", None) or ()
    if isinstance(x, dict):
        pairs = [(tensor, x[tensor.name]) for tensor in inputs if tensor.name in x]
    else:
        given = tf.nest.flatten(x)
        pairs = list(zip(inputs, given, strict=True)) if len(given) == len(inputs) else []
    for wanted, one in pairs:
        if not _fits(wanted.shape, one.shape):
            sizes = ", ".join("batch" if place == 0 else str(size) for place, size in
                              enumerate(wanted.shape))  # fmt: skip
            raise ValueError(
                f"{network.name} reads {wanted.name} of shape ({sizes}), not {tuple(one.shape)}."
            )


def members(network: keras.Model) -> int:
    """Returns how many networks' outputs stand one below the other in training: 1, but for a
    `models.ensemble`.
    """
    layers = network._flatten_layers(include_self=False)
    return next((layer.members for layer in layers if isinstance(layer, EnsembleMean)), 1)


def refuse_unless(condition: tf.Tensor, message: str) -> tf.Operation | None:
    """Returns a check of values, made while a step runs; `plain_errors` tells what it finds.

    Args:
        condition: Boolean scalar.
        message: What the values must be.
    """
    return tf.debugging.Assert(condition, [f"{REFUSED}{message}"])


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Has a check of `refuse_unless` raise `ValueError` with its message and no more.

    TensorFlow's error adds the node and the stack that made it: dozens of lines.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(rf"{REFUSED}(.*?)(?:'|\]|\n|$)", error.message)
        if not found:
            raise
        raise ValueError(found[1]) from None


def _fits(wanted: tuple, shape: tf.TensorShape) -> bool:
    if shape.rank is None:
        return True
    sizes = list(shape)
    # Keras adds or takes away a last axis of size 1.
    if len(sizes) == len(wanted) - 1 and wanted[-1] == 1:
        sizes.append(1)
    elif len(sizes) == len(wanted) + 1 and sizes[-1] == 1:
        sizes.pop()
    return tf.TensorShape(sizes).is_compatible_with(tf.TensorShape([None, *wanted[1:]]))
