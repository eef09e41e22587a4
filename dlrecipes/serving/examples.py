"""Classify and regress requests: `tf.train.Example`s in, classes with scores or values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.serving.features import Features
from dlrecipes.serving.limits import Limits, check_rows, check_size
from dlrecipes.serving.servable import CLASSIFY, REGRESS, Signature
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.tensors import shortest

# Values that are copied at a time.
SLICE = 16 * 1024


def serialize(context: Features, examples: Sequence[Features], limits: Limits) -> np.ndarray:
    """Returns a request's examples as serialized protos, each with the context's features added.

    Args:
        context: Features of the context.
        examples: Features of each example.
        limits: Limits on the number of examples and on their total size.

    Raises:
        RequestError: If there are too many examples, or they would be too large.
    """
    shared = _protos(context)
    check_shared(len(examples), tf.train.Features(feature=shared).ByteSize(), limits)
    protos = np.empty(len(examples), object)
    for row, example in enumerate(examples):
        features = tf.train.Features(feature={**shared, **_protos(example)})
        protos[row] = tf.train.Example(features=features).SerializeToString()
    return protos


def _protos(features: Features) -> dict[str, tf.train.Feature]:
    return {name: _proto(*feature) for name, feature in features.items()}


def _proto(kind: str, values: Any) -> tf.train.Feature:
    feature = tf.train.Feature()
    if kind:
        target = getattr(feature, f"{kind}_list").value
        # In slices, so that a long list does not keep the GIL from the other threads.
        for start in range(0, len(values), SLICE):
            part = values[start : start + SLICE]
            target.extend(part.tolist() if isinstance(part, np.ndarray) else part)
    return feature


def check_shared(count: int, size: int, limits: Limits) -> None:
    """Refuses examples that would take too much memory once each has its copy of the context.

    Args:
        count: Number of examples.
        size: Size of the context's features in bytes.
        limits: Limits on the request.

    Raises:
        RequestError: If there are too many examples, or the copies would be too large.
    """
    check_rows(count, limits)
    check_size(count * size, "The context, once for each example,", limits)


def check_method(signature: Signature, method: str) -> None:
    """Refuses a signature that does not support a method.

    Raises:
        RequestError: If the signature is for another method, or its input is not one tensor of
            strings.
    """
    expected, kind = {
        "classify": (CLASSIFY, "classification"),
        "regress": (REGRESS, "regression"),
    }[method]
    if signature.method != expected:
        raise RequestError(
            f"Expected {kind} signature method_name to be {expected}. Was: {signature.method}"
        )
    specs = list(signature.inputs.values())
    if len(specs) != 1 or specs[0].dtype != tf.string:
        raise RequestError(f"Expected one Tensor of strings as the input of {signature.name}.")


def results(outputs: Mapping[str, np.ndarray], method: str, count: int) -> list[Any]:
    """Returns the result for each example: its classes with scores, or its value.

    Args:
        outputs: Outputs of the signature: `classes`, `scores` or both, or `outputs`.
        method: `"classify"` or `"regress"`.
        count: Number of examples.

    Raises:
        RequestError: If the outputs have other names, types or shapes.
    """
    expected = ("classes", "scores") if method == "classify" else ("outputs",)
    present = {name: outputs[name] for name in expected if name in outputs}
    if not present:
        raise RequestError(f"Expected an output {' or '.join(expected)}, got {', '.join(outputs)}.")
    for name, array in present.items():
        if not array.ndim or len(array) != count:
            raise RequestError(
                f"Expected {name} to have {count} rows, one per example, got shape {array.shape}."
            )
        kinds = "OSU" if name == "classes" else "fiu"
        if array.dtype.kind not in kinds:
            expected_type = "strings" if name == "classes" else "numbers"
            raise RequestError(f"Expected {name} to be {expected_type}, got {array.dtype}.")
    if method == "regress":
        values = present["outputs"]
        if values.size != count:
            raise RequestError(f"Expected one value per example, got shape {values.shape}.")
        return shortest(values.reshape(count)).tolist()
    labels = present.get("classes")
    scores = present.get("scores")
    for array in present.values():
        if array.ndim != 2:
            raise RequestError(f"Expected shape (examples, classes), got {array.shape}.")
    if labels is None:
        assert scores is not None
        labels = np.full(scores.shape, b"", object)
    if scores is None:
        scores = np.zeros(labels.shape, "float32")
    if len({labels.shape[1], scores.shape[1]} - {1}) > 1:
        raise RequestError(
            f"Expected classes and scores of one shape, got {labels.shape} and {scores.shape}."
        )
    labels = np.broadcast_to(labels, scores.shape)
    return [
        [[label.decode("utf-8", "replace"), score] for label, score in zip(*row, strict=True)]
        for row in zip(labels.tolist(), shortest(scores).tolist(), strict=True)
    ]
