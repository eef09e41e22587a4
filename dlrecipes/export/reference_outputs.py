"""What a function record to examples: kept as text, and compared."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.errors import PublishError
from dlrecipes.export.signatures import Signature

TOLERANCE = 1e-4

# One example: what goes in and what comes out, tensors by name as text.
Reference = Mapping[str, Mapping[str, str]]


def record(
    endpoint: Signature, function: Callable[..., Mapping[str, tf.Tensor]], rows: int | None = None
) -> list[Reference]:
    """Returns an endpoint's examples with what a function record to them.

    Args:
        endpoint: Tells the inputs and the examples.
        function: Takes tensors in the inputs' order.
        rows: Of an example whose first axis may have any length, how many at most.
    """
    by_row = rows and all(spec.shape.rank and spec.shape[0] is None for spec in endpoint.inputs)
    names = [spec.name for spec in endpoint.inputs]
    found = []
    for example in endpoint.examples:
        few = [array[:rows] for array in example] if by_row else example
        pairs = zip(endpoint.inputs, few, strict=True)
        tensors = [tf.constant(array, spec.dtype) for spec, array in pairs]
        inputs = dict(zip(names, tensors, strict=True))
        found.append({"inputs": _packed(inputs), "outputs": _packed(function(*tensors))})
    return found


def compare(
    what: str, examples: Sequence[Reference], function: Callable[..., Mapping[str, Any]]
) -> None:
    """Asks a function for each example's answer again.

    Args:
        what: What record, for messages.
        examples: What `record` returned.
        function: Takes tensors by name.

    Raises:
        PublishError: At the first answer that differs.
    """
    for one in examples:
        found = function(**_unpacked(one["inputs"]))
        assert_match(what, arrays(_unpacked(one["outputs"])), arrays(found))


def assert_match(
    what: str, expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]
) -> None:
    """Compares outputs with those that are wanted: numbers nearly, all else exactly.

    Args:
        what: What answered, for messages.
        expected: What is wanted, by name.
        found: What came.

    Raises:
        PublishError: At the first that differs.
    """
    if set(expected) != set(found):
        raise PublishError(
            f"{what}: outputs {sorted(found)} where the model has {sorted(expected)}."
        )
    for name, wanted in expected.items():
        got = found[name]
        if wanted.shape != got.shape:
            raise PublishError(f"{what}: {name} has shape {got.shape}, the model {wanted.shape}.")
        if wanted.dtype.kind == "f":
            scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted))))
            # What is no number with the model is to be none here.
            same = (wanted == got) | (np.isnan(wanted) & np.isnan(got))
            differs = np.where(same, 0, np.abs(np.where(same, 0, wanted) - np.where(same, 0, got)))
            worst = float(np.max(differs, initial=0.0)) / scale
            # Written so that a NaN, which compares false, does not pass.
            if not worst <= TOLERANCE:
                raise PublishError(f"{what}: {name} differs from the model by {worst:.2g}.")
        elif not np.array_equal(wanted, got):
            raise PublishError(f"{what}: {name} differs from the model.")


def arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns tensors as arrays."""
    return {name: np.asarray(value) for name, value in tensors.items()}


def size(answer: Reference) -> int:
    """Returns how many characters an example and its answer take."""
    return sum(len(text) for side in answer.values() for text in side.values())


def _packed(tensors: Mapping[str, tf.Tensor]) -> dict[str, str]:
    return {
        name: base64.b64encode(tf.io.serialize_tensor(tensor).numpy()).decode()
        + f":{tensor.dtype.name}"
        for name, tensor in tensors.items()
    }


def _unpacked(packed: Mapping[str, str]) -> dict[str, tf.Tensor]:
    found = {}
    for name, text in packed.items():
        content, _, dtype = text.partition(":")
        found[name] = tf.io.parse_tensor(base64.b64decode(content), tf.as_dtype(dtype))
    return found
