"""What is published of a Keras model as it is: its inputs and outputs by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.card import FILES, table
from dlrecipes.errors import UsageError, reason
from dlrecipes.recipe import Endpoint, Exports

ROWS = 8
# Numbers of a request that a card shows.
SHOWN = 32


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
    rows = _rows(tensors, examples)
    batch = [
        tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name=name)
        for name, tensor in zip(names, tensors, strict=True)
    ]
    for spec, row in zip(batch, rows, strict=True):
        if not spec.shape.is_compatible_with(row.shape):
            raise UsageError(
                f"{model.name}: the examples of {spec.name} have shape {row.shape}, "
                f"which is not {tuple(spec.shape)}.",
                "A list is one array for each input: give an array of all examples.",
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


def _rows(tensors: Sequence[keras.KerasTensor], examples: Any) -> list[np.ndarray]:
    names = [tensor.name for tensor in tensors]
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
            f"{len(arrays)} arrays of examples are given; the inputs are {', '.join(names)}.",
            "A list is one array for each input.",
        )
    found = []
    for tensor, given in zip(tensors, arrays, strict=True):
        try:
            array = np.asarray(given, tf.as_dtype(tensor.dtype).as_numpy_dtype)[:ROWS]
        except (TypeError, ValueError, IndexError) as error:
            raise UsageError(
                f"The examples of {tensor.name} are no array of {tensor.dtype} with the examples "
                f"along the first axis: {reason(error)}."
            ) from None
        if not array.ndim or not len(array):
            raise UsageError(
                f"{tensor.name}: an example at least is wanted, with the examples along the first "
                "axis."
            )
        found.append(array)
    if len({len(array) for array in found}) > 1:
        told = ", ".join(f"{t.name} {len(x)}" for t, x in zip(tensors, found, strict=True))
        raise UsageError(f"The inputs have different numbers of examples: {told}.")
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
    parts = [
        "---\nlicense: unknown\nlibrary_name: keras\ntags: [tensorflow, litert]\n---\n\n"
        + f"# {name}",
        f"{model.count_params():,} parameters. Every file was loaded again and compared with the "
        "model before this folder appeared.",
        FILES.rstrip(),
        "## Call it\n\n" + table(["signature", "input", "type", "shape"], rows),
        _request(name, exports),
    ]
    return "\n\n".join(parts) + "\n"


def _request(name: str, exports: Exports) -> str:
    """Returns a request as a person would write it, of the default signature."""
    endpoint = exports.signatures.get("serving_default")
    if endpoint is None:
        return ""
    given = {}
    for spec in endpoint.inputs:
        shape = [size or 1 for size in (spec.shape.as_list() if spec.shape.rank else [])]
        if np.prod(shape) > SHOWN:
            return ""
        kind = str if spec.dtype == tf.string else spec.dtype.as_numpy_dtype
        given[spec.name] = np.zeros(shape, kind).tolist()
    body = json.dumps({"inputs": given})
    address = f"localhost:8501/v1/models/{name}:predict"
    return f"With `dlrecipes serve`:\n\n```\ncurl -d '{body}' {address}\n```"
