"""Tensors as text, as a version stores its examples; read without TensorFlow."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

ZLIB = b"\x78"
# Fields of TensorFlow's message TensorProto and of its parts, and types of fields on the wire.
SHAPE, CONTENT, STRINGS = 2, 4, 8
DIMENSION, SIZE = 2, 1
VARINT, BYTES = 0, 2


def serialized(text: str) -> tuple[bytes, str]:
    """Returns a stored tensor as a serialized `TensorProto`, and the name of its data type.

    Args:
        text: The tensor as it is stored.

    Raises:
        ValueError: If the text is damaged.
    """
    content, _, dtype = text.partition(":")
    message = base64.b64decode(content)
    # Older versions are not compressed.
    if message.startswith(ZLIB):
        try:
            message = zlib.decompress(message)
        except zlib.error as error:
            raise ValueError(f"The tensor is damaged: {error}") from error
    return message, dtype


def read_array(text: str) -> np.ndarray:
    """Returns a stored tensor as an array; strings are objects of type `bytes`.

    It reads what `tf.io.serialize_tensor` writes.

    Args:
        text: The tensor as it is stored.

    Raises:
        TypeError, ValueError: If the text is damaged, or NumPy lacks the data type.
    """
    message, dtype = serialized(text)
    shape: list[int] = []
    content, strings = b"", []
    for field, value in _fields(message):
        if field == SHAPE:
            parts = (dict(_fields(part)) for key, part in _fields(value) if key == DIMENSION)
            shape = [part.get(SIZE, 0) for part in parts]
        elif field == CONTENT:
            content = value
        elif field == STRINGS:
            strings.append(value)
    if dtype != "string":
        return np.frombuffer(content, np.dtype(dtype)).reshape(shape)
    array = np.empty(len(strings), object)
    array[:] = strings
    return array.reshape(shape)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yields number and value of the fields of a serialized message.

    Reference:
        https://protobuf.dev/programming-guides/encoding/
    """
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        if tag & 7 not in (VARINT, BYTES):
            raise ValueError("The tensor is damaged: unexpected type of a field.")
        value, place = _varint(message, place)
        if tag & 7 == BYTES:
            if place + value > len(message):
                raise ValueError("The tensor is damaged: it ends too early.")
            yield tag >> 3, message[place : place + value]
            place += value
        else:
            yield tag >> 3, value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """Returns the integer at a place, seven bits per byte, and the place after it."""
    value = shift = 0
    while place < len(message):
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise ValueError("The tensor is damaged: it ends too early.")
