"""Checks of the values that trainers are given: NaN, ranges, and ids."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.errors import DataError
from dlrecipes.training._engine.checks import input_pairs

# Ranges of activations, and the scaling of 8-bit images to them.
RANGES = {
    "tanh": (-1.0, 1.0, "x / 127.5 - 1"),
    "sigmoid": (0.0, 1.0, "x / 255"),
    "hard_sigmoid": (0.0, 1.0, "x / 255"),
    "softmax": (0.0, 1.0, "x / 255"),
}
# Resizing with bicubic or Lanczos filters exceeds the range of an image by less than this fraction.
OVERSHOOT = 0.25
# Losses of Keras whose targets are probabilities, and those whose targets are not negative.
_PROBABILITY_LOSSES = {
    *("categorical_crossentropy", "categorical_focal_crossentropy", "kl_divergence"),
    *("binary_crossentropy", "binary_focal_crossentropy"),
}
_COUNT_LOSSES = {"poisson", "mean_squared_logarithmic_error"}
# Layers that change the shape of their inputs, or their type, and not their values.
_SHAPING = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.Identity,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
)


class InvalidData(DataError, ValueError):  # noqa: N818
    """Values that a trainer cannot learn from; a `ValueError` in Python, one line in a terminal."""


def check_count(x: Any) -> None:
    """Raises a `ValueError` if arrays hold no examples."""
    if any(tuple(leaf.shape[:1]) == (0,) for leaf in tf.nest.flatten(x)):
        raise InvalidData("x has no examples.")


def check_finite(name: str, values: Any) -> None:
    """Raises a `ValueError` if one of several float arrays contains NaN or infinity.

    Args:
        name: Name of the values in the message, such as `"x"`.
        values: Structure of arrays or tensors; `None`, integers and strings are skipped.
    """
    for part, leaf in _leaves(name, values):
        limits = bounds(leaf)
        if limits is not None and not np.isfinite(limits).all():
            kind = "NaN" if np.isnan(limits).any() else "infinity"
            raise InvalidData(f"{part} contains {kind}. Remove or replace these values.")


def bounds(values: Any) -> tuple[float, float] | None:
    """Returns the smallest and the largest value of an array, or `None` if it has no numbers.

    Both are NaN if any value is NaN.
    """
    if isinstance(values, tf.RaggedTensor):
        values = values.flat_values
    if isinstance(values, tf.SparseTensor):
        values = values.values
    if not hasattr(values, "dtype") or not hasattr(values, "__array__"):
        return None
    array = np.asarray(values)
    if array.dtype.kind == "V":  # bfloat16 and other types that NumPy does not have
        array = array.astype("float32")
    if array.dtype.kind not in "fiub" or not array.size:
        return None
    return float(array.min()), float(array.max())


def check_bounds(name: str, values: Any, low: float, high: float, rule: str, hint: str) -> None:
    """Raises a `ValueError` if a value is below `low` or above `high`.

    Args:
        name: Name of the values in the message, such as `"Targets"`.
        values: Array or tensor.
        low: Smallest value allowed.
        high: Largest value allowed.
        rule: Required range in words, such as `"in [0, 1]"`.
        hint: A sentence with the remedy, or `""`.
    """
    limits = bounds(values)
    if limits is not None and (limits[0] < low or limits[1] > high):
        least, most = limits
        raise InvalidData(f"{name} must be {rule}, got {least:g} to {most:g}. {hint}".rstrip())


def check_images(name: str, images: Any, generator: keras.Model) -> None:
    """Raises a `ValueError` if images are far outside of the range of a generator's activation.

    Args:
        name: Name of the images in the message, such as `"Targets"`.
        images: Array or eager tensor.
        generator: Network whose outputs are to resemble the images.
    """
    activation = output_activation(generator)
    if activation is not None:
        low, high, scaling = RANGES[activation]
        rule = f"in [{low:g}, {high:g}], the range of the generator's {activation}"
        margin = OVERSHOOT * (high - low)
        check_bounds(name, images, low - margin, high + margin, rule, f"Scale them: {scaling}.")


def check_image_type(name: str, images: Any, generator: keras.Model) -> None:
    """Raises a `ValueError` if images are integers or booleans and the generator's output is tanh.

    Args:
        name: Name of the images in the message, such as `"Examples"`.
        images: Array, tensor or `tf.TensorSpec`.
        generator: Network whose outputs are to resemble the images.
    """
    kind = tf.as_dtype(images.dtype)
    if (kind.is_integer or kind.is_bool) and output_activation(generator) == "tanh":
        low, high, scaling = RANGES["tanh"]
        raise InvalidData(
            f"{name} must be floats in [{low:g}, {high:g}], the range of the generator's tanh, not "
            f"{kind.name}. Scale them: {scaling}."
        )


def output_activation(network: keras.Model) -> str | None:
    """Returns the activation of a network's only output if it is a key of `RANGES`, else `None`."""
    outputs = getattr(network, "outputs", None) or ()
    if len(outputs) != 1:
        return None
    tensor = outputs[0]
    while True:
        layer = tensor._keras_history.operation
        if isinstance(layer, keras.Model):
            return output_activation(layer)
        activation = getattr(layer, "activation", None)
        name = getattr(activation, "__name__", "")
        if name in RANGES:
            return name
        shaping = isinstance(layer, _SHAPING) or (name == "linear" and not layer.weights)
        inputs = layer._inbound_nodes[0].input_tensors if layer._inbound_nodes else []
        if not shaping or len(inputs) != 1:
            # keras.ops.tanh and its like are operations, not layers.
            kind = type(layer).__name__.lower()
            return kind if kind in RANGES else None
        tensor = inputs[0]


