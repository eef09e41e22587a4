"""Classify and regress: features by name, as `tf.train.Example`s, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.serving.limits import Limits, check_rows, check_size
from dlrecipes.serving.servable import CLASSIFY, REGRESS, Signature
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.tensors import is_base64, json_type, shortest, shown, text

LARGEST = 2**63


def serialized(body: Mapping[str, Any], method: str, limits: Limits) -> np.ndarray:
    """Returns a request's examples, each with the features that all share, as bytes.

    Args:
        body: The request.
        method: `"classify"` or `"regress"`, for messages.
        limits: How many examples there may be, and how large they may be together.

    Raises:
        RequestError: If there are none or too many, or one has what is no feature.
    """
    shared = _features(body["context"]) if "context" in body else {}
    if "examples" not in body:
        raise RequestError(
            f"JSON Value: {shown(body)} When method is {method}, key 'examples' is expected and "
            "was not found"
        )
    examples = body["examples"]
    if not isinstance(examples, list):
        raise RequestError(
            f"JSON Value: {shown(body)} Expecting 'examples' value to be an list/array"
        )
    if not examples:
        raise RequestError(f"JSON Value: {shown(body)} 'examples' value is an empty array")
    check_shared(len(examples), tf.train.Features(feature=shared).ByteSize(), limits)
    found = np.empty(len(examples), object)
    for row, example in enumerate(examples):
        features = tf.train.Features(feature={**shared, **_features(example)})
        found[row] = tf.train.Example(features=features).SerializeToString()
    return found


def check_shared(count: int, size: int, limits: Limits) -> None:
    """Refuses examples whose shared features, so many bytes, would fill the memory.

    Raises:
        RequestError: If they are too many, or too large when each has its own.
    """
    check_rows(count, limits)
    check_size(count * size, "The context, once for each example,", limits)


def _features(value: Any) -> dict[str, tf.train.Feature]:
    if not isinstance(value, dict):
        raise RequestError(f"Example must be JSON object but got JSON {json_type(value)}")
    return {name: _feature(name, content) for name, content in value.items()}


def _feature(name: str, content: Any) -> tf.train.Feature:
    values = content if isinstance(content, list) else [content]
    kinds: set[str] = set()
    for value in values:
        kind = _kind(name, value)
        if kinds - {kind}:
            raise RequestError(
                f"Unexpected element type in feature: {name[:200]} expecting type: {kinds.pop()}"
            )
        kinds.add(kind)
    if kinds == {"bytes"}:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=map(text, values)))
    if kinds == {"float"}:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    if kinds:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=map(int, values)))
    return tf.train.Feature()


def _kind(name: str, value: Any) -> str:
    if isinstance(value, str) or is_base64(value):
        return "bytes"
    if isinstance(value, float):
        if abs(value) > np.finfo("float32").max and np.isfinite(value):
            raise RequestError(
                f"Cannot convert JSON value: {shown(value)} to float without loss of precision."
            )
        return "float"
    if isinstance(value, bool):
        return "int64"
    if isinstance(value, int):
        if not -LARGEST <= value < LARGEST:
            raise RequestError(
                f"Feature: {name[:200]} has uint64 element. Only int64 is supported."
            )
        return "int64"
    raise RequestError(
        f"Feature: {name[:200]} has element with unexpected JSON type: {json_type(value)}"
    )


def check_method(signature: Signature, method: str) -> None:
    """Refuses a signature that is not for a method.

    Raises:
        RequestError: If it is for another one, or takes something else than examples.
    """
    wanted, said = {"classify": (CLASSIFY, "classification"), "regress": (REGRESS, "regression")}[
        method
    ]
    if signature.method != wanted:
        raise RequestError(
            f"Expected {said} signature method_name to be {wanted}. Was: {signature.method}"
        )
    specs = list(signature.inputs.values())
    if len(specs) != 1 or specs[0].dtype != tf.string:
        raise RequestError(f"Expected one Tensor of strings as the input of {signature.name}.")


def results(outputs: Mapping[str, np.ndarray], method: str, count: int) -> list[Any]:
    """Returns what a model answered: for each example its classes with scores, or its value.

    Args:
        outputs: Those of the signature: `classes` and `scores`, or `outputs`.
        method: `"classify"` or `"regress"`.
        count: How many examples there were.

    Raises:
        RequestError: If the outputs are none of these.
    """
    wanted = ("classes", "scores") if method == "classify" else ("outputs",)
    there = {name: outputs[name] for name in wanted if name in outputs}
    if not there:
        raise RequestError(f"Expected outputs {' or '.join(wanted)}, not {', '.join(outputs)}.")
    for name, array in there.items():
        if not array.ndim or len(array) != count:
            raise RequestError(f"Expected {name} to have a row for each of {count} examples.")
        kinds = "OSU" if name == "classes" else "fiu"
        if array.dtype.kind not in kinds:
            wanted_type = "strings" if name == "classes" else "numbers"
            raise RequestError(f"Expected {name} to be {wanted_type}, not {array.dtype}.")
    if method == "regress":
        values = there["outputs"]
        if values.size != count:
            raise RequestError(f"Expected one value for each example, not shape {values.shape}.")
        return shortest(values.reshape(count)).tolist()
    labels = there.get("classes")
    scores = there.get("scores")
    for array in there.values():
        if array.ndim != 2:
            raise RequestError(f"Expected shape (examples, classes), not {array.shape}.")
    if labels is None:
        labels = np.full(scores.shape, b"", object)
    if scores is None:
        scores = np.zeros(labels.shape, "float32")
    if len({labels.shape[1], scores.shape[1]} - {1}) > 1:
        raise RequestError(f"classes are {labels.shape} and scores {scores.shape}.")
    labels = np.broadcast_to(labels, scores.shape)
    return [
        [[label.decode("utf-8", "replace"), score] for label, score in zip(*row, strict=True)]
        for row in zip(labels.tolist(), shortest(scores).tolist(), strict=True)
    ]
