"""Reference outputs: a function's outputs for examples, stored as text, and compared."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from ml_dtypes import finfo

from dlrecipes.errors import PublishError, reason
from dlrecipes.export.detection_outputs import DetectionMatch
from dlrecipes.export.names import by_name
from dlrecipes.export.signatures import Signature
from dlrecipes.export.stored_tensors import serialized

TOLERANCE, GRAPH_TOLERANCE = 1e-4, 1e-2
# Rounding errors that outputs in float16 and bfloat16 may have.
ROUNDING = 4
# Images in outputs match if at most this part of their values differs by more than 8 of 255 levels:
# where a rounding error moves an edge by a pixel, or a colour by a level.
IMAGE_PART, LEVELS = 0.01, 8
PNG = b"\x89PNG"

NOT_COMPARED = "its outputs are not compared, because none are stored with the version"
UNKNOWN_SIZES = (
    "Some layers of Keras, such as TimeDistributed, compute something else in a graph whose sizes "
    "are unknown: give keras.Input fixed ones, such as (10, 4) in place of (None, 4)."
)

# One example: inputs and outputs, each by name as text, and how they are compared (`match`), if not
# number by number.
Reference = Mapping[str, Mapping[str, str]]


def record(
    signature: Signature, function: Callable[..., Mapping[str, tf.Tensor]], rows: int | None = None
) -> list[Reference]:
    """Returns a signature's examples with the outputs of a function.

    Args:
        signature: Signature with inputs and examples.
        function: Function that takes tensors in the order of the inputs.
        rows: Maximum rows of an example whose first axis may have any length. Defaults to `None`:
            all rows.
    """
    by_row = rows and all(spec.shape.rank and spec.shape[0] is None for spec in signature.inputs)
    what, names = "the signature's inputs", [spec.name for spec in signature.inputs]
    references: list[Reference] = []
    for example in signature.examples:
        values = [array[:rows] for array in example] if by_row else example
        pairs = zip(signature.inputs, values, strict=True)
        tensors = [tf.constant(value, spec.dtype) for spec, value in pairs]
        inputs = by_name(what, names, tensors)
        reference = {"inputs": _packed(inputs), "outputs": _packed(function(*tensors))}
        if signature.match:
            reference["match"] = signature.match.packed()
        references.append(reference)
    return references


def record_again(
    references: Sequence[Reference], function: Callable[..., Mapping[str, tf.Tensor]]
) -> list[Reference]:
    """Returns the inputs of references with the outputs of another function.

    Args:
        references: References as `record` returns them.
        function: Function that takes tensors by name.
    """
    return [
        {
            **reference,
            "outputs": _packed(
                {
                    name: tf.convert_to_tensor(output)
                    for name, output in function(**_unpacked(reference["inputs"])).items()
                }
            ),
        }
        for reference in references
    ]


def compare_or_fail(
    what: str,
    references: Sequence[Reference],
    function: Callable[..., Mapping[str, Any]],
    tolerance: float = TOLERANCE,
) -> None:
    """Compares like `compare`; a function that raises an error is not in order either.

    Args:
        what: Name of the function, for error messages.
        references: References as `record` returns them.
        function: Function that takes tensors by name.
        tolerance: Tolerance as in `assert_match`. Defaults to 1e-4.

    Raises:
        PublishError: If an output differs, or the function fails.
    """
    try:
        compare(what, references, function, tolerance)
    except PublishError:
        raise
    except Exception as error:
        raise PublishError(f"{what}: fails on its own examples: {reason(error)}") from error


def check_graph(what: str, signature: Signature, function: Callable[..., Mapping]) -> None:
    """Compares a traced function with the outputs that the signature expects, if it has any.

    Args:
        what: Name of the function, for error messages.
        signature: Signature with the model's own outputs on its first example.
        function: Traced function, which takes tensors in the order of the inputs.

    Raises:
        PublishError: If an output is missing, or differs.
    """
    if signature.expected is None:
        return
    pairs = zip(signature.inputs, signature.examples[0], strict=True)
    tensors = [tf.constant(value, spec.dtype) for spec, value in pairs]
    # A graph in float16 rounds at other places than the model called without one.
    try:
        assert_match(what, signature.expected, arrays(function(*tensors)), GRAPH_TOLERANCE)
    except PublishError as error:
        fixed = all(None not in tuple(spec.shape)[1:] for spec in signature.inputs)
        hint = "" if fixed else UNKNOWN_SIZES
        raise PublishError(error.message, error.hint or hint) from error


def compare(
    what: str,
    references: Sequence[Reference],
    function: Callable[..., Mapping[str, Any]],
    tolerance: float = TOLERANCE,
) -> None:
    """Runs a function on each reference's inputs and compares the outputs.

    Args:
        what: Name of the function, for error messages.
        references: References as `record` returns them.
        function: Function that takes tensors by name.
        tolerance: Tolerance as in `assert_match`. Defaults to 1e-4.

    Raises:
        PublishError: At the first output that differs.
    """
    pairs = (
        (
            expected_outputs(reference),
            arrays(function(**_unpacked(reference["inputs"]))),
        )
        for reference in references
    )
    if references and "match" in references[0]:
        match = DetectionMatch.unpacked(references[0]["match"])
        match.assert_match(what, pairs, tolerance)
        return
    for expected, outputs in pairs:
        assert_match(what, expected, outputs, tolerance)


def assert_match(
    what: str,
    expected: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    tolerance: float = TOLERANCE,
) -> float:
    """Compares outputs with the expected ones: floats within a tolerance, other types exactly.

    The tolerance of an output is a fraction of its largest absolute value, or of 1 if that is
    smaller, and a few rounding errors of its type. NaN and infinity match only themselves. PNG
    files are compared by their pixels, of which another processor may round a few differently.

    Args:
        what: Name of the function, for error messages.
        expected: Expected outputs by name.
        outputs: Outputs by name.
        tolerance: Largest relative error of floats. Defaults to 1e-4.

    Returns:
        The largest relative error.

    Raises:
        PublishError: At the first output that differs.
    """
    largest = 0.0
    if set(expected) != set(outputs):
        raise PublishError(
            f"{what}: outputs {sorted(outputs)} where the model has {sorted(expected)}."
        )
    for name, reference in expected.items():
        output = outputs[name]
        if reference.shape != output.shape:
            raise PublishError(
                f"{what}: {name} has shape {output.shape}, the model {reference.shape}."
            )
        if tf.as_dtype(reference.dtype).is_floating:
            error = _relative_error(reference, output)
            # Written so that a NaN, which compares false, fails.
            if not error <= max(tolerance, ROUNDING * float(finfo(reference.dtype).eps)):
                raise PublishError(f"{what}: {name} differs from the model by {error:.2g}.")
            largest = max(largest, error)
        elif not np.array_equal(reference, output) and not _same_images(reference, output):
            raise PublishError(f"{what}: {name} differs from the model.")
    return largest


def _same_images(reference: np.ndarray, output: np.ndarray) -> bool:
    """Returns whether all elements are PNG files with the same pixels, except for rounding."""
    pairs = list(zip(reference.ravel(), output.ravel(), strict=True))
    return all(
        isinstance(content, bytes) and content.startswith(PNG) for pair in pairs for content in pair
    ) and all(_same_pixels(*(tf.io.decode_png(content).numpy() for content in p)) for p in pairs)


def _same_pixels(reference: np.ndarray, output: np.ndarray) -> bool:
    if reference.shape != output.shape:
        return False
    differences = np.abs(reference.astype(np.int32) - output)
    return bool(np.mean(differences > LEVELS) <= IMAGE_PART)


def _relative_error(reference: np.ndarray, output: np.ndarray) -> float:
    # Differences of small types would be rounded themselves.
    reference, output = reference.astype(np.float64), output.astype(np.float64)
    largest = np.max(np.abs(reference), initial=0.0, where=np.isfinite(reference))
    # Equal infinities and NaNs match, but their difference is NaN.
    same = (reference == output) | (np.isnan(reference) & np.isnan(output))
    errors = np.where(same, 0, np.abs(np.where(same, 0, reference) - np.where(same, 0, output)))
    return float(np.max(errors, initial=0.0)) / max(1.0, float(largest))


def arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns tensors as arrays."""
    return {name: np.asarray(value) for name, value in tensors.items()}


def inputs(reference: Reference) -> dict[str, np.ndarray]:
    """Returns the inputs of a reference by name."""
    return arrays(_unpacked(reference["inputs"]))


def expected_outputs(reference: Reference) -> dict[str, np.ndarray]:
    """Returns the outputs of a reference by name."""
    return arrays(_unpacked(reference["outputs"]))


def size(reference: Reference) -> int:
    """Returns the number of characters of a reference."""
    return sum(len(text) for side in reference.values() for text in side.values())


def _packed(tensors: Mapping[str, tf.Tensor]) -> dict[str, str]:
    packed = {}
    for name, tensor in tensors.items():
        content = zlib.compress(tf.io.serialize_tensor(tensor).numpy())
        packed[name] = f"{base64.b64encode(content).decode()}:{tensor.dtype.name}"
    return packed


def _unpacked(packed: Mapping[str, str]) -> dict[str, tf.Tensor]:
    tensors = {}
    for name, text in packed.items():
        message, dtype = serialized(text)
        tensors[name] = tf.io.parse_tensor(message, tf.as_dtype(dtype))
    return tensors
