"""LiteRT metadata: what an app needs to call a LiteRT file without code of its own.

MediaPipe Tasks refuses a LiteRT file of floats that does not say how images become numbers. The
metadata says so, and carries the labels. It is a table `ModelMetadata` in a buffer of the file
that is named `TFLITE_METADATA`; files such as labels follow the model as an uncompressed ZIP
archive, which the interpreter ignores.

Reference: `metadata_schema.fbs` of TensorFlow Lite Support and MediaPipe.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import numpy as np

import dlrecipes
from dlrecipes.errors import PublishError, UsageError, reason
from dlrecipes.export import _litert_schema as schema
from dlrecipes.export._flatbuffers import (
    Fields,
    Table,
    add_named_buffer,
    named_buffers,
    write,
)

BUFFER_NAME, IDENTIFIER = "TFLITE_METADATA", b"M001"
LABELS_FILE = "labels.txt"
# The first version of the schema has all tables and fields that are written here.
MIN_PARSER_VERSION = "1.0.0"
COLORS = 3
# The date of files in the archive, so that equal models are equal files.
DATE = (1980, 1, 1, 0, 0, 0)

Task = Literal["ImageClassifier", "ImageEmbedder"]


@dataclass(frozen=True)
class ImageInput:
    """How an image becomes the input of a LiteRT file: `(value - mean) / std` of 8-bit values.

    MediaPipe Tasks refuses a mean or divisor for each color: put these into the model, such as
    `keras.layers.Normalization`.

    Args:
        mean: Value that becomes 0. Defaults to 0.
        std: Divisor, above 0. Defaults to 255: the input is from 0 to 1.

    Raises:
        UsageError: If a value is not a finite number, or the divisor is not above 0.
    """

    mean: float = 0.0
    std: float = 255.0

    def __post_init__(self) -> None:
        """Checks the numbers."""
        values: tuple[object, ...] = (self.mean, self.std)
        numbers = all(isinstance(x, Real) and math.isfinite(x) for x in values)
        if not numbers or self.std <= 0:
            raise UsageError(
                "ImageInput: mean and std must be one number each, and std above 0, got "
                f"{self.mean!r} and {self.std!r}.",
                "For inputs from -1 to 1: ImageInput(mean=127.5, std=127.5). Put a mean per color "
                "into the model, such as keras.layers.Normalization.",
            )


@dataclass(frozen=True)
class Metadata:
    """Metadata of a LiteRT file with one image as input and one tensor as output.

    Args:
        task: Class of MediaPipe Tasks that loads the file.
        image: How an image becomes the input.
        labels: Labels of a classifier, in the order of its output. Defaults to none.
        threshold: Lowest score that a classifier reports. Defaults to `None`: all scores.
    """

    task: Task
    image: ImageInput
    labels: Sequence[str] = ()
    threshold: float | None = None


def classifier(
    labels: Sequence[str], image: ImageInput | None = None, threshold: float | None = None
) -> Metadata:
    """Returns the metadata of an image classifier, whose output are the scores of the labels.

    Args:
        labels: Labels in the order of the scores, which are from 0 to 1. A line break in a label
            becomes a space.
        image: How an image becomes the input. Defaults to `ImageInput()`: from 0 to 1.
        threshold: Lowest score that is reported, from 0 to 1. Defaults to `None`: all scores.

    Raises:
        UsageError: If the labels are not a list of texts, or the threshold is not from 0 to 1.

    Example:

    >>> from dlrecipes.export.litert_metadata import classifier
    >>> classifier(["cat", "dog"]).task
    'ImageClassifier'
    """
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise UsageError(
            f"classifier: expected a list of texts as labels, got {labels!r}.",
            'Give one label per score: classifier(["cat", "dog"]).',
        )
    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(f"classifier: threshold must be from 0 to 1, got {threshold!r}.")
    lines = [" ".join(label.splitlines()) for label in labels]
    return Metadata("ImageClassifier", image or ImageInput(), lines, threshold)


def embedder(image: ImageInput | None = None) -> Metadata:
    """Returns the metadata of an image embedder, whose output is a vector.

    Args:
        image: How an image becomes the input. Defaults to `ImageInput()`: from 0 to 1.
    """
    return Metadata("ImageEmbedder", image or ImageInput())


def add_metadata(content: bytes, metadata: Metadata, name: str) -> bytes:
    """Returns a LiteRT file with metadata.

    MediaPipe takes images with three channels only. If the file takes any number of channels, the
    returned file has three until the input is resized.

    Args:
        content: The LiteRT file.
        metadata: Its metadata.
        name: Name of the model.

    Raises:
        PublishError: If the metadata does not fit the inputs and outputs of the file.
        UsageError: If `metadata` is not a `Metadata`.
    """
    if not isinstance(metadata, Metadata):
        raise UsageError(
            f"publish: metadata must be a Metadata, got {type(metadata).__name__}.",
            "Pass classifier(labels) or embedder() of dlrecipes.export.litert_metadata.",
        )
    model = bytearray(content)
    (graph, *_) = Table(model).tables(schema.ModelField.SUBGRAPHS)
    image, output = _tensors(graph, metadata)
    shape, sizes = image.array(schema.TensorField.SHAPE, np.int32), _shape(image)[1]
    if sizes[-1] == -1:
        shape[-1] = COLORS
    subgraph = {
        schema.SubGraphMetadata.INPUTS: [
            _input(image.text(schema.TensorField.NAME), shape.tolist(), metadata)
        ],
        schema.SubGraphMetadata.OUTPUTS: [_output(output.text(schema.TensorField.NAME), metadata)],
    }
    table = {
        schema.ModelMetadata.NAME: name,
        schema.ModelMetadata.DESCRIPTION: f"For MediaPipe Tasks' {metadata.task}.",
        schema.ModelMetadata.SUBGRAPHS: [subgraph],
        schema.ModelMetadata.AUTHOR: f"dlrecipes {dlrecipes.__version__}",
        schema.ModelMetadata.MIN_PARSER_VERSION: MIN_PARSER_VERSION,
    }
    file = io.BytesIO(add_named_buffer(bytes(model), BUFFER_NAME, write(table, IDENTIFIER)))
    if metadata.labels:
        # Mode "a" puts the archive after the model. Readers of labels take uncompressed files only.
        with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
            text = "".join(f"{label}\n" for label in metadata.labels)
            archive.writestr(zipfile.ZipInfo(LABELS_FILE, DATE), text)
    return file.getvalue()


def _tensors(graph: Table, metadata: Metadata) -> tuple[Table, Table]:
    """Returns input and output of a graph, if the metadata fits them."""
    tensors = graph.tables(schema.SubGraphField.TENSORS)
    inputs, outputs = (
        [tensors[index] for index in graph.array(field, np.int32)]
        for field in (schema.SubGraphField.INPUTS, schema.SubGraphField.OUTPUTS)
    )
    if len(inputs) != 1 or len(outputs) != 1:
        raise _misfit(
            metadata, "one input and one output", f"{len(inputs)} and {len(outputs)} of them"
        )
    shape, sizes = _shape(inputs[0])
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in (1, COLORS) or -1 in sizes[1:3]:
        expected = "an input of shape (1, height, width, 3) with fixed height and width"
        raise _misfit(metadata, expected, str(sizes))
    shape, _ = _shape(outputs[0])
    if metadata.task == "ImageClassifier" and shape[1:] != [len(metadata.labels)]:
        raise _misfit(metadata, f"an output of shape (1, {len(metadata.labels)})", str(shape))
    return inputs[0], outputs[0]


def _shape(tensor: Table) -> tuple[list[int], list[int]]:
    """Returns the shape of a tensor before it is resized, and with -1 for sizes of any value."""
    shape = tensor.array(schema.TensorField.SHAPE, np.int32).tolist()
    return shape, tensor.array(schema.TensorField.SHAPE_SIGNATURE, np.int32).tolist() or shape


def _misfit(metadata: Metadata, expected: str, got: str) -> PublishError:
    return PublishError(
        f"LiteRT metadata: {metadata.task} needs {expected}, and the LiteRT function has {got}.",
        "Change the function, or pass Exports(..., metadata=None).",
    )


def _input(name: str, shape: Sequence[int], metadata: Metadata) -> Fields:
    image, (_, height, width, channels) = metadata.image, shape
    color_space = schema.ColorSpace.RGB if channels == COLORS else schema.ColorSpace.GRAYSCALE
    properties = {
        schema.ImageProperties.COLOR_SPACE: np.int8(color_space),
        schema.ImageProperties.SIZE: {
            schema.ImageSize.WIDTH: np.uint32(width),
            schema.ImageSize.HEIGHT: np.uint32(height),
        },
    }
    mean, std = (np.array([value], np.float32) for value in (image.mean, image.std))
    normalization = {schema.NormalizationOptions.MEAN: mean, schema.NormalizationOptions.STD: std}
    return {
        schema.TensorMetadata.NAME: name,
        schema.TensorMetadata.DESCRIPTION: f"Image of {width}x{height} pixels.",
        schema.TensorMetadata.CONTENT: _content(schema.ContentType.IMAGE, properties),
        schema.TensorMetadata.PROCESS_UNITS: [
            _process_unit(schema.ProcessUnitType.NORMALIZATION, normalization)
        ],
        schema.TensorMetadata.STATS: {
            schema.Stats.MAX: (255 - mean) / std,
            schema.Stats.MIN: (0 - mean) / std,
        },
    }


def _output(name: str, metadata: Metadata) -> Fields:
    fields: dict[int, Any] = {
        schema.TensorMetadata.NAME: name,
        schema.TensorMetadata.CONTENT: _content(schema.ContentType.FEATURE, {}),
    }
    if metadata.task == "ImageEmbedder":
        return {**fields, schema.TensorMetadata.DESCRIPTION: "Embedding of the image."}
    if metadata.threshold is not None:
        options = {schema.ScoreThresholding.SCORE: np.float32(metadata.threshold)}
        unit = _process_unit(schema.ProcessUnitType.SCORE_THRESHOLDING, options)
        fields[schema.TensorMetadata.PROCESS_UNITS] = [unit]
    labels = {
        schema.AssociatedFile.NAME: LABELS_FILE,
        schema.AssociatedFile.DESCRIPTION: "Labels in the order of the scores.",
        schema.AssociatedFile.TYPE: np.int8(schema.AssociatedFileType.TENSOR_AXIS_LABELS),
    }
    return {
        **fields,
        schema.TensorMetadata.DESCRIPTION: "Score of each label.",
        schema.TensorMetadata.STATS: {
            schema.Stats.MAX: np.ones(1, np.float32),
            schema.Stats.MIN: np.zeros(1, np.float32),
        },
        schema.TensorMetadata.FILES: [labels],
    }


def _content(kind: schema.ContentType, properties: Fields) -> Fields:
    return {schema.Content.TYPE: np.uint8(kind), schema.Content.PROPERTIES: properties}


def _process_unit(kind: schema.ProcessUnitType, options: Fields) -> Fields:
    return {schema.ProcessUnit.TYPE: np.uint8(kind), schema.ProcessUnit.OPTIONS: options}


def read_metadata(path: Path) -> dict[str, Any]:
    """Returns the metadata of a LiteRT file, an empty dictionary if it has none.

    Args:
        path: The LiteRT file.

    Returns:
        `name`, `description`, `author` and `min_parser_version` of the model, `inputs` and
        `outputs`, each a list of dictionaries with the entries that the file has: `name`,
        `description`, `color_space`, `width`, `height`, `mean`, `std`, `min`, `max`, `threshold`
        and `labels`.

    Raises:
        PublishError: If the metadata is damaged.
    """
    content = Path(path).read_bytes()
    try:
        data = dict(named_buffers(content)).get(BUFFER_NAME)
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
    if data[4:8] != IDENTIFIER:
        raise ValueError(f"its identifier is {data[4:8]!r}, not {IDENTIFIER!r}")
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
        if (
            file.number(schema.AssociatedFile.TYPE, np.int8)
            == schema.AssociatedFileType.TENSOR_AXIS_LABELS
        ):
            entries["labels"] = files[file.text(schema.AssociatedFile.NAME)].splitlines()
    return entries
