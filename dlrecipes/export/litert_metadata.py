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
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy as np

import dlrecipes
from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import _litert_schema as schema
from dlrecipes.export._flatbuffers import Fields, Table, add_named_buffer, write
from dlrecipes.export._litert_metadata_reading import read_metadata, summary
from dlrecipes.export._litert_metadata_tables import (
    COLORS,
    LABELS_FILE,
    detection_tables,
    embedding_table,
    input_table,
    scores_table,
)
from dlrecipes.export.detection_outputs import CLASSES, COUNT, LOCATIONS, SCORES

__all__ = [
    "ImageInput",
    "Metadata",
    "add_metadata",
    "classifier",
    "detector",
    "embedder",
    "read_metadata",
    "summary",
]

# The first version of the schema has all tables and fields that are written here.
MIN_PARSER_VERSION = "1.0.0"
# The date of files in the archive, so that equal models are equal files.
DATE = (1980, 1, 1, 0, 0, 0)

Task = Literal["ImageClassifier", "ImageEmbedder", "ObjectDetector"]


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
    """Metadata of a LiteRT file with one image as input.

    Args:
        task: Class of MediaPipe Tasks that loads the file.
        image: How an image becomes the input.
        labels: Labels of a classifier or detector, in the order of its classes. Defaults to none.
        threshold: Lowest score that MediaPipe reports. Defaults to `None`: all scores.
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
    return _with_labels("ImageClassifier", "classifier", labels, image, threshold)


def detector(
    labels: Sequence[str], image: ImageInput | None = None, threshold: float | None = None
) -> Metadata:
    """Returns the metadata of an object detector with `detection_signatures`' four outputs.

    Args:
        labels: Labels in the order of the classes. A line break in a label becomes a space.
        image: How an image becomes the input. Defaults to `ImageInput()`: from 0 to 1.
        threshold: Lowest score that MediaPipe reports, from 0 to 1. Defaults to `None`: all scores
            that the detector returns.

    Raises:
        UsageError: If the labels are not a list of texts, or the threshold is not from 0 to 1.

    Example:

    >>> from dlrecipes.export.litert_metadata import detector
    >>> detector(["cat", "dog"]).task
    'ObjectDetector'
    """
    return _with_labels("ObjectDetector", "detector", labels, image, threshold)


def _with_labels(
    task: Task,
    caller: str,
    labels: Sequence[str],
    image: ImageInput | None,
    threshold: float | None,
) -> Metadata:
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise UsageError(
            f"{caller}: expected a list of texts as labels, got {labels!r}.",
            f'Give the name of each class: {caller}(["cat", "dog"]).',
        )
    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(f"{caller}: threshold must be from 0 to 1, got {threshold!r}.")
    lines = [" ".join(label.splitlines()) for label in labels]
    return Metadata(task, image or ImageInput(), lines, threshold)


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
            "Pass classifier(labels), detector(labels) or embedder() of litert_metadata.",
        )
    model = bytearray(content)
    (graph, *_) = Table(model).tables(schema.ModelField.SUBGRAPHS)
    image, outputs = _tensors(graph, metadata)
    _, sizes = _shape(image)
    tables = _output_tables(model, graph, outputs, metadata)
    numbers = image.array(schema.TensorField.SHAPE, np.int32)
    if sizes[-1] == -1:
        numbers[-1] = COLORS
    subgraph = {
        schema.SubGraphMetadata.INPUTS: [
            input_table(
                image.text(schema.TensorField.NAME),
                numbers.tolist(),
                metadata.image.mean,
                metadata.image.std,
            )
        ],
        schema.SubGraphMetadata.OUTPUTS: tables,
    }
    table = {
        schema.ModelMetadata.NAME: name,
        schema.ModelMetadata.DESCRIPTION: f"For MediaPipe Tasks' {metadata.task}.",
        schema.ModelMetadata.SUBGRAPHS: [subgraph],
        schema.ModelMetadata.AUTHOR: f"dlrecipes {dlrecipes.__version__}",
        schema.ModelMetadata.MIN_PARSER_VERSION: MIN_PARSER_VERSION,
    }
    data = write(table, schema.METADATA_IDENTIFIER)
    file = io.BytesIO(add_named_buffer(bytes(model), schema.METADATA_BUFFER, data))
    if metadata.labels:
        # Mode "a" puts the archive after the model. Readers of labels take uncompressed files only.
        with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
            text = "".join(f"{label}\n" for label in metadata.labels)
            archive.writestr(zipfile.ZipInfo(LABELS_FILE, DATE), text)
    return file.getvalue()


def _tensors(graph: Table, metadata: Metadata) -> tuple[Table, list[Table]]:
    """Returns input and outputs of a graph, if the metadata fits the input and a single output."""
    tensors = graph.tables(schema.SubGraphField.TENSORS)
    inputs, outputs = (
        [tensors[index] for index in graph.array(field, np.int32)]
        for field in (schema.SubGraphField.INPUTS, schema.SubGraphField.OUTPUTS)
    )
    is_detector = metadata.task == "ObjectDetector"
    if len(inputs) != 1 or len(outputs) != (4 if is_detector else 1):
        number = "four outputs" if is_detector else "one output"
        raise _misfit(
            metadata, f"one input and {number}", f"{len(inputs)} and {len(outputs)} of them"
        )
    shape, sizes = _shape(inputs[0])
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in (1, COLORS) or -1 in sizes[1:3]:
        expected = "an input of shape (1, height, width, 3) with fixed height and width"
        raise _misfit(metadata, expected, str(sizes))
    shape, _ = _shape(outputs[0])
    if metadata.task == "ImageClassifier" and shape[1:] != [len(metadata.labels)]:
        raise _misfit(metadata, f"an output of shape (1, {len(metadata.labels)})", str(shape))
    return inputs[0], outputs


def _output_tables(
    model: bytearray, graph: Table, outputs: Sequence[Table], metadata: Metadata
) -> list[Fields]:
    """Returns the tables of the outputs; a detector's outputs are put in MediaPipe's order."""
    name = outputs[0].text(schema.TensorField.NAME)
    if metadata.task == "ImageEmbedder":
        return [embedding_table(name)]
    if metadata.task == "ImageClassifier":
        return [scores_table(name, metadata.threshold)]
    _order_detections(model, graph, metadata)
    return detection_tables(metadata.threshold)


def _order_detections(model: bytearray, graph: Table, metadata: Metadata) -> None:
    """Puts the outputs of a detector in the order of `detection_tables`."""
    if len(Table(model).tables(schema.ModelField.SUBGRAPHS)) > 1:
        # MediaPipe's words: "Expected a model with a single subgraph".
        raise _misfit(metadata, "a graph without loops and conditions", "some")
    (signature, *_) = Table(model).tables(schema.ModelField.SIGNATURE_DEFS)
    tensors = graph.tables(schema.SubGraphField.TENSORS)
    numbers = {
        entry.text(schema.TensorMapField.NAME): int(
            entry.number(schema.TensorMapField.TENSOR_INDEX, np.uint32)
        )
        for entry in signature.tables(schema.SignatureField.OUTPUTS)
    }
    shapes = {name: _shape(tensors[number])[0] for name, number in numbers.items()}
    rows = shapes.get(SCORES, [1, 0])[-1]
    expected = {LOCATIONS: [1, rows, 4], CLASSES: [1, rows], SCORES: [1, rows], COUNT: [1]}
    if shapes != expected:
        wanted = ", ".join(f"{name} {shape}" for name, shape in expected.items())
        got = ", ".join(f"{name} {shape}" for name, shape in sorted(shapes.items()))
        raise _misfit(metadata, f"the outputs {wanted}", got)
    graph.array(schema.SubGraphField.OUTPUTS, np.int32)[:] = [numbers[name] for name in expected]


def _shape(tensor: Table) -> tuple[list[int], list[int]]:
    """Returns the shape of a tensor before it is resized, and with -1 for sizes of any value."""
    shape = tensor.array(schema.TensorField.SHAPE, np.int32).tolist()
    return shape, tensor.array(schema.TensorField.SHAPE_SIGNATURE, np.int32).tolist() or shape


def _misfit(metadata: Metadata, expected: str, got: str) -> PublishError:
    return PublishError(
        f"LiteRT metadata: {metadata.task} needs {expected}, and the LiteRT function has {got}.",
        "Change the function, or pass Exports(..., metadata=None).",
    )
