"""The LiteRT files of a version: written if LiteRT can run the model."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.data.image_files import LUMINANCE
from dlrecipes.errors import PublishError
from dlrecipes.export.litert import LiteRTModel, concrete_function, convert, convert_each
from dlrecipes.export.litert_metadata import add_metadata
from dlrecipes.export.litert_support import HINT, LiteRTError, check_supported
from dlrecipes.export.precision import TOLERANCES, graph_nodes, in_float32, other_precisions
from dlrecipes.export.reference_outputs import arrays, assert_match, compare, record
from dlrecipes.export.signatures import Exports, Signature
from dlrecipes.export.version import LITERT_FILE, litert_file, part_file

LiteRT = bool | Literal["auto"]


def write_if_possible(
    folder: Path, exports: Exports, litert: LiteRT = "auto", layers: Collection[str] = ()
) -> Exports:
    """Writes the LiteRT files of a version, if they are requested and LiteRT can run the model.

    Args:
        folder: Folder of the version.
        exports: LiteRT function and formats.
        litert: Whether to write the files. `"auto"` leaves them out if LiteRT cannot run the
            function, or gives other outputs. Defaults to `"auto"`.
        layers: Names of the model's layers, for error messages. Defaults to none.

    Returns:
        The exports as they are published: the LiteRT function computes in float32, and
        `without_litert` says why there are no files.

    Raises:
        LiteRTError: If `litert` is `True` and LiteRT cannot run the function.
    """
    if litert is False:
        return _without(exports, "It was not requested.")
    try:
        converted = prepared(exports, layers)
        write_litert(folder, converted, layers)
        if litert == "auto":
            _check(folder, converted)
    except LiteRTError as error:
        if litert is True:
            raise
        for path in folder.glob("*.tflite"):
            path.unlink()
        return _without(exports, error.message)
    return converted


def _without(exports: Exports, why: str) -> Exports:
    return dataclasses.replace(exports, quantized=None, without_litert=why, litert_parts={})


def prepared(exports: Exports, layers: Collection[str] = ()) -> Exports:
    """Returns exports whose LiteRT function assigns no variables and computes in float32.

    With metadata, a function of grey images takes colour images as well.

    Args:
        exports: LiteRT function and formats.
        layers: Names of the model's layers, for error messages. Defaults to none.

    Raises:
        LiteRTError: If LiteRT cannot run the function, or float32 changes its outputs too much.
    """
    if exports.metadata:
        exports = dataclasses.replace(exports, litert=_with_any_channels(exports.litert))
    function = concrete_function(exports.litert)
    if "AssignVariableOp" in {node.op for node in graph_nodes(function.graph.as_graph_def())}:
        # Random layers may advance their seeds in inference, without using them.
        exports = dataclasses.replace(exports, litert=_stateless(exports.litert))
        function = concrete_function(exports.litert)
    check_supported(exports.litert, function, layers)
    types = other_precisions(function)
    if not types:
        return exports
    signature = in_float32(exports.litert, function)
    again, largest = concrete_function(signature), 0.0
    for values, floats in zip(exports.litert.examples, signature.examples, strict=True):
        pairs = zip(exports.litert.inputs, values, strict=True)
        expected = _floats(function(*(tf.constant(x, spec.dtype) for spec, x in pairs)))
        outputs = _floats(again(*map(tf.constant, floats)))
        try:
            error = assert_match("float32", expected, outputs, TOLERANCES[types[0]])
        except PublishError as failure:
            message = failure.message.partition(": ")[2]
            raise LiteRTError(f"LiteRT computes in float32, and {message}", HINT) from failure
        largest = max(largest, error)
    names = " and ".join(dtype.name for dtype in types)
    note = (
        f"`{LITERT_FILE}` computes in float32 what the model computes in {names}. On the examples, "
        f"its outputs differ from the model's by at most {largest:.2g} of their largest value."
    )
    return dataclasses.replace(
        exports, litert=signature, notes="\n\n".join(filter(None, [exports.notes.strip(), note]))
    )


def _with_any_channels(signature: Signature) -> Signature:
    """Returns a signature of grey images as one of grey or colour images; others as they are.

    MediaPipe Tasks refuses inputs of one channel.
    """
    spec = signature.inputs[0]
    if len(signature.inputs) != 1 or spec.shape.rank != 4 or spec.shape[-1] != 1:
        return signature

    def function(images: tf.Tensor) -> dict[str, tf.Tensor]:
        # A single channel is multiplied by the sum of the weights, which is 1.
        grey = tf.cast(images, tf.float32) * tf.constant(LUMINANCE)
        grey = tf.reduce_sum(grey, axis=-1, keepdims=True)
        if spec.dtype.is_integer:
            grey = tf.round(grey)
        return signature.function(tf.cast(grey, spec.dtype))

    images = [example[0] for example in signature.examples]
    # The channels of one example are grey images: of the first example, in three orders.
    colour = [np.concatenate([x, x[:, ::-1], x[:, :, ::-1]], axis=-1) for x in images[:1]]
    inputs = [tf.TensorSpec([*spec.shape[:-1], None], spec.dtype, name=spec.name)]
    examples = [*signature.examples, *((x,) for x in colour)]
    return dataclasses.replace(
        signature, function=function, inputs=inputs, examples=examples, expected=None
    )


def _stateless(signature: Signature) -> Signature:
    def function(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        with keras.StatelessScope():
            return signature.function(*tensors)

    return dataclasses.replace(signature, function=function)


def _floats(outputs: Any) -> dict[str, np.ndarray]:
    """Returns the outputs of floating-point types; others may depend on rounding."""
    return {
        name: value.astype(np.float32)
        for name, value in arrays(outputs).items()
        if tf.as_dtype(value.dtype).is_floating
    }


def write_litert(
    folder: Path, exports: Exports, layers: Collection[str] = (), kinds: Collection[str] = ()
) -> None:
    """Writes LiteRT files: `model.tflite`, the exports' smaller formats, and further functions.

    Args:
        folder: Folder of the version, in the folder of the model.
        exports: LiteRT function and formats.
        layers: Names of the model's layers, for error messages. Defaults to none.
        kinds: Formats to write. Defaults to none: all that the exports list.
    """
    formats = exports.quantized.formats if exports.quantized else ()
    calibration = exports.quantized.calibration if exports.quantized else ()
    kinds = kinds or ("float32", *formats)
    contents = convert_each(exports.litert, kinds, calibration, layers)
    for kind, content in zip(kinds, contents, strict=True):
        if exports.metadata:
            content = add_metadata(content, exports.metadata, folder.parent.name)
        (folder / litert_file(kind)).write_bytes(content)
    if "float32" in kinds:
        for name, signature in exports.litert_parts.items():
            (folder / part_file(name)).write_bytes(convert(signature, layers=layers))


def _check(folder: Path, exports: Exports) -> None:
    """Raises `LiteRTError` if a LiteRT file does not match its function."""
    parts = {part_file(name): signature for name, signature in exports.litert_parts.items()}
    try:
        for name, signature in {LITERT_FILE: exports.litert, **parts}.items():
            references = record(signature, concrete_function(signature))
            lite = LiteRTModel(folder / name)
            compare(name, references, lambda lite=lite, **tensors: lite(**arrays(tensors)))
    except PublishError as error:
        message = error.message.partition(": ")[2]
        raise LiteRTError(f"LiteRT gives other outputs than the model: {message}", HINT) from error
    except (RuntimeError, ValueError) as error:
        raise LiteRTError(_interpreter_error(str(error)), HINT) from error


def _interpreter_error(message: str) -> str:
    """Returns an error that names the op at which the interpreter failed."""
    place = re.search(r"Node number \d+ \((\w+)\) failed to (\w+)", message)
    if place:
        return f"LiteRT cannot run this model: its op {place[1]} fails on the examples."
    return "LiteRT cannot run this model: its interpreter fails on the examples."


def without_omitted(folder: Path, exports: Exports) -> Exports:
    """Returns the exports without the LiteRT formats that were left out."""
    if exports.quantized is None:
        return exports
    formats = [kind for kind in exports.quantized.formats if (folder / litert_file(kind)).exists()]
    return dataclasses.replace(
        exports, quantized=dataclasses.replace(exports.quantized, formats=formats)
    )