def check_ids(network: Any, x: Any) -> None:
    """Raises a `ValueError` if integers are outside of the embedding that reads them.

    Args:
        network: Network; one without known inputs is not checked.
        x: Inputs of a batch: a structure of arrays or tensors.
    """
    sizes = embedding_sizes(network)
    if not sizes:
        return
    for tensor, values in input_pairs(network, x):
        if id(tensor) in sizes:
            most = sizes[id(tensor)] - 1
            rule = f"ids from 0 to {most}, the rows of its embedding"
            check_bounds(f"{network.name}: {tensor.name}", values, 0, most, rule, "")


def embedding_sizes(network: Any) -> dict[int, int]:
    """Returns the rows of the smallest embedding that reads an input directly, by the input's id.

    Args:
        network: Functional or sequential model; nested models are searched as well.
    """
    sizes: dict[int, int] = {}
    network = getattr(network, "_functional", None) or network
    inputs = {id(tensor): id(tensor) for tensor in getattr(network, "inputs", None) or ()}
    for operation in getattr(network, "operations", ()):
        for node in operation._inbound_nodes:
            read = [id(tensor) for tensor in node.input_tensors]
            if not any(key in inputs for key in read):
                continue
            if isinstance(operation, keras.layers.Embedding):
                inner = {0: operation.input_dim}
            elif isinstance(operation, keras.Model):
                own = embedding_sizes(operation)
                places = enumerate(operation.inputs) if own else ()
                inner = {k: own[id(tensor)] for k, tensor in places if id(tensor) in own}
            else:
                continue
            for place, size in inner.items():
                if place < len(read) and read[place] in inputs:
                    sizes[read[place]] = min(size, sizes.get(read[place], size))
    return sizes


def check_targets(loss: Any, outputs: Any, y: Any, sample_weight: Any = None) -> None:
    """Raises a `ValueError` if targets are outside of the range that a loss of Keras is made for.

    Args:
        loss: The loss given to `compile`.
        outputs: Outputs of the network; `None` if they are unknown.
        y: Targets of a batch.
        sample_weight: Sample weights; targets of weight 0 are not checked. Defaults to `None`.
    """
    if isinstance(loss, list | tuple) and len(loss) == 1:
        loss = loss[0]
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    if not hasattr(y, "dtype") or not hasattr(y, "__array__"):
        return
    values = np.asarray(y)
    if hasattr(sample_weight, "shape") and values.dtype.kind in "fiu":
        weights = np.asarray(sample_weight)
        if weights.shape == values.shape[: weights.ndim]:
            values = values[weights != 0]
    if name == "sparse_categorical_crossentropy":
        classes = outputs[0].shape[-1] if outputs and len(outputs) == 1 else None
        ignored = getattr(loss, "ignore_class", None)
        values = values if ignored is None else values[values != ignored]
        if classes is not None:
            is_one_hot = np.ndim(y) == len(outputs[0].shape) and y.shape[-1] == classes
            if classes > 1 and is_one_hot:
                raise InvalidData(
                    f"Targets must be class ids for {name}, not one number for each class. Use "
                    "categorical_crossentropy, or argmax of the targets."
                )
            rule = f"class ids from 0 to {classes - 1}"
            check_bounds("Targets", values, 0, classes - 1, rule, "")
    elif name in _PROBABILITY_LOSSES:
        check_bounds("Targets", values, 0, 1, f"in [0, 1] for {name}", "")
    elif name in _COUNT_LOSSES:
        check_bounds("Targets", values, 0, np.inf, f"at least 0 for {name}", "")


def _leaves(name: str, values: Any) -> list[tuple[str, Any]]:
    """Returns the arrays of a structure with their names: `x`, or the keys of a mapping."""
    if isinstance(values, Mapping):
        return [(f"{name}[{key!r}]", leaf) for key, leaf in values.items()]
    leaves = tf.nest.flatten(values)
    if len(leaves) == 1:
        return [(name, leaves[0])]
    return [(f"{name}[{number}]", leaf) for number, leaf in enumerate(leaves)]
