"""FlatBuffers without generated code: tables by field number, and buffers added to LiteRT files."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers.table import Table as _Table

from dlrecipes.export._litert_schema import BufferField, MetadataField, ModelField

LITERT_IDENTIFIER = b"TFL3"
# Alignment that LiteRT's schema requires for the contents of buffers.
ALIGNMENT = 16

# A table by field number. Its values are NumPy scalars, texts, bytes (vectors of bytes, aligned),
# arrays (vectors of numbers), tables, or lists of tables.
Fields = Mapping[Any, Any]


def write(fields: Fields, identifier: bytes) -> bytes:
    """Returns a FlatBuffers file with one table as its root.

    Args:
        fields: The table.
        identifier: File identifier, four bytes.
    """
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, fields), identifier)
    return bytes(builder.Output())


def _write(builder: flatbuffers.Builder, fields: Fields) -> int:
    """Writes a table after everything it refers to, and returns its offset from the end."""
    offsets = {
        number: _write_value(builder, value)
        for number, value in fields.items()
        if not isinstance(value, np.generic)
    }
    builder.StartObject(max(fields, default=-1) + 1)
    for number, value in fields.items():
        if number in offsets:
            builder.PrependUOffsetTRelativeSlot(number, offsets[number], 0)
        else:
            slot = getattr(builder, f"Prepend{value.dtype.name.capitalize()}Slot")
            slot(number, value.item(), 0)
    return builder.EndObject()


def _write_value(builder: flatbuffers.Builder, value: Any) -> int:
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, bytes):
        builder.StartVector(1, len(value), ALIGNMENT)
        builder.head -= len(value)
        builder.Bytes[builder.head : builder.head + len(value)] = value
        return builder.EndVector()
    if isinstance(value, np.ndarray):
        return builder.CreateNumpyVector(value)
    if isinstance(value, Mapping):
        return _write(builder, value)
    return _write_offsets(builder, [_write(builder, entry) for entry in value])


def _write_offsets(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


class Table:
    """A table of a FlatBuffers file.

    Args:
        content: The file.
        position: Position of the table. Defaults to `None`: the root.
    """

    def __init__(self, content: bytes | bytearray, position: int | None = None):
        if position is None:
            (position,) = struct.unpack_from("<I", content)
        self.content = content
        self._table = _Table(content, position)

    def __contains__(self, field: int) -> bool:
        return self._table.Offset(4 + 2 * field) != 0

    def position(self, field: int) -> int | None:
        """Returns the position of what a field refers to, or `None` if the field is absent."""
        offset = self._table.Offset(4 + 2 * field)
        return self._table.Indirect(self._table.Pos + offset) if offset else None

    def number(self, field: int, dtype: Any) -> Any:
        """Returns the number in a field; 0 if it is absent."""
        offset = self._table.Offset(4 + 2 * field)
        return np.frombuffer(self.content, dtype, 1, self._table.Pos + offset)[0] if offset else 0

    def text(self, field: int) -> str:
        """Returns the text in a field; `""` if it is absent."""
        offset = self._table.Offset(4 + 2 * field)
        return self._table.String(self._table.Pos + offset).decode() if offset else ""

    def array(self, field: int, dtype: Any) -> np.ndarray:
        """Returns the vector of numbers in a field, a view; empty if it is absent."""
        position = self.position(field)
        if position is None:
            return np.zeros(0, dtype)
        (length,) = struct.unpack_from("<I", self.content, position)
        return np.frombuffer(self.content, dtype, length, position + 4)

    def table(self, field: int) -> Table | None:
        """Returns the table in a field, or `None` if it is absent."""
        position = self.position(field)
        return None if position is None else Table(self.content, position)

    def tables(self, field: int) -> list[Table]:
        """Returns the vector of tables in a field; an empty list if it is absent."""
        start = self.position(field)
        if start is None:
            return []
        places = start + 4 + 4 * np.arange(len(self.array(field, np.uint32)))
        return [Table(self.content, self._table.Indirect(int(place))) for place in places]


def named_buffers(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields the names and contents of the buffers in the list `metadata` of a LiteRT file.

    Args:
        content: The LiteRT file.
    """
    model = Table(content)
    buffers = model.tables(ModelField.BUFFERS)
    for entry in model.tables(ModelField.METADATA):
        buffer = buffers[entry.number(MetadataField.BUFFER, np.uint32)]
        yield entry.text(MetadataField.NAME), buffer.array(BufferField.DATA, np.uint8).tobytes()


def add_named_buffer(content: bytes, name: str, data: bytes) -> bytes:
    """Returns a LiteRT file with another buffer that its list `metadata` names.

    The file stays as it is, behind a new root that refers to its tables: buffers keep their
    alignment, which they lose when Python's generated classes write a file again.

    Args:
        content: The LiteRT file.
        name: Name of the buffer.
        data: Contents of the buffer.

    Raises:
        ValueError: If the file is not a LiteRT file, or its root has fields of a newer schema.
    """
    if content[4:8] != LITERT_IDENTIFIER:
        raise ValueError("This is not a LiteRT file.")
    model = Table(content)
    newest = len(ModelField)
    if any(number in model for number in range(newest, newest + 16)):
        raise ValueError("The LiteRT file has a newer schema.")
    builder = flatbuffers.Builder(0)
    # The builder writes from the end to the front, and counts offsets from the end.
    builder.Bytes = bytearray(content) + bytes(-len(content) % ALIGNMENT)
    builder.head = 0
    size = len(builder.Bytes)
    buffers = [size - table._table.Pos for table in model.tables(ModelField.BUFFERS)]
    named = [size - table._table.Pos for table in model.tables(ModelField.METADATA)]
    added: Fields = {MetadataField.NAME: name, MetadataField.BUFFER: np.uint32(len(buffers))}
    buffers.append(_write(builder, {BufferField.DATA: data}))
    named.append(_write(builder, added))
    offsets = {
        field: size - position
        for field in ModelField
        if field != ModelField.VERSION and (position := model.position(field)) is not None
    }
    offsets[ModelField.BUFFERS] = _write_offsets(builder, buffers)
    offsets[ModelField.METADATA] = _write_offsets(builder, named)
    builder.StartObject(newest)
    version = int(model.number(ModelField.VERSION, np.uint32))
    builder.PrependUint32Slot(ModelField.VERSION, version, 0)
    for field, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    root = builder.EndObject()
    builder.minalign = ALIGNMENT
    builder.Finish(root, LITERT_IDENTIFIER)
    return bytes(builder.Output())
