"""Outputs of a Keras model: any structure of tensors as a flat dictionary with unique names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.utils.naming import to_snake_case  # Keras has no public function.

from dlrecipes.errors import UsageError, reason
from dlrecipes.export.names import by_name, unique_names

# The lengths of the rows of a ragged tensor, which is published as a padded tensor.
LENGTHS = "_lengths"


def named_outputs(
    model: str, results: Any, layers: Sequence[str | None] | None = None
) -> dict[str, tf.Tensor]:
    """Returns all tensors of a structure by name.

    A dictionary's tensors are named by their keys, nested ones by all keys and positions on the
    way: `{"heads": [a, b]}` becomes `heads_0` and `heads_1`. Tensors without keys have the name
    of their layer, or `output_0`, `output_1` as in Keras' own export if that has no name.
    Repeated names get a number, as several outputs of one layer do: `lstm`, `lstm_1`, `lstm_2`.
    `None` is left out. A ragged tensor becomes a padded one and its rows' lengths.

    Args:
        model: Name of the model, for error messages.
        results: Tensor, or structure of tensors.
        layers: Names of the layers that return the tensors, in order, as `output_layers` returns
            them. Defaults to `None`.

    Raises:
        UsageError: If an output is not a tensor or a number, or there are no outputs.
    """
    paths = keras.tree.flatten_with_path(_with_text_keys(results))
    known = layers if layers is not None and len(layers) == len(paths) else None
    names, tensors = [], []
    for k, (path, value) in enumerate(paths):
        if value is None:
            continue
        name = _name(path, known[k] if known else None)
        for suffix, tensor in _dense(model, name, value).items():
            names.append(name + suffix)
            tensors.append(tensor)
    if not tensors:
        raise UsageError(
            f"{model}: the model returns no tensors.", "Return at least one tensor from call()."
        )
    return by_name(model, unique_names(names), tensors)


def output_layers(functional: Any) -> list[str | None]:
    """Returns the names of the layers that return a functional model's outputs, in order.

    A name that Keras generated is `None`: its number depends on how many layers the process has
    made before.

    Args:
        functional: Functional model.
    """
    operations = [
        tensor._keras_history.operation
        for tensor in keras.tree.flatten(functional._outputs_struct)
        if tensor is not None
    ]
    return [None if _is_generated(operation) else operation.name for operation in operations]


def _is_generated(operation: Any) -> bool:
    generated = to_snake_case(type(operation).__name__)
    name = re.sub(r"_\d+$", "", operation.name)
    return name in (generated, re.sub(r"_\d+$", "", generated))


def _with_text_keys(structure: Any) -> Any:
    """Returns a structure whose keys are texts, as in a `.keras` file."""
    if hasattr(structure, "_asdict"):
        structure = structure._asdict()  # A named tuple.
    if isinstance(structure, Mapping):
        return {str(key): _with_text_keys(value) for key, value in structure.items()}
    if isinstance(structure, list | tuple):
        return [_with_text_keys(value) for value in structure]
    return structure


def _name(path: Sequence[Any], layer: str | None) -> str:
    if layer is not None and all(isinstance(part, int) for part in path):
        return layer
    parts = [str(part) for part in path] or ["0"]
    if not path or str(path[0]).isdigit():
        parts.insert(0, "output")
    return "_".join(parts)


def _dense(model: str, name: str, value: Any) -> dict[str, tf.Tensor]:
    """Returns an output as dense tensors, by the ending of their names."""
    if isinstance(value, tf.RaggedTensor):
        if value.ragged_rank != 1:
            raise UsageError(
                f"{model}: the output {name} is ragged in {value.ragged_rank} dimensions, and "
                "published models return tensors.",
                "Return a padded tensor: x.to_tensor().",
            )
        return {"": value.to_tensor(), LENGTHS: value.row_lengths()}
    if isinstance(value, tf.SparseTensor):
        return {"": tf.sparse.to_dense(value)}
    try:
        array = np.asarray(value, "float32") if isinstance(value, float) else value
        return {"": tf.convert_to_tensor(array)}
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{model}: the output {name} is of type {type(value).__name__}, not a tensor: "
            f"{reason(error).rstrip('.')}.",
            "Return tensors, numbers, or lists and dictionaries of them.",
        ) from None
