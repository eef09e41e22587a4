"""Numbers of fields and enumerations in the schemas of LiteRT and of its metadata.

The names are those of `schema.fbs` and `metadata_schema.fbs`; only what is used stands here.
"""

from enum import IntEnum

# Name of the buffer that holds the metadata, and the identifier of its contents.
METADATA_BUFFER, METADATA_IDENTIFIER = "TFLITE_METADATA", b"M001"


class ModelField(IntEnum):
    """Fields of the table `Model` in LiteRT's schema."""

    VERSION = 0
    OPERATOR_CODES = 1
    SUBGRAPHS = 2
    DESCRIPTION = 3
    BUFFERS = 4
    METADATA_BUFFER = 5
    METADATA = 6
    SIGNATURE_DEFS = 7


class MetadataField(IntEnum):
    """Fields of the table `Metadata` in LiteRT's schema: a named buffer."""

    NAME = 0
    BUFFER = 1


class BufferField(IntEnum):
    """Fields of the table `Buffer` in LiteRT's schema."""

    DATA = 0


class ModelMetadata(IntEnum):
    """The root."""

    NAME = 0
    DESCRIPTION = 1
    VERSION = 2
    SUBGRAPHS = 3
    AUTHOR = 4
    LICENSE = 5
    FILES = 6
    MIN_PARSER_VERSION = 7


class SubGraphMetadata(IntEnum):
    """Metadata of a graph."""

    INPUTS = 2
    OUTPUTS = 3


class TensorMetadata(IntEnum):
    """Metadata of an input or output."""

    NAME = 0
    DESCRIPTION = 1
    CONTENT = 3
    PROCESS_UNITS = 4
    STATS = 5
    FILES = 6


class Content(IntEnum):
    """Contents of a tensor: a union, with its type, and the axes that hold it."""

    TYPE = 0
    PROPERTIES = 1
    RANGE = 2


class ValueRange(IntEnum):
    """A range of numbers."""

    MIN = 0
    MAX = 1


class ContentType(IntEnum):
    """Types of the union of properties of a content."""

    FEATURE = 1
    IMAGE = 2
    BOUNDING_BOX = 3


class ImageProperties(IntEnum):
    """Properties of an image."""

    COLOR_SPACE = 0
    SIZE = 1


class ColorSpace(IntEnum):
    """Color spaces."""

    UNKNOWN = 0
    RGB = 1
    GRAYSCALE = 2


class BoundingBoxProperties(IntEnum):
    """Properties of boxes."""

    INDEX = 0
    TYPE = 1
    COORDINATE_TYPE = 2


class BoundingBoxType(IntEnum):
    """Meanings of the four numbers of a box."""

    BOUNDARIES = 1


class CoordinateType(IntEnum):
    """Units of coordinates: fractions of the image's sides, or pixels."""

    RATIO = 0


class ImageSize(IntEnum):
    """Size of an image."""

    WIDTH = 0
    HEIGHT = 1


class ProcessUnit(IntEnum):
    """A step before or after the model: a union, with its type."""

    TYPE = 0
    OPTIONS = 1


class ProcessUnitType(IntEnum):
    """Types of the union of options of a process unit."""

    NORMALIZATION = 1
    SCORE_THRESHOLDING = 3


class NormalizationOptions(IntEnum):
    """Options of a normalization."""

    MEAN = 0
    STD = 1


class ScoreThresholding(IntEnum):
    """Options of a threshold of scores."""

    SCORE = 0


class Stats(IntEnum):
    """Range of a tensor's values."""

    MAX = 0
    MIN = 1


class AssociatedFile(IntEnum):
    """A file in the archive."""

    NAME = 0
    DESCRIPTION = 1
    TYPE = 2


class AssociatedFileType(IntEnum):
    """Purposes of a file."""

    TENSOR_AXIS_LABELS = 2
    TENSOR_VALUE_LABELS = 3


class SubGraphField(IntEnum):
    """Fields of `SubGraph` in LiteRT's schema."""

    TENSORS = 0
    INPUTS = 1
    OUTPUTS = 2


class TensorField(IntEnum):
    """Fields of `Tensor` in LiteRT's schema."""

    SHAPE = 0
    NAME = 3
    SHAPE_SIGNATURE = 7


class SignatureField(IntEnum):
    """Fields of `SignatureDef` in LiteRT's schema."""

    INPUTS = 0
    OUTPUTS = 1


class TensorMapField(IntEnum):
    """Fields of `TensorMap` in LiteRT's schema: a tensor by name."""

    NAME = 0
    TENSOR_INDEX = 1
