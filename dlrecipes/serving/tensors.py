"""Values of JSON as arrays, and arrays as values of JSON, by TensorFlow Serving's rules."""

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

# Dimensions that a tensor may have, and characters of a value in a message.
DEEPEST = 32
SHOWN = 200
_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String"}
_NAMES = {tf.float32: "float", tf.float64: "double", tf.float16: "half"}
_FLOATS = {tf.float16: np.float16, tf.float32: np.float32, tf.float64: np.float64}


def to_array(value: Any, dtype: tf.DType) -> np.ndarray:
    """Returns a JSON value, a list of lists or a single one, as an array.

    Raises:
        RequestError: If lists differ in length, or an element is not of the type.
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
                    f"JSON Value: {shown(part)} found at incorrect level: {level + 1} in the "
                    f"JSON DOM. Expected at level: {len(shape)}"
                )
            if len(part) != size:
                raise RequestError(
                    f"Encountered list at unexpected size: {len(part)} at level: {level} "
                    f"expected size: {size}"
                )
        flat = list(itertools.chain.from_iterable(flat))
    if any(type(one) is list for one in flat):
        raise RequestError(
            f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}"
        )
    return _elements(flat, dtype).reshape(shape)


def _elements(flat: Sequence[Any], dtype: tf.DType) -> np.ndarray:
    kinds = set(map(type, flat))
    if dtype == tf.string:
        found = np.empty(len(flat), object)
        found[:] = [text(one) for one in flat]
        return found
    if dtype == tf.bool:
        return np.array(_all(flat, kinds, {bool}, dtype), bool)
    if dtype in _FLOATS:
        _all(flat, kinds, {int, float}, dtype)
        whole, largest = _exact(dtype)
        # The extremes tell of most requests that all is well; NaN compares with nothing.
        if not -whole <= min(flat, default=0) <= max(flat, default=0) <= whole:
            for one in flat:
                too_large = abs(one) > whole if type(one) is int else largest < abs(one) < math.inf
                if too_large:
                    raise RequestError(
                        f"Cannot convert JSON value: {shown(one)} to {_name(dtype)} without loss "
                        "of precision."
                    )
        return np.array(flat, _FLOATS[dtype])
    if dtype.is_integer and not dtype.is_quantized:
        _all(flat, kinds, {int}, dtype)
        least, most = _bounds(dtype)
        if flat and not least <= min(flat) <= max(flat) <= most:
            raise _type_error(next(one for one in flat if not least <= one <= most), dtype)
        return np.array(flat, dtype.as_numpy_dtype)
    raise RequestError(
        f"Conversion of JSON Value: {shown(flat[0] if flat else [])} to type: {_name(dtype)}",
        "UNIMPLEMENTED",
    )


@functools.cache
def _exact(dtype: tf.DType) -> tuple[int, float]:
    """Returns up to which integer a floating-point type has all, and its largest number."""
    found = np.finfo(_FLOATS[dtype])
    return 2 ** (found.nmant + 1) - 1, float(found.max)


@functools.cache
def _bounds(dtype: tf.DType) -> tuple[int, int]:
    """Returns the least and the largest number of an integer type."""
    return int(dtype.min), int(dtype.max)


def _all(flat: Sequence[Any], kinds: set[type], wanted: set[type], dtype: tf.DType):
    if not kinds <= wanted:
        raise _type_error(next(one for one in flat if type(one) not in wanted), dtype)
    return flat


def text(value: Any) -> bytes:
    """Returns the bytes of a string, or of an object that holds them in base64.

    Raises:
        RequestError: If it is neither.
    """
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError:
            raise RequestError(
                f"JSON Value: {shown(value)} has half of a surrogate pair, which is no text"
            ) from None
    if not isinstance(value, dict):
        raise _type_error(value, tf.string)
    if not is_base64(value):
        raise RequestError(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    try:
        # Padding may lack, and the alphabet for addresses is taken, too.
        coded = value["b64"].translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
        return base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise RequestError("Unable to base64 decode") from None


def is_base64(value: Any) -> bool:
    """Returns whether a value is bytes in base64: `{"b64": ...}`."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _type_error(value: Any, dtype: tf.DType) -> RequestError:
    kind = json_type(value)
    return RequestError(
        f"JSON Value: {shown(value)} Type: {kind} is not of expected type: {_name(dtype)}"
    )


def json_type(value: Any) -> str:
    """Returns what TensorFlow Serving calls the type of a JSON value."""
    return str(value) if isinstance(value, bool) else _TYPES.get(type(value), "Number")


def _name(dtype: tf.DType) -> str:
    return _NAMES.get(dtype, dtype.name)


def shown(value: Any) -> str:
    """Returns a JSON value for a message, cut where it is long."""
    try:
        found = json.dumps(value, ensure_ascii=True)
    except (RecursionError, ValueError):
        found = type(value).__name__
    return found if len(found) <= SHOWN else f"{found[:SHOWN]}..."


def listed(name: str, array: np.ndarray) -> Any:
    """Returns an output as JSON has it: numbers, texts, or bytes where the name says so.

    Raises:
        RequestError: If JSON has no such numbers.
    """
    if array.dtype == object:
        as_bytes = name.endswith("_bytes")
        return _strings(array.tolist() if array.ndim else array.item(), as_bytes)
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        # 0.2 as 0.2, not as the number of twice the digits that is nearest to it in binary.
        array = shortest(array)
    elif array.dtype.kind not in "fiub":
        array = array.astype("float64") if array.dtype.name == "bfloat16" else array
        if array.dtype.kind not in "f":
            raise RequestError(f"Failed to write JSON value for tensor type: {array.dtype.name}")
    return array.tolist()


def shortest(array: np.ndarray) -> np.ndarray:
    """Returns numbers as those of float64 that print with the fewest digits that tell them."""
    return array.astype("U32").astype("float64")


def _strings(value: Any, as_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_strings(one, as_bytes) for one in value]
    content = value if isinstance(value, bytes) else str(value).encode()
    if as_bytes:
        return {"b64": base64.b64encode(content).decode()}
    return content.decode("utf-8", errors="replace")
