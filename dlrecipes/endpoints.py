"""What is published of a Keras model as it is: its inputs and outputs by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.card import table
from dlrecipes.errors import UsageError
from dlrecipes.recipe import Endpoint, Exports

ROWS = 8


def of_model(model: keras.Model, examples: Any) -> Exports:
    """Returns a model's own inputs and outputs as what is published.

    The SavedModel takes any number of examples. So does the LiteRT file, but for a network with
    recurrent layers, which takes one at a time, of any length.

    Args:
        model: A functional or sequential model, built.
        examples: Inputs on which the artefacts are compared with the model: an array, or arrays by
            input name, or a list of arrays in the inputs' order.

    Raises:
        UsageError: If the model does not tell its inputs, or the examples are not theirs.
    """
    # Keras keeps what a sequential model is in a functional one within it.
    functional = getattr(model, "_functional", None) or model
    tensors = getattr(functional, "inputs", None)
    if not tensors or not hasattr(functional, "_inputs_struct"):
        raise UsageError(
            f"{model.name}: this model does not tell its inputs.",
            "Build it with keras.Input, or give signatures.",
        )
    names = [tensor.name for tensor in tensors]
    rows = _rows(names, examples)
    batch = [
        tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name=name)
        for name, tensor in zip(names, tensors, strict=True)
    ]
    for spec, row in zip(batch, rows, strict=True):
        if not spec.shape.is_compatible_with(row.shape):
            raise UsageError(
                f"{model.name}: the examples of {spec.name} have shape {row.shape}, "
                f"which is not {tuple(spec.shape)}."
            )
    outputs = functional.output_names

    def function(*given: tf.Tensor) -> dict[str, tf.Tensor]:
        # As the model takes them: one tensor, or a structure of them.
        packed = tf.nest.pack_sequence_as(functional._inputs_struct, given)
        found = model(packed, training=False)
        if isinstance(found, Mapping):
            return dict(found)
        return dict(zip(outputs, tf.nest.flatten(found), strict=True))

    one_by_one = any(isinstance(layer, keras.layers.RNN) for layer in model._flatten_layers())
    single = [
        tf.TensorSpec([1, *spec.shape[1:]], spec.dtype, name=spec.name)
        for spec in batch
        if one_by_one
    ]
    singles = [tuple(row[k : k + 1] for row in rows) for k in range(len(rows[0]))]
    lite = Endpoint(function, single, singles) if one_by_one else None
    serving = Endpoint(function, batch, [tuple(rows), singles[0]])
    return Exports({"serving_default": serving}, lite or serving)


def _rows(names: Sequence[str], examples: Any) -> list[np.ndarray]:
    if isinstance(examples, Mapping):
        if set(examples) != set(names):
            raise UsageError(
                f"Examples are given of {', '.join(examples)}; the inputs are {', '.join(names)}."
            )
        arrays = [examples[name] for name in names]
    else:
        arrays = list(examples) if isinstance(examples, list | tuple) else [examples]
    if len(arrays) != len(names):
        raise UsageError(
            f"{len(arrays)} arrays of examples are given; the inputs are {', '.join(names)}."
        )
    found = [np.asarray(array)[:ROWS] for array in arrays]
    if any(not array.ndim or not len(array) for array in found):
        raise UsageError("An example at least is wanted, with the examples along the first axis.")
    return found


def plain_card(name: str, model: keras.Model, exports: Exports) -> str:
    """Returns a card that tells what can be told of any model.

    Args:
        name: What it is called.
        model: The model.
        exports: What is published of it.
    """
    rows = [
        [f"`{signature}`", f"`{spec.name}`", spec.dtype.name, str(spec.shape)]
        for signature, endpoint in exports.signatures.items()
        for spec in endpoint.inputs
    ]
    return (
        f"---\nlibrary_name: keras\n---\n\n# {name}\n\n{model.count_params():,} parameters. Every "
        "file was loaded again and compared with the model before this folder appeared.\n\n"
        + table(["signature", "input", "type", "shape"], rows)
        + "\n"
    )
