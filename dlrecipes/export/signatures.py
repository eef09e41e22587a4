"""Signatures of published models: functions with named inputs and outputs, and examples."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.errors import UsageError
from dlrecipes.export.detection_outputs import DetectionMatch
from dlrecipes.export.litert_metadata import Metadata
from dlrecipes.export.names import UNNAMED, input_names
from dlrecipes.export.processing import Processing
from dlrecipes.export.version import ModelVersion


@dataclass(frozen=True)
class Signature:
    """A function that is published, with real inputs on which it is verified.

    Args:
        function: Function from tensors to a dictionary of tensors, whose keys name the outputs.
        inputs: Shape, type and name of each input, in the order of the function's arguments.
        examples: Inputs on which artefacts are compared; each is a tuple of arrays in the same
            order.
        given_names: Names that the user gave to inputs, by their names here, where they differ.
            Defaults to none. Names that are not valid in a SavedModel are changed, and added here.
        expected: Outputs of the first example that the graph must have. Defaults to `None`.
        match: How outputs that are detections are compared. Defaults to `None`: each number with
            the number in its place.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: Sequence[tf.TensorSpec]
    examples: Sequence[tuple[np.ndarray, ...]]
    given_names: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, np.ndarray] | None = None
    match: DetectionMatch | None = None

    def __post_init__(self) -> None:
        """Makes the names of the inputs valid and unique."""
        given = [spec.name or UNNAMED for spec in self.inputs]
        names = input_names(given)
        pairs = list(zip(names, self.inputs, strict=True))
        inputs = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in pairs]
        changed = {
            name: old
            for name, (_, spec) in zip(names, pairs, strict=True)
            if (old := spec.name) and old != name
        }
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "given_names", {**changed, **self.given_names})

    @functools.cached_property
    def traced(self) -> tf.types.experimental.ConcreteFunction:
        """The function as a single graph for all its examples, which is traced only once."""
        return tf.function(self.function, input_signature=list(self.inputs)).get_concrete_function()


Measure = Callable[[Callable[..., Mapping[str, np.ndarray]]], float]


@dataclass(frozen=True)
class Reference:
    """Another model's LiteRT file, which the card compares with the version's own.

    Args:
        path: The file.
        measure: Function that computes the same metric on the same examples, for a file with other
            inputs or outputs. Defaults to `None`: `Quantized.measure`.
        example: One example by input name, to measure the time of a call. Defaults to `None`: an
            example of the version.
    """

    path: Path
    measure: Measure | None = None
    example: Mapping[str, np.ndarray] | None = None


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
        method: How the network itself was compressed, for the card's table: `"pruned"` or
            `"distilled"`. Defaults to `""`.
        references: Further LiteRT files to measure and list in the same table, by label, such as
            the teacher's. Defaults to none.
    """

    formats: Sequence[Literal["float16", "dynamic", "int8"]]
    calibration: Sequence[tuple[np.ndarray, ...]]
    metric: str
    measure: Measure
    drop: float
    method: str = ""
    references: Mapping[str, Reference] = field(default_factory=dict)


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
        metadata: Metadata of the LiteRT files, with which MediaPipe Tasks loads them; see
            `dlrecipes.export.litert_metadata`. Defaults to `None`: none.
        sparsity: Smallest fraction of zeros over all kernels of convolutions and dense layers, in
            every published file. A version with less is not published, and the card lists the
            fractions. Defaults to `None`: not checked.
        processing: How LiteRT files answer the requests of `serving_default`, and perhaps of other
            signatures, without TensorFlow. Defaults to `None`: they do not.
        check: Called with the written version before it is published; it raises `PublishError` to
            refuse it. Defaults to `None`: nothing further is checked.
        litert_parts: Further LiteRT functions by name, such as one half of the model: `encoder` is
            published as `encoder.tflite`. Defaults to none.
    """

    signatures: Mapping[str, Signature]
    litert: Signature
    files: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""
    quantized: Quantized | None = None
    without_litert: str = ""
    metadata: Metadata | None = None
    sparsity: float | None = None
    processing: Processing | None = None
    check: Callable[[ModelVersion], None] | None = None
    litert_parts: Mapping[str, Signature] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the names of the parts, which become names of files."""
        for name in self.litert_parts:
            if not re.fullmatch(r"[a-z]\w*", name) or name == "model":
                raise ValueError(f"litert_parts has the name {name!r}; expected one like encoder.")


def exports_from_signatures(signatures: Mapping[str, Signature]) -> Exports:
    """Returns signatures by name as exports; `serving_default` is the LiteRT file as well.

    Args:
        signatures: Signatures by name.

    Raises:
        UsageError: If there is no `serving_default`, or a value is not a `Signature`.
    """
    for name, signature in signatures.items():
        if not isinstance(signature, Signature):
            raise UsageError(
                f"publish: the signature {name} is of type {type(signature).__name__}.",
                "Pass a Signature(function, inputs, examples).",
            )
    if "serving_default" not in signatures:
        raise UsageError(
            "publish: expected a signature serving_default, got "
            f"{', '.join(signatures) or 'none'}.",
            "Name the signature that clients call by default serving_default, or pass Exports.",
        )
    return Exports(signatures, signatures["serving_default"])


def exports_from_model(model: keras.Model, examples: Any) -> Exports:
    """Returns a model's inputs and outputs as signatures.

    The SavedModel takes batches of any size, and so does the LiteRT file. The LiteRT file of a
    network with recurrent layers takes single examples of any length instead. A model that works
    only with the batch size of its `keras.Input` is published with this size.

    Inputs have the names that the user gave them: the keys of a dictionary, the names of
    `keras.Input`, or the arguments of `call`. Unnamed ones are `input`, `input_1`.

    Args:
        model: Keras model, built.
        examples: Inputs on which the artefacts are compared with the model: an array, arrays by
            input name, or a list of arrays in the order of the inputs.

    Raises:
        UsageError: If the model's inputs cannot be inferred, the examples do not fit them, or the
            model cannot be called on them.
    """
    from dlrecipes.export.keras_call import keras_call

    call = keras_call(model, examples)
    arrays, specs = call.arrays, call.specs
    singles = [tuple(array[k : k + 1] for array in arrays) for k in range(len(arrays[0]))]
    compared = [tuple(arrays)] if call.batch else [tuple(arrays), singles[0]]
    outputs = call.run()
    _check_finite(model.name, arrays, outputs)
    serving = Signature(call.function, specs, compared, call.given_names, outputs)
    litert = serving
    recurrent = any(isinstance(layer, keras.layers.RNN) for layer in model._flatten_layers())
    if recurrent and not call.batch:
        single = [tf.TensorSpec([1, *spec.shape[1:]], spec.dtype, name=spec.name) for spec in specs]
        litert = Signature(call.function, single, singles, call.given_names)
    return Exports({"serving_default": serving}, litert)


def _check_finite(
    model: str, arrays: Sequence[np.ndarray], outputs: Mapping[str, np.ndarray]
) -> None:
    """Raises `UsageError` if an output cannot be compared, because all its values are NaN."""
    for name, output in outputs.items():
        floats = tf.as_dtype(output.dtype).is_floating
        if not floats or not output.size or np.isfinite(output.astype(np.float64)).any():
            continue
        broken = any(array.dtype.kind == "f" and np.isnan(array).any() for array in arrays)
        raise UsageError(
            f"{model}: the output {name} is NaN or infinite on all examples, so that no file can "
            "be compared with the model.",
            "The examples contain NaN: pass examples without it."
            if broken
            else "Pass examples as the model was trained on, or look for the layer that overflows.",
        )
