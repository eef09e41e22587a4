"""Labelled images that are decoded when they are needed: from files, encoded bytes or arrays."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrecipes.data.class_indices import class_indices
from dlrecipes.data.image_decoding import decode_image
from dlrecipes.data.image_orientation import read_header
from dlrecipes.errors import DataError, reason

if TYPE_CHECKING:
    from PIL import Image
    from typing_extensions import Self


class ImageSource(ABC):
    """Images that are read one by one, by their numbers."""

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of images."""

    @abstractmethod
    def name(self, number: int) -> str:
        """Returns the name of an image for messages: the path of a file."""

    @abstractmethod
    def contents(self, number: int) -> bytes:
        """Returns an image as the bytes of an image file."""

    def read(self, number: int, least: int = 0) -> Image.Image:
        """Returns an image, upright, of mode `"L"` or `"RGB"`.

        Args:
            number: Number of the image.
            least: Pixels that the shorter side needs; a larger image may be reduced. Defaults to 0:
                the original size.

        Raises:
            DataError: If the image cannot be read.
        """
        return decode_image(io.BytesIO(self.contents(number)), self.name(number), least)

    def size(self, number: int) -> tuple[int, int]:
        """Returns the height and width of an upright image, without decoding it.

        Args:
            number: Number of the image.

        Raises:
            DataError: If the image cannot be read.
        """
        return read_header(io.BytesIO(self.contents(number)), self.name(number)).upright


class ImageFiles(ImageSource):
    """Images in files.

    Args:
        paths: Paths of the files.
    """

    def __init__(self, paths: Iterable[str | Path]):
        self._paths = [str(path) for path in paths]

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, number: int) -> str:
        """Returns the name of an image for messages."""
        return self._paths[number]

    def contents(self, number: int) -> bytes:
        """Returns an image as the bytes of an image file."""
        path = self._paths[number]
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"{path}: the image cannot be read: {reason(error)}.") from None

    def read(self, number: int, least: int = 0) -> Image.Image:
        """Returns an image, upright, of mode `"L"` or `"RGB"`."""
        path = self._paths[number]
        with _plain_errors(path):
            return decode_image(path, path, least)

    def size(self, number: int) -> tuple[int, int]:
        """Returns the height and width of an upright image, without decoding it."""
        path = self._paths[number]
        with _plain_errors(path):
            return read_header(path, path).upright


@contextlib.contextmanager
def _plain_errors(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: the image cannot be read: {reason(error)}.") from None


class EncodedImages(ImageSource):
    """Images as the bytes of image files, which are kept in a temporary file, not in memory.

    Args:
        contents: Bytes of each image.
        where: Name of the data for messages.

    Raises:
        DataError: If the temporary file cannot be written.
    """

    def __init__(self, contents: Iterable[bytes], where: str):
        self._where = where
        ends = [0]
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
            for content in contents:
                self._file.write(content)
                ends.append(ends[-1] + len(content))
            self._file.flush()
        except OSError as error:
            raise DataError(
                f"{where}: the temporary file of its images cannot be written: {reason(error)}.",
                "TMPDIR=FOLDER names a folder with more space.",
            ) from None
        self._ends = np.array(ends, "int64")

    def __len__(self) -> int:
        return len(self._ends) - 1

    def name(self, number: int) -> str:
        """Returns the name of an image for messages."""
        return f"{self._where}, image {number}"

    def contents(self, number: int) -> bytes:
        """Returns an image as the bytes of an image file."""
        start, end = self._ends[number : number + 2].tolist()
        # Several threads read the same file.
        return os.pread(self._file.fileno(), end - start, start)


class ImageArrays(ImageSource):
    """Images as arrays.

    Args:
        images: uint8 arrays of shape `(height, width)` or `(height, width, channels)`, 1 or 3
            channels: one array with all images, or a list of arrays of any sizes.
    """

    def __init__(self, images: Sequence[np.ndarray] | np.ndarray):
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def name(self, number: int) -> str:
        """Returns the name of an image for messages."""
        return f"image {number}"

    def contents(self, number: int) -> bytes:
        """Returns an image as the bytes of an image file."""
        content = io.BytesIO()
        self.read(number).save(content, "PNG", compress_level=1)
        return content.getvalue()

    def read(self, number: int, least: int = 0) -> Image.Image:
        """Returns an image, upright, of mode `"L"` or `"RGB"`."""
        from PIL import Image

        pixels = np.asarray(self._images[number])
        return Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)

    def size(self, number: int) -> tuple[int, int]:
        """Returns the height and width of an upright image, without decoding it."""
        height, width = np.shape(self._images[number])[:2]
        return height, width


