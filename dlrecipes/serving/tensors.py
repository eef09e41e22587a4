"""Conversion between JSON values and arrays, by TensorFlow Serving's rules."""

from __future__ import annotations

import base64
import binascii
import functools
import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.serving.status import RequestError

# Maximum number of dimensions of a tensor.
DEEPEST = 32
# Maximum number of characters of a JSON value in a message.
SHOWN = 200
_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String"}
_NAMES = {tf.float32: "float", tf.float64: "double", tf.float16: "half"}
_FLOATS = {tf.float16: np.float16, tf.float32: np.float32, tf.float64: np.float64}


def to_array(value: Any, dtype: tf.DType) -> np.ndarray:
    """Returns a JSON value as an array: a scalar, or lists nested to any depth up to `DEEPEST`.

    Raises:
        RequestError: If lists of one level differ in length, or an element has another type.
    """
    shape: list[int] = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        if len(shape) > DEEPEST:
            raise RequestError(f"Encountered lists in more than {DEEPEST} levels")
        first = first[0] if first else None
    flat = [value]
    for level, size in enumerate(shape):
        for part in flat:
            if not isinstance(part, list):
                raise RequestError(
                    f"JSON Value: {brief(part)} found at incorrect level: {level + 1} in the "
                    f"JSON DOM. Expected at level: {len(shape)}"
                )
            if len(part) != size:
                raise RequestError(
                    f"Encountered list at unexpected size: {len(part)} at level: {level} "
                    f"expected size: {size}"
                )
        flat = list(itertools.chain.from_iterable(flat))
    if any(type(value) is list for value in flat):
        raise RequestError(
            f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}"
        )
    return _elements(flat, dtype).reshape(shape)


def _elements(flat: Sequence[Any], dtype: tf.DType) -> np.ndarray:
    kinds = set(map(type, flat))
    if dtype == tf.string:
        strings = np.empty(len(flat), object)
        strings[:] = [text(value) for value in flat]
        return strings
    if dtype == tf.bool:
        _check_types(flat, kinds, {bool}, dtype)
        return np.array(flat, bool)
    if dtype in _FLOATS:
        _check_types(flat, kinds, {int, float}, dtype)
        exact, largest = _float_bounds(dtype)
        # The extremes suffice for most requests. Comparisons with NaN are false, so an array with
        # NaN may take the loop as well.
        if not -exact <= min(flat, default=0) <= max(flat, default=0) <= exact:
            for value in flat:
                size = abs(value)
                if size > exact if type(value) is int else largest < size < math.inf:
                    raise RequestError(
                        f"Cannot convert JSON value: {brief(value)} to {_name(dtype)} without loss "
                        "of precision."
                    )
        return np.array(flat, _FLOATS[dtype])
    if dtype.is_integer and not dtype.is_quantized:
        _check_types(flat, kinds, {int}, dtype)
        low, high = _integer_bounds(dtype)
        if flat and not low <= min(flat) <= max(flat) <= high:
            raise _type_error(next(value for value in flat if not low <= value <= high), dtype)
        return np.array(flat, dtype.as_numpy_dtype)
    raise RequestError(
        f"Conversion of JSON Value: {brief(flat[0] if flat else [])} to type: {_name(dtype)}",
        "UNIMPLEMENTED",
    )


@functools.cache
def _float_bounds(dtype: tf.DType) -> tuple[int, float]:
    """Returns the largest integer accepted for a floating-point type, and its largest value."""
    kind: Any = _FLOATS[dtype]
    info = np.finfo(kind)
    return 2 ** (info.nmant + 1) - 1, float(info.max)


@functools.cache
def _integer_bounds(dtype: tf.DType) -> tuple[int, int]:
    """Returns the smallest and the largest value of an integer type."""
    return int(dtype.min), int(dtype.max)


def _check_types(
    flat: Sequence[Any], kinds: set[type], accepted: set[type], dtype: tf.DType
) -> None:
    if not kinds <= accepted:
        raise _type_error(next(value for value in flat if type(value) not in accepted), dtype)


def text(value: Any) -> bytes:
    """Returns the bytes of a string, or of an object with base64 data.

    Raises:
        RequestError: If the value is neither, or cannot be encoded or decoded.
    """
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError:
            raise RequestError(
                f"JSON Value: {brief(value)} has an unpaired surrogate, which UTF-8 cannot encode"
            ) from None
    if not isinstance(value, dict):
        raise _type_error(value, tf.string)
    if not is_base64(value):
        raise RequestError(f"JSON Value: {brief(value)} not formatted correctly for base64 data")
    try:
        # The padding may be missing, and the URL-safe alphabet is accepted as well.
        encoded = value["b64"].translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise RequestError("Unable to base64 decode") from None


def is_base64(value: Any) -> bool:
    """Returns whether a JSON value is an object with base64 data: `{"b64": ...}`."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _type_error(value: Any, dtype: tf.DType) -> RequestError:
    kind = json_type(value)
    return RequestError(
        f"JSON Value: {brief(value)} Type: {kind} is not of expected type: {_name(dtype)}"
    )


def json_type(value: Any) -> str:
    """Returns TensorFlow Serving's name for the type of a JSON value."""
    return str(value) if isinstance(value, bool) else _TYPES.get(type(value), "Number")


def _name(dtype: tf.DType) -> str:
    return _NAMES.get(dtype, dtype.name)


def brief(value: Any) -> str:
    """Returns a JSON value as text for a message, cut at `SHOWN` characters."""
    try:
        dumped = json.dumps(value, ensure_ascii=True)
    except (RecursionError, ValueError):
        dumped = type(value).__name__
    return dumped if len(dumped) <= SHOWN else f"{dumped[:SHOWN]}..."


def to_json(name: str, array: np.ndarray) -> Any:
    """Returns an output as a JSON value.

    Strings become text, or base64 objects if the name ends in `_bytes`, as in TensorFlow Serving.

    Args:
        name: Name of the output.
        array: Value of the output.

    Raises:
        RequestError: If JSON cannot represent the type, such as complex numbers.
    """
    if array.dtype == object:
        as_bytes = name.endswith("_bytes")
        return _strings(array.tolist() if array.ndim else array.item(), as_bytes)
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        # float32(0.2) is written as 0.2, not as 0.20000000298023224.
        array = shortest(array)
    elif array.dtype.kind not in "fiub":
        array = array.astype("float64") if array.dtype.name == "bfloat16" else array
        if array.dtype.kind not in "f":
            raise RequestError(f"Failed to write JSON value for tensor type: {array.dtype.name}")
    return array.tolist()


def shortest(array: np.ndarray) -> np.ndarray:
    """Returns float64 values that print with the fewest digits that identify the originals."""
    return array.astype("U32").astype("float64")


def _strings(value: Any, as_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_strings(item, as_bytes) for item in value]
    content = value if isinstance(value, bytes) else str(value).encode()
    if as_bytes:
        return {"b64": base64.b64encode(content).decode()}
    return content.decode("utf-8", errors="replace")
