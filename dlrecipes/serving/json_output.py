"""JSON bodies of responses, written piece by piece.

The format is the one of TensorFlow Serving's REST API. A piece takes about a millisecond, so that a
thread that writes a large response does not keep the GIL from the other threads.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from dlrecipes.serving.limits import Limits, check_output
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.tensors import as_array, shortest

# Numbers, and strings, that are written at a time.
NUMBERS = 16 * 1024
STRINGS = 1024
# Fewest and most characters of a floating-point number, by its size in bytes.
_FLOATS = {2: (3, 12), 4: (3, 16), 8: (3, 25)}
_NUMPY = orjson.OPT_SERIALIZE_NUMPY


def answer(outputs: Mapping[str, Any], rows: bool) -> bytes:
    """Returns the response body for a predict request.

    Args:
        outputs: Outputs of the signature, by name: arrays, or scalar strings.
        rows: Whether the request had rows, so that the response has rows as well.

    Raises:
        RequestError: If `rows` is true and the outputs differ in their number of rows, or one of
            them is a scalar; or if JSON cannot represent a type, such as complex numbers.
    """
    return b"".join(pieces(outputs, rows))


def pieces(outputs: Mapping[str, Any], rows: bool) -> Iterator[bytes]:
    """Yields the pieces of the response body that `answer` returns."""
    arrays = {name: as_array(outputs[name]) for name in sorted(outputs)}
    for array in arrays.values():
        _check_type(array)
    if not rows:
        yield b'{"outputs":'
        yield from _named(arrays) if len(arrays) != 1 else _pieces(*next(iter(arrays.items())))
    else:
        _check_rows(arrays)
        yield b'{"predictions":'
        yield from _rows(arrays) if len(arrays) != 1 else _pieces(*next(iter(arrays.items())))
    yield b"}"


def result_pieces(results: Iterator[list[Any]]) -> Iterator[bytes]:
    """Yields the pieces of the response body for a classify or regress request.

    Args:
        results: Results of some examples at a time, as `examples.results` returns them.
    """
    yield b'{"results":'
    yield from _listed(map(_dump_values, results))
    yield b"}"


def size(outputs: Mapping[str, Any]) -> tuple[int, int]:
    """Returns the fewest and the most bytes that outputs can take as JSON.

    Args:
        outputs: Outputs of the signature, by name: arrays, or scalar strings.
    """
    least = most = 0
    for name, output in outputs.items():
        array = as_array(output)
        if array.dtype == object:
            few = many = sum(map(len, array.ravel().tolist()))
            # An escape sequence takes up to six characters.
            many = 2 * few + 12 * array.size if name.endswith("_bytes") else 6 * few
            few, many = few + 2 * array.size, many + 2 * array.size
        else:
            low, high = _digits(array.dtype)
            few, many = low * array.size, high * array.size
        # A comma follows each value, brackets and a comma enclose each list, even if it is empty,
        # and each row may have the name.
        lists = count_values(array) - array.size
        names = (1 + (len(array) if array.ndim else 1)) * len(orjson.dumps({name: 0}))
        least += few + array.size + lists
        most += many + array.size + 3 * lists + names
    return least, most


def count_values(array: np.ndarray) -> int:
    """Returns the number of JSON values of an array: its elements, and its lists at all levels."""
    return array.size + sum(math.prod(array.shape[:axis]) for axis in range(array.ndim))


def check_size(outputs: Mapping[str, Any], limits: Limits) -> int:
    """Returns the most bytes that outputs can take as JSON, at most `limits.output`.

    Raises:
        RequestError: If they take more than `limits.output` in any case.
    """
    least, most = size(outputs)
    check_output(least, limits)
    return min(most, limits.output)


def _digits(dtype: np.dtype) -> tuple[int, int]:
    if dtype.kind == "b":
        return 4, 5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return 1, max(len(str(info.min)), len(str(info.max)))
    return _FLOATS.get(dtype.itemsize, _FLOATS[8]) if dtype.kind == "f" else _FLOATS[8]


def _check_type(array: np.ndarray) -> None:
    kind, name = array.dtype.kind, array.dtype.name
    if (
        array.dtype != object
        and name != "bfloat16"
        and (kind not in "fiub" or name == "longdouble")
    ):
        raise RequestError(f"Failed to write JSON value for tensor type: {name}")


def _check_rows(arrays: Mapping[str, np.ndarray]) -> None:
    count = None
    for name, array in arrays.items():
        if not array.ndim:
            raise RequestError(f"Tensor name: {name} has no shape information")
        if count not in (None, len(array)):
            raise RequestError(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {count}"
            )
        count = len(array)


def _named(arrays: Mapping[str, np.ndarray]) -> Iterator[bytes]:
    """Yields an object with one array per name."""
    yield b"{"
    for number, (name, array) in enumerate(arrays.items()):
        yield (b"," if number else b"") + orjson.dumps(name) + b":"
        yield from _pieces(name, array)
    yield b"}"


def _rows(arrays: Mapping[str, np.ndarray]) -> Iterator[bytes]:
    """Yields a list with one object per row."""
    count = len(next(iter(arrays.values())))
    in_row = sum(array.size for array in arrays.values()) // count if count else 0
    if in_row > NUMBERS:
        yield b"["
        for row in range(count):
            yield b"," if row else b""
            yield from _named({name: np.asarray(array[row]) for name, array in arrays.items()})
        yield b"]"
        return
    strings = any(array.dtype == object for array in arrays.values())
    step = max(1, (STRINGS if strings else NUMBERS) // max(1, in_row))

    def block(start: int) -> bytes:
        columns = [_values(name, array[start : start + step]) for name, array in arrays.items()]
        rows = [dict(zip(arrays, row, strict=True)) for row in zip(*columns, strict=True)]
        return orjson.dumps(rows, option=_NUMPY)

    yield from _listed(block(start) for start in range(0, count, step))


def _values(name: str, block: np.ndarray) -> list[Any]:
    """Returns a value for each row of a block that orjson can write."""
    if block.dtype == object:
        return _strings(block.tolist(), name.endswith("_bytes"))
    block = _native(block)
    # orjson writes arrays and float32 scalars; the list of an array's rows has nothing else.
    values = list(block) if block.ndim > 1 or block.dtype.kind == "f" else block.tolist()
    if block.dtype.kind == "f":
        finite = np.isfinite(block).all(axis=tuple(range(1, block.ndim)))
        for row in np.flatnonzero(~finite):
            values[row] = orjson.Fragment(_dump_numbers(block[row : row + 1])[1:-1])
    return values


def _pieces(name: str, array: np.ndarray) -> Iterator[bytes]:
    """Yields the pieces of one array."""
    if array.dtype != object:
        yield from _split(array, _dump_numbers, NUMBERS)
    else:
        as_bytes = name.endswith("_bytes")
        yield from _split(
            array, lambda block: orjson.dumps(_strings(block.tolist(), as_bytes)), STRINGS
        )


def _split(array: np.ndarray, dump: Callable[[np.ndarray], bytes], most: int) -> Iterator[bytes]:
    """Yields an array that is written in blocks of at most `most` elements."""
    if not array.ndim:
        yield dump(array.reshape(1))[1:-1]
    elif array.size <= most:
        yield dump(array)
    elif (step := most // (array.size // len(array))) > 0:
        yield from _listed(dump(array[k : k + step]) for k in range(0, len(array), step))
    else:
        yield b"["
        for number, row in enumerate(array):
            yield b"," if number else b""
            yield from _split(row, dump, most)
        yield b"]"


def _listed(lists: Iterator[bytes]) -> Iterator[bytes]:
    """Yields one list that has the elements of several lists."""
    yield b"["
    for number, text in enumerate(lists):
        yield b"," + text[1:-1] if number else text[1:-1]
    yield b"]"


def _dump_numbers(block: np.ndarray) -> bytes:
    block = _native(block)
    text = orjson.dumps(block, option=_NUMPY)
    if block.dtype.kind != "f" or (finite := np.isfinite(block)).all():
        return text
    # orjson writes null for each number that is not finite.
    values = block[~finite]
    names = np.where(np.isnan(values), b"NaN", np.where(values > 0, b"Infinity", b"-Infinity"))
    parts = text.split(b"null")
    joined = [b""] * (2 * len(parts) - 1)
    joined[::2], joined[1::2] = parts, names.tolist()
    return b"".join(joined)


def _native(block: np.ndarray) -> np.ndarray:
    """Returns numbers of a type that orjson writes as it should."""
    if block.dtype == np.float16:
        # float16(0.2) is written as 0.2, not as 0.19995117.
        block = shortest(block)
    elif block.dtype.kind == "V" or block.dtype.name == "bfloat16":
        block = block.astype("float64")
    return block if block.flags.c_contiguous else block.copy()


def _dump_values(values: list[Any]) -> bytes:
    text = orjson.dumps(values)
    # A null may stand for a number that is not finite; Python writes those as TensorFlow Serving.
    if b"null" in text:
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
    return text


def _strings(value: Any, as_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_strings(item, as_bytes) for item in value]
    content = value if isinstance(value, bytes) else str(value).encode()
    if as_bytes:
        return {"b64": base64.b64encode(content).decode()}
    return content.decode("utf-8", errors="replace")
