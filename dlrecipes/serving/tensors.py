"""Conversion between JSON values and arrays, by TensorFlow Serving's rules."""

from __future__ import annotations

import base64
import binascii
import functools
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from dlrecipes.serving.status import RequestError

# Maximum number of dimensions of a tensor.
DEEPEST = 32
# Maximum number of characters of a JSON value in a message.
SHOWN = 200
_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String"}
_NAMES = {"float32": "float", "float64": "double", "float16": "half"}
_FLOATS = ("float16", "float32", "float64")
_INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))


def to_array(value: Any, dtype: str) -> np.ndarray:
    """Returns a JSON value as an array: a scalar, or lists nested to any depth up to `DEEPEST`.

    Args:
        value: JSON value.
        dtype: TensorFlow's name for the data type, such as `"float32"` or `"string"`.

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


def _elements(flat: Sequence[Any], dtype: str) -> np.ndarray:
    kinds = set(map(type, flat))
    if dtype == "string":
        strings = np.empty(len(flat), object)
        strings[:] = [text(value) for value in flat]
        return strings
    if dtype == "bool":
        _check_types(flat, kinds, {bool}, dtype)
        return np.array(flat, bool)
    if dtype in _FLOATS:
        _check_types(flat, kinds, {int, float}, dtype)
        largest = _largest(dtype)
        # The extremes suffice for most requests. Comparisons with NaN are false, so an array with
        # NaN may take the loop as well. Numbers within the range are rounded.
        if not -largest <= min(flat, default=0) <= max(flat, default=0) <= largest:
            for value in flat:
                if largest < abs(value) != math.inf:
                    raise RequestError(
                        f"Cannot convert JSON value: {brief(value)} to {_name(dtype)} without loss "
                        "of precision."
                    )
        return np.array(flat, dtype)
    if dtype in _INTEGERS:
        _check_types(flat, kinds, {int}, dtype)
        low, high = _integer_bounds(dtype)
        if flat and not low <= min(flat) <= max(flat) <= high:
            raise _type_error(next(value for value in flat if not low <= value <= high), dtype)
        return np.array(flat, dtype)
    raise RequestError(
        f"Conversion of JSON Value: {brief(flat[0] if flat else [])} to type: {_name(dtype)}",
        "UNIMPLEMENTED",
    )


@functools.cache
def _largest(dtype: str) -> float:
    """Returns the largest value of a floating-point type."""
    return float(np.finfo(dtype).max)


@functools.cache
def _integer_bounds(dtype: str) -> tuple[int, int]:
    """Returns the smallest and the largest value of an integer type."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def _check_types(flat: Sequence[Any], kinds: set[type], accepted: set[type], dtype: str) -> None:
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
        raise _type_error(value, "string")
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


def _type_error(value: Any, dtype: str) -> RequestError:
    kind = json_type(value)
    return RequestError(
        f"JSON Value: {brief(value)} Type: {kind} is not of expected type: {_name(dtype)}"
    )


def json_type(value: Any) -> str:
    """Returns TensorFlow Serving's name for the type of a JSON value."""
    return str(value) if isinstance(value, bool) else _TYPES.get(type(value), "Number")


def _name(dtype: str) -> str:
    return _NAMES.get(dtype, dtype)


def brief(value: Any) -> str:
    """Returns a JSON value as text for a message, cut at `SHOWN` characters."""
    # The encoder yields piece by piece, so that a large value takes no longer than a small one.
    dumped = ""
    try:
        for piece in json.JSONEncoder().iterencode(value):
            dumped += piece
            if len(dumped) > SHOWN:
                break
    except (RecursionError, ValueError):
        dumped = type(value).__name__
    return dumped if len(dumped) <= SHOWN else f"{dumped[:SHOWN]}..."


def as_array(output: Any) -> np.ndarray:
    """Returns an output as an array; TensorFlow returns a scalar string as bytes."""
    if isinstance(output, np.ndarray):
        return output
    return np.array(output, object if isinstance(output, bytes | str) else None)


def size_of(outputs: Mapping[str, Any]) -> int:
    """Returns the number of bytes of outputs: of their numbers, or of their strings' contents."""
    arrays = map(as_array, outputs.values())
    return sum(
        sum(map(len, array.ravel().tolist())) if array.dtype == object else array.nbytes
        for array in arrays
    )


def shortest(array: np.ndarray) -> np.ndarray:
    """Returns float64 values that print with the fewest digits that identify the originals."""
    flat = np.ascontiguousarray(array).ravel()
    if array.dtype == np.float16:
        # There are few different values, and their conversion is slow.
        bits, positions = np.unique(flat.view(np.uint16), return_inverse=True)
        values = bits.view(np.float16).astype("U32").astype("float64")[positions]
    elif array.dtype == np.float32:
        # orjson writes numbers that are not finite as null.
        digits = orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)
        values = np.where(np.isfinite(flat), np.array(orjson.loads(digits), "float64"), flat)
    else:
        values = flat.astype("float64")
    return values.reshape(array.shape)
