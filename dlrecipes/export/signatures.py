"""Signatures of published models: functions with named inputs and outputs, and examples."""

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
        function: Function from tensors to a dictionary of tensors, whose keys name the outputs.
        inputs: Shape, type and name of each input, in the order of the function's arguments.
        examples: Inputs on which artefacts are compared; each is a tuple of arrays in the same
            order.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: Sequence[tf.TensorSpec]
    examples: Sequence[tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Quantized:
    """Smaller LiteRT formats, each published if its metric is close to the float32 file's.

    Args:
        formats: Formats to write: `"float16"`, `"dynamic"` or `"int8"`.
        calibration: Inputs that determine the value ranges for int8, each a tuple of arrays as
            in `Signature.examples`.
        metric: Name of the metric; higher is better.
        measure: Function that computes the metric of a LiteRT model, which it calls by input name.
        drop: Largest decrease of the metric, relative to `model.tflite`, that is published.
    """

    formats: Sequence[Literal["float16", "dynamic", "int8"]]
    calibration: Sequence[tuple[np.ndarray, ...]]
    metric: str
    measure: Callable[[Callable[..., Mapping[str, np.ndarray]]], float]
    drop: float


@dataclass(frozen=True)
class Exports:
    """Everything that a recipe publishes.

    Args:
        signatures: Signatures of the SavedModel by name; clients call `"serving_default"` unless
            they name another.
        litert: Function of `model.tflite`, without string tensors.
        files: Further text files by name, such as vocabularies. Defaults to no files.
        notes: Facts that the graphs do not state, in Markdown, for the model card's usage section:
            value ranges, meaning of the outputs, order of the labels. Defaults to `""`.
        quantized: Smaller LiteRT formats. Defaults to `None`: only float32.
        without_litert: Why there are no LiteRT files, in one line. Defaults to `""`: there are.
    """

    signatures: Mapping[str, Signature]
    litert: Signature
    files: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""
    quantized: Quantized | None = None
    without_litert: str = ""


def exports_from_model(model: keras.Model, examples: Any) -> Exports:
    """Returns a model's inputs and outputs as signatures.

    The SavedModel takes batches of any size, and so does the LiteRT file. The LiteRT file of a
    network with recurrent layers takes single examples of any length instead.

    Args:
        model: Functional or sequential model, built.
        examples: Inputs on which the artefacts are compared with the model: an array, arrays by
            input name, or a list of arrays in the order of the inputs.

    Raises:
        UsageError: If the model's inputs cannot be inferred, or the examples do not fit them.
    """
    # A sequential model holds a functional model.
    functional = getattr(model, "_functional", None) or model
    tensors = getattr(functional, "inputs", None)
    if not tensors or not hasattr(functional, "_inputs_struct"):
        raise UsageError(
            f"{model.name}: cannot infer the model's inputs.",
            "Build it with keras.Input, or pass signatures.",
        )
    names = [tensor.name for tensor in tensors]
    arrays = _example_arrays(tensors, examples)
    batch = [
        tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name=name)
        for name, tensor in zip(names, tensors, strict=True)
    ]
    for spec, array in zip(batch, arrays, strict=True):
        if not spec.shape.is_compatible_with(array.shape):
            raise UsageError(
                f"{model.name}: expected examples of {spec.name} with shape {tuple(spec.shape)}, "
                f"got {array.shape}.",
                "A list holds one array per input: pass an array of all examples.",
            )
    outputs = functional.output_names

    def function(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        # The model takes one tensor or a structure of tensors.
        packed = tf.nest.pack_sequence_as(functional._inputs_struct, inputs)
        results = model(packed, training=False)
        if isinstance(results, Mapping):
            return dict(results)
        return dict(zip(outputs, tf.nest.flatten(results), strict=True))

    singles = [tuple(array[k : k + 1] for array in arrays) for k in range(len(arrays[0]))]
    serving = Signature(function, batch, [tuple(arrays), singles[0]])
    litert = serving
    if any(isinstance(layer, keras.layers.RNN) for layer in model._flatten_layers()):
        single = [tf.TensorSpec([1, *spec.shape[1:]], spec.dtype, name=spec.name) for spec in batch]
        litert = Signature(function, single, singles)
    return Exports({"serving_default": serving}, litert)


def _example_arrays(tensors: Sequence[keras.KerasTensor], examples: Any) -> list[np.ndarray]:
    """Returns the first examples of each input."""
    names = [tensor.name for tensor in tensors]
    if isinstance(examples, Mapping):
        if set(examples) != set(names):
            raise UsageError(
                f"Expected examples of the inputs {', '.join(names)}, got {', '.join(examples)}."
            )
        values = [examples[name] for name in names]
    else:
        values = list(examples) if isinstance(examples, list | tuple) else [examples]
    if len(values) != len(names):
        raise UsageError(
            f"Expected {len(names)} arrays of examples, for {', '.join(names)}, got {len(values)}.",
            "A list holds one array per input.",
        )
    arrays = [_example_array(tensor, value) for tensor, value in zip(tensors, values, strict=True)]
    if len({len(array) for array in arrays}) > 1:
        counts = ", ".join(f"{name} {len(x)}" for name, x in zip(names, arrays, strict=True))
        raise UsageError(f"The inputs have different numbers of examples: {counts}.")
    return arrays


def _example_array(tensor: keras.KerasTensor, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value, tf.as_dtype(tensor.dtype).as_numpy_dtype)[:ROWS]
    except (TypeError, ValueError, IndexError) as error:
        raise UsageError(
            f"The examples of {tensor.name} cannot be converted to an array of {tensor.dtype} "
            f"with the examples along the first axis: {reason(error)}."
        ) from None
    if not array.ndim or not len(array):
        raise UsageError(
            f"{tensor.name}: expected at least one example, with the examples along the first axis."
        )
    return array
