"""Features of a classify or regress request's examples, read from JSON. It needs no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dlrecipes.serving import json_body
from dlrecipes.serving.limits import Limits, check_rows
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.tensors import brief, is_base64, json_type, text

LARGEST = 2**63
LARGEST_FLOAT = float(np.finfo(np.float32).max)
# Longer lists are kept as arrays, which take less time and memory.
LONG = 1024
# The kind of a feature, "bytes", "float", "int64" or "" if it is empty, and its values.
Feature = tuple[str, Any]
Features = dict[str, Feature]


def read(body: bytes, method: str, limits: Limits) -> tuple[str, Features, list[Features]]:
    """Returns what a classify or regress request asks for.

    Args:
        body: Body of the request.
        method: `"classify"` or `"regress"`, for messages.
        limits: Limits on the request.

    Returns:
        The name of the signature, the context's features, and the features of each example.

    Raises:
        RequestError: If the body is not valid JSON, there are no examples or too many, or a
            feature is invalid.
    """
    parsed = json_body.parse(body)
    name = json_body.signature_name(parsed)
    context = _features(parsed["context"]) if "context" in parsed else {}
    return name, context, [_features(value) for value in _examples(parsed, method, limits)]


def _examples(body: Mapping[str, Any], method: str, limits: Limits) -> list[Any]:
    if "examples" not in body:
        raise RequestError(
            f"JSON Value: {brief(body)} When method is {method}, key 'examples' is expected and "
            "was not found"
        )
    examples = body["examples"]
    if not isinstance(examples, list):
        raise RequestError(
            f"JSON Value: {brief(body)} Expecting 'examples' value to be an list/array"
        )
    if not examples:
        raise RequestError(f"JSON Value: {brief(body)} 'examples' value is an empty array")
    check_rows(len(examples), limits)
    return examples


def _features(value: Any) -> Features:
    if not isinstance(value, dict):
        raise RequestError(f"Example must be JSON object but got JSON {json_type(value)}")
    return {name: _feature(name, content) for name, content in value.items()}


def _feature(name: str, content: Any) -> Feature:
    values = content if isinstance(content, list) else [content]
    kinds: set[str] = set()
    for value in values:
        kind = _kind(name, value)
        if kinds - {kind}:
            raise RequestError(
                f"Unexpected element type in feature: {name[:200]} expecting type: {kinds.pop()}"
            )
        kinds.add(kind)
    kind = kinds.pop() if kinds else ""
    if kind == "bytes":
        return kind, list(map(text, values))
    if kind and len(values) > LONG:
        return kind, np.array(values, "float32" if kind == "float" else "int64")
    return kind, list(map(int, values)) if kind == "int64" else values


def _kind(name: str, value: Any) -> str:
    if isinstance(value, str) or is_base64(value):
        return "bytes"
    if isinstance(value, float):
        if LARGEST_FLOAT < abs(value) < math.inf:
            raise RequestError(
                f"Cannot convert JSON value: {brief(value)} to float without loss of precision."
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
