"""The tables of inputs and outputs in the metadata of LiteRT files, as they are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlrecipes.export import _litert_schema as schema
from dlrecipes.export._flatbuffers import Fields

LABELS_FILE = "labels.txt"
COLORS = 3
# Places of left, top, right and bottom among a detector's numbers: top, left, bottom, right.
EDGES = (1, 0, 3, 2)


def input_table(name: str, shape: Sequence[int], mean: float, std: float) -> Fields:
    """Returns the table of an image.

    Args:
        name: Name of the tensor.
        shape: Its shape.
        mean: Value that becomes 0.
        std: Divisor.
    """
    _, height, width, channels = shape
    color_space = schema.ColorSpace.RGB if channels == COLORS else schema.ColorSpace.GRAYSCALE
    properties = {
        schema.ImageProperties.COLOR_SPACE: np.int8(color_space),
        schema.ImageProperties.SIZE: {
            schema.ImageSize.WIDTH: np.uint32(width),
            schema.ImageSize.HEIGHT: np.uint32(height),
        },
    }
    means, stds = np.array([mean], np.float32), np.array([std], np.float32)
    normalization = {schema.NormalizationOptions.MEAN: means, schema.NormalizationOptions.STD: stds}
    return {
        schema.TensorMetadata.NAME: name,
        schema.TensorMetadata.DESCRIPTION: f"Image of {width}x{height} pixels.",
        schema.TensorMetadata.CONTENT: _content(schema.ContentType.IMAGE, properties),
        schema.TensorMetadata.PROCESS_UNITS: [
            _process_unit(schema.ProcessUnitType.NORMALIZATION, normalization)
        ],
        schema.TensorMetadata.STATS: {
            schema.Stats.MAX: (255 - means) / stds,
            schema.Stats.MIN: (0 - means) / stds,
        },
    }


def embedding_table(name: str) -> Fields:
    """Returns the table of an embedder's output.

    Args:
        name: Name of the tensor.
    """
    return {
        schema.TensorMetadata.NAME: name,
        schema.TensorMetadata.CONTENT: _content(schema.ContentType.FEATURE, {}),
        schema.TensorMetadata.DESCRIPTION: "Embedding of the image.",
    }


def scores_table(name: str, threshold: float | None) -> Fields:
    """Returns the table of a classifier's output.

    Args:
        name: Name of the tensor.
        threshold: Lowest score that is reported, or `None`.
    """
    labels = _labels(
        schema.AssociatedFileType.TENSOR_AXIS_LABELS, "Labels in the order of the scores."
    )
    return {
        schema.TensorMetadata.NAME: name,
        schema.TensorMetadata.CONTENT: _content(schema.ContentType.FEATURE, {}),
        **_threshold(threshold),
        schema.TensorMetadata.DESCRIPTION: "Score of each label.",
        schema.TensorMetadata.STATS: _from_0_to_1(),
        schema.TensorMetadata.FILES: [labels],
    }


def detection_tables(threshold: float | None) -> list[Fields]:
    """Returns the tables of a detector's four outputs, by which MediaPipe recognizes them.

    Args:
        threshold: Lowest score that is reported, or `None`.
    """
    labels = _labels(schema.AssociatedFileType.TENSOR_VALUE_LABELS, "Labels by class.")
    boxes = {
        schema.BoundingBoxProperties.INDEX: np.array(EDGES, np.uint32),
        schema.BoundingBoxProperties.TYPE: np.int8(schema.BoundingBoxType.BOUNDARIES),
        schema.BoundingBoxProperties.COORDINATE_TYPE: np.int8(schema.CoordinateType.RATIO),
    }
    # Each object is at one place of axis 2 of the boxes, counted without the batch.
    each = {schema.ValueRange.MIN: np.int32(2), schema.ValueRange.MAX: np.int32(2)}
    feature = _content(schema.ContentType.FEATURE, {})
    rows = {**feature, schema.Content.RANGE: each}
    location = _content(schema.ContentType.BOUNDING_BOX, boxes)
    return [
        {
            schema.TensorMetadata.NAME: "location",
            schema.TensorMetadata.DESCRIPTION: "Top, left, bottom, right, from 0 to 1.",
            schema.TensorMetadata.CONTENT: {**location, schema.Content.RANGE: each},
        },
        {
            schema.TensorMetadata.NAME: "category",
            schema.TensorMetadata.DESCRIPTION: "Class of each box; -1 after the last one.",
            schema.TensorMetadata.CONTENT: rows,
            schema.TensorMetadata.FILES: [labels],
        },
        {
            schema.TensorMetadata.NAME: "score",
            schema.TensorMetadata.DESCRIPTION: "Score of each box; 0 after the last one.",
            schema.TensorMetadata.CONTENT: rows,
            schema.TensorMetadata.STATS: _from_0_to_1(),
            **_threshold(threshold),
        },
        {
            schema.TensorMetadata.NAME: "number of detections",
            schema.TensorMetadata.DESCRIPTION: "Number of rows, also of those after the last box.",
            schema.TensorMetadata.CONTENT: feature,
        },
    ]


def _threshold(threshold: float | None) -> Fields:
    if threshold is None:
        return {}
    options = {schema.ScoreThresholding.SCORE: np.float32(threshold)}
    unit = _process_unit(schema.ProcessUnitType.SCORE_THRESHOLDING, options)
    return {schema.TensorMetadata.PROCESS_UNITS: [unit]}


def _labels(kind: schema.AssociatedFileType, description: str) -> Fields:
    return {
        schema.AssociatedFile.NAME: LABELS_FILE,
        schema.AssociatedFile.DESCRIPTION: description,
        schema.AssociatedFile.TYPE: np.int8(kind),
    }


def _from_0_to_1() -> Fields:
    return {
        schema.Stats.MAX: np.ones(1, np.float32),
        schema.Stats.MIN: np.zeros(1, np.float32),
    }


def _content(kind: schema.ContentType, properties: Fields) -> Fields:
    return {schema.Content.TYPE: np.uint8(kind), schema.Content.PROPERTIES: properties}


def _process_unit(kind: schema.ProcessUnitType, options: Fields) -> Fields:
    return {schema.ProcessUnit.TYPE: np.uint8(kind), schema.ProcessUnit.OPTIONS: options}
