"""What is published of a Keras model as it is: its inputs and outputs by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.errors import UsageError, reason

ROWS = 8


@dataclass(frozen=True)
class Signature:
    """A function that is published, with real inputs on which it is verified.

    Args:
        function: From tensors to a dictionary of tensors; its names are the outputs' names.
        inputs: Shape, type and name of each input, in the function's order.
        examples: Inputs to compare on: each a tuple of arrays in the same order.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: Sequence[tf.TensorSpec]
    examples: Sequence[tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Quantized:
    """Smaller forms of `model.tflite`, published if they are nearly as good.

    Args:
        formats: Of `"float16"`, `"dynamic"` and `"int8"`.
        calibration: Inputs, as an endpoint's examples, from which int8 takes its ranges.
        metric: What of the task they are measured by; more is better.
        measure: From a function that is called like the LiteRT model to its metric.
        drop: How much less of the metric than `model.tflite` has is still published.
    """

    formats: Sequence[Literal["float16", "dynamic", "int8"]]
    calibration: Sequence[tuple[np.ndarray, ...]]
    metric: str
    measure: Callable[[Callable[..., Mapping[str, np.ndarray]]], float]
    drop: float


@dataclass(frozen=True)
class Exports:
    """What a recipe publishes.

    Args:
        signatures: The SavedModel's, by name; `"serving_default"` is the one called first.
        litert: The function of `model.tflite`: tensors in and out, no strings.
        files: Further text files beside the model, by name (vocabularies).
        notes: Facts that the graphs do not state, in Markdown, for the model card's usage section:
            value ranges, meaning of the outputs, order of the labels. Defaults to `""`.
        quantized: Smaller forms of the LiteRT model, if there are to be any.
    """

    signatures: Mapping[str, Signature]
    litert: Signature
    files: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""
    quantized: Quantized | None = None


def exports_from_model(model: keras.Model, examples: Any) -> Exports:
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
    litert = Signature(function, single, singles) if one_by_one else None
    serving = Signature(function, batch, [tuple(rows), singles[0]])
    return Exports({"serving_default": serving}, litert or serving)


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