class LazyImages(Sequence):
    """Images of a source that are decoded when they are needed; the base of labelled ones.

    A slice, or a selection by an array of indices, is of the same class; nothing is decoded for it.

    Args:
        source: Images.
        names: Names of the classes.
        rows: Number of each image in `source`. Defaults to `None`: all images in their order.
    """

    def __init__(self, source: ImageSource, names: Sequence[str], rows: np.ndarray | None = None):
        self.source = source
        self.names = tuple(names)
        self.rows = np.arange(len(source), dtype="int32") if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> Self:
        if isinstance(rows, int | np.integer):
            raise TypeError("Select images by a slice or an array; image(k) returns one image.")
        return self._select(rows if isinstance(rows, slice) else np.asarray(rows))

    @abstractmethod
    def _select(self, rows: slice | np.ndarray) -> Self:
        """Returns some of the images."""

    def spread(self, count: int) -> Self:
        """Returns some of the images, evenly spaced: those of a class often follow each other.

        Args:
            count: Maximum number of images to return.
        """
        return self[np.linspace(0, len(self) - 1, min(count, len(self))).astype(int)]

    def image(self, k: int) -> np.ndarray:
        """Returns an image in its original size, uint8 of shape `(height, width, 3)`, RGB.

        Args:
            k: Index of the image.

        Raises:
            DataError: If the image cannot be read.
        """
        return np.asarray(self.source.read(self._row(k)).convert("RGB"))

    def sources(self, k: int) -> str:
        """Returns the name of an image for messages: the path of a file.

        Args:
            k: Index of the image.
        """
        return self.source.name(self._row(k))

    def image_bytes(self, k: int) -> bytes:
        """Returns an image as the bytes of its file; an array as those of a PNG file.

        Args:
            k: Index of the image.

        Raises:
            DataError: If the file cannot be read.
        """
        return self.source.contents(self._row(k))

    def _row(self, k: int) -> int:
        return int(self.rows[k])


class ImageExamples(LazyImages):
    """Labelled images that are decoded when they are needed.

    A slice, or a selection by an array of indices, is `ImageExamples` again; nothing is decoded for
    it.

    Args:
        source: Images.
        labels: Class of each image, integers of shape `(images,)`, indices of `names`.
        names: Names of the classes.
        rows: Number of each image in `source`. Defaults to `None`: all images in their order.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.labelled_images import ImageExamples
    >>> images = np.zeros((3, 8, 6, 3), "uint8")
    >>> examples = ImageExamples.from_arrays(images, [0, 1, 1], ("cat", "dog"))
    >>> len(examples), examples[1:].labels.tolist(), examples.image(0).shape
    (3, [1, 1], (8, 6, 3))
    """

    def __init__(
        self,
        source: ImageSource,
        labels: Any,
        names: Sequence[str],
        rows: np.ndarray | None = None,
    ):
        super().__init__(source, names, rows)
        self.labels = np.asarray(labels, "int32")
        if len(self.rows) != len(self.labels):
            raise ValueError(f"There are {len(self.rows)} images, but {len(self.labels)} labels.")

    @classmethod
    def from_arrays(
        cls, images: Sequence[np.ndarray] | np.ndarray, labels: Any, names: Sequence[str]
    ) -> ImageExamples:
        """Returns examples whose images are arrays.

        Args:
            images: uint8 arrays of shape `(height, width)` or `(height, width, channels)`, 1 or 3
                channels.
            labels: Class of each image, integers of shape `(images,)`, indices of `names`.
            names: Names of the classes.
        """
        return cls(ImageArrays(images), labels, names)

    @classmethod
    def from_files(
        cls, paths: Iterable[str | Path], labels: Any, names: Sequence[str]
    ) -> ImageExamples:
        """Returns examples whose images are files.

        Args:
            paths: Paths of the files, in any format that `read_image` reads.
            labels: Class of each image, integers of shape `(images,)`, indices of `names`.
            names: Names of the classes.
        """
        return cls(ImageFiles(paths), labels, names)

    def _select(self, rows: slice | np.ndarray) -> ImageExamples:
        return ImageExamples(self.source, self.labels[rows], self.names, self.rows[rows])

    def with_names(self, names: Sequence[str]) -> ImageExamples:
        """Returns the same images with labels that are indices of other class names.

        Args:
            names: All names of the classes, in another order, with further ones, or both.

        Raises:
            DataError: If one of the own names is missing.
        """
        labels = class_indices(self.labels, self.names, names)
        return ImageExamples(self.source, labels, names, self.rows)
