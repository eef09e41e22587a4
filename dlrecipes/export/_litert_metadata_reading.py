"""The metadata of LiteRT files, read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlrecipes.errors import PublishError, reason
from dlrecipes.export import _litert_schema as schema
from dlrecipes.export._flatbuffers import Table, named_buffers

# Files of labels: of the places of an axis, and of the values of a tensor.
_LABELS = (
    schema.AssociatedFileType.TENSOR_AXIS_LABELS,
    schema.AssociatedFileType.TENSOR_VALUE_LABELS,
)


def read_metadata(path: Path) -> dict[str, Any]:
    """Returns the metadata of a LiteRT file, an empty dictionary if it has none.

    Args:
        path: The LiteRT file.

    Returns:
        `name`, `description`, `author` and `min_parser_version` of the model, `inputs` and
        `outputs`, each a list of dictionaries with the entries that the file has: `name`,
        `description`, `color_space`, `width`, `height`, `mean`, `std`, `min`, `max`, `threshold`,
        `labels` and, for boxes, `edges`: the places of left, top, right and bottom.

    Raises:
        PublishError: If the metadata is damaged.
    """
    content = Path(path).read_bytes()
    try:
        data = dict(named_buffers(content)).get(schema.METADATA_BUFFER)
        return {} if data is None else _model(data, _files(content))
    except Exception as error:  # Offsets of a damaged file lead anywhere.
        raise PublishError(
            f"{path.name}: its LiteRT metadata cannot be read: {reason(error)}"
        ) from error


def summary(path: Path) -> str:
    """Returns the metadata of a LiteRT file in a few words, `""` if it has none.

    Args:
        path: The LiteRT file.

    Raises:
        PublishError: If the metadata is damaged.
    """
    metadata = read_metadata(path)
    if not metadata:
        return ""
    parts = [
        f"{tensor['color_space']} images of {tensor['width']}x{tensor['height']} pixels"
        for tensor in metadata["inputs"]
        if {"color_space", "width"} <= set(tensor)
    ]
    parts += [
        f"{len(tensor['labels'])} labels" for tensor in metadata["outputs"] if "labels" in tensor
    ]
    return ", ".join(parts)


def _files(content: bytes) -> dict[str, str]:
    """Returns the files in the archive after a model, by name."""
    file = io.BytesIO(content)
    if not zipfile.is_zipfile(file):
        return {}
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def _model(data: bytes, files: Mapping[str, str]) -> dict[str, Any]:
    if data[4:8] != schema.METADATA_IDENTIFIER:
        raise ValueError(f"its identifier is {data[4:8]!r}, not {schema.METADATA_IDENTIFIER!r}")
    model = Table(data)
    (graph, *_) = model.tables(schema.ModelMetadata.SUBGRAPHS)
    texts = (
        schema.ModelMetadata.NAME,
        schema.ModelMetadata.DESCRIPTION,
        schema.ModelMetadata.AUTHOR,
        schema.ModelMetadata.MIN_PARSER_VERSION,
    )
    return {
        **{field.name.lower(): model.text(field) for field in texts},
        "inputs": [_tensor(table, files) for table in graph.tables(schema.SubGraphMetadata.INPUTS)],
        "outputs": [
            _tensor(table, files) for table in graph.tables(schema.SubGraphMetadata.OUTPUTS)
        ],
    }


def _tensor(table: Table, files: Mapping[str, str]) -> dict[str, Any]:
    entries: dict[str, Any] = {
        "name": table.text(schema.TensorMetadata.NAME),
        "description": table.text(schema.TensorMetadata.DESCRIPTION),
    }
    content = table.table(schema.TensorMetadata.CONTENT)
    if content and content.number(schema.Content.TYPE, np.uint8) == schema.ContentType.IMAGE:
        properties = content.table(schema.Content.PROPERTIES)
        assert properties is not None
        color_space = schema.ColorSpace(
            properties.number(schema.ImageProperties.COLOR_SPACE, np.int8)
        )
        entries["color_space"] = color_space.name
        if size := properties.table(schema.ImageProperties.SIZE):
            entries["width"] = int(size.number(schema.ImageSize.WIDTH, np.uint32))
            entries["height"] = int(size.number(schema.ImageSize.HEIGHT, np.uint32))
    if content and content.number(schema.Content.TYPE, np.uint8) == schema.ContentType.BOUNDING_BOX:
        properties = content.table(schema.Content.PROPERTIES)
        assert properties is not None
        index = properties.array(schema.BoundingBoxProperties.INDEX, np.uint32)
        entries["edges"] = index.tolist() or [0, 1, 2, 3]
    for unit in table.tables(schema.TensorMetadata.PROCESS_UNITS):
        options = unit.table(schema.ProcessUnit.OPTIONS)
        assert options is not None
        kind = unit.number(schema.ProcessUnit.TYPE, np.uint8)
        if kind == schema.ProcessUnitType.NORMALIZATION:
            entries["mean"] = options.array(schema.NormalizationOptions.MEAN, np.float32).tolist()
            entries["std"] = options.array(schema.NormalizationOptions.STD, np.float32).tolist()
        elif kind == schema.ProcessUnitType.SCORE_THRESHOLDING:
            entries["threshold"] = float(options.number(schema.ScoreThresholding.SCORE, np.float32))
    if stats := table.table(schema.TensorMetadata.STATS):
        entries["min"] = stats.array(schema.Stats.MIN, np.float32).tolist()
        entries["max"] = stats.array(schema.Stats.MAX, np.float32).tolist()
    for file in table.tables(schema.TensorMetadata.FILES):
        if file.number(schema.AssociatedFile.TYPE, np.int8) in _LABELS:
            entries["labels"] = files[file.text(schema.AssociatedFile.NAME)].splitlines()
    return entries
