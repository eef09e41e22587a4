"""Images with boxes around their objects, decoded when they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dlrecipes.data.class_indices import class_indices
from dlrecipes.data.image_examples import ImageArrays, ImageFiles, ImageSource, LazyImages


class BoxTable(NamedTuple):
    """The boxes of many images in flat arrays.

    Args:
        boxes: float32 of shape `(boxes, 4)`: `(left, top, right, bottom)` in pixels of the upright
            image in its original size.
        classes: int32 of shape `(boxes,)`.
        ignored: bools of shape `(boxes,)`.
        offsets: int64 of shape `(images + 1,)`: image `k` has the boxes from `offsets[k]` to
            `offsets[k + 1]`.
    """

    boxes: np.ndarray
    classes: np.ndarray
    ignored: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_lists(
        cls, boxes: Sequence[Any], classes: Sequence[Any], ignored: Sequence[Any] | None = None
    ) -> BoxTable:
        """Returns the table of boxes that are given image by image.

        Args:
            boxes: Boxes of each image, shape `(n, 4)`; an image without boxes has an empty list.
            classes: Classes of each image's boxes, integers of shape `(n,)`.
            ignored: Whether each box is ignored, bools of shape `(n,)`. Defaults to `None`: none.

        Raises:
            ValueError: If the lists do not match.
        """
        ignored = [np.zeros(len(own), bool) for own in boxes] if ignored is None else ignored
        if not len(boxes) == len(classes) == len(ignored):
            counts = f"{len(boxes)}, {len(classes)} and {len(ignored)}"
            raise ValueError(f"Boxes, classes and ignored are of {counts} images.")
        arrays = [np.asarray(own, "float32").reshape(-1, 4) for own in boxes]
        for k, own in enumerate(arrays):
            if not len(own) == len(classes[k]) == len(ignored[k]):
                counts = f"{len(own)} boxes, {len(classes[k])} classes and {len(ignored[k])} flags"
                raise ValueError(f"Image {k} has {counts}.")
        return cls(
            np.concatenate([np.zeros((0, 4), "float32"), *arrays]),
            np.concatenate([np.zeros(0, "int32"), *(np.asarray(x, "int32") for x in classes)]),
            np.concatenate([np.zeros(0, bool), *(np.asarray(x, bool) for x in ignored)]),
            np.cumsum([0, *map(len, arrays)], dtype="int64"),
        )


class BoxExamples(LazyImages):
    """Images with boxes around their objects, decoded when they are needed.

    A slice, or a selection by an array of indices, is `BoxExamples` again; nothing is decoded for
    it. Pixel `i` extends from `i` to `i + 1`. An image may have no boxes: it is background.

    Args:
        source: Images.
        table: Boxes of all images of the source.
        names: Names of the classes, without the background.
        sizes: Height and width of each upright image of the source, integers of shape `(images,
            2)`. Defaults to `None`: headers are read when sizes are needed.
        rows: Number of each image in `source`. Defaults to `None`: all images in their order.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.box_examples import BoxExamples
    >>> images = np.zeros((2, 8, 6, 3), "uint8")
    >>> examples = BoxExamples.from_arrays(images, [[[0, 1, 4, 8]], []], [[1], []], ("cat", "dog"))
    >>> examples.boxes(0).tolist(), examples.classes(0).tolist(), examples.size(0)
    ([[0.0, 1.0, 4.0, 8.0]], [1], (8, 6))
    >>> len(examples[1:].boxes(0))
    0
    """

    def __init__(
        self,
        source: ImageSource,
        table: BoxTable,
        names: Sequence[str],
        sizes: np.ndarray | None = None,
        rows: np.ndarray | None = None,
    ):
        super().__init__(source, names, rows)
        self.table, self.sizes = table, sizes
        if len(table.offsets) != len(source) + 1:
            raise ValueError(
                f"There are {len(source)} images, but boxes of {len(table.offsets) - 1}."
            )
        if len(table.classes) and not 0 <= table.classes.min() <= table.classes.max() < len(names):
            span = f"from {table.classes.min()} to {table.classes.max()}"
            raise ValueError(f"The classes are {span}, but there are {len(names)} names.")

    @classmethod
    def from_arrays(
        cls,
        images: Sequence[np.ndarray] | np.ndarray,
        boxes: Sequence[Any],
        classes: Sequence[Any],
        names: Sequence[str],
        ignored: Sequence[Any] | None = None,
    ) -> BoxExamples:
        """Returns examples whose images are arrays.

        Args:
            images: uint8 arrays of shape `(height, width)` or `(height, width, channels)`, 1 or 3
                channels.
            boxes: Boxes of each image, `(left, top, right, bottom)` in pixels, shape `(n, 4)`.
            classes: Classes of each image's boxes, integers of shape `(n,)`, indices of `names`.
            names: Names of the classes.
            ignored: Whether each box counts neither as an object nor as background, bools of shape
                `(n,)`. Defaults to `None`: every box is an object.
        """
        return cls(ImageArrays(images), BoxTable.from_lists(boxes, classes, ignored), names)

    @classmethod
    def from_files(
        cls,
        paths: Iterable[str | Path],
        boxes: Sequence[Any],
        classes: Sequence[Any],
        names: Sequence[str],
        ignored: Sequence[Any] | None = None,
    ) -> BoxExamples:
        """Returns examples whose images are files.

        Args:
            paths: Paths of the files, in any format that `read_image` reads.
            boxes: Boxes of each image, `(left, top, right, bottom)` in pixels of the upright image,
                shape `(n, 4)`.
            classes: Classes of each image's boxes, integers of shape `(n,)`, indices of `names`.
            names: Names of the classes.
            ignored: Whether each box counts neither as an object nor as background, bools of shape
                `(n,)`. Defaults to `None`: every box is an object.
        """
        return cls(ImageFiles(paths), BoxTable.from_lists(boxes, classes, ignored), names)

    def _select(self, rows: slice | np.ndarray) -> BoxExamples:
        return BoxExamples(self.source, self.table, self.names, self.sizes, self.rows[rows])

    def with_names(self, names: Sequence[str]) -> BoxExamples:
        """Returns the same images with classes that are indices of other class names.

        Args:
            names: All names of the classes, in another order, with further ones, or both.

        Raises:
            DataError: If one of the own names is missing.
        """
        classes = class_indices(self.table.classes, self.names, names)
        table = self.table._replace(classes=classes)
        return BoxExamples(self.source, table, names, self.sizes, self.rows)

    def boxes(self, k: int) -> np.ndarray:
        """Returns the boxes of an image, float32 of shape `(n, 4)`.

        They are `(left, top, right, bottom)` in pixels of the upright image in its original size.

        Args:
            k: Index of the image.
        """
        return self.table.boxes[self._places(k)]

    def classes(self, k: int) -> np.ndarray:
        """Returns the classes of an image's boxes, int32 of shape `(n,)`, indices of `names`.

        Args:
            k: Index of the image.
        """
        return self.table.classes[self._places(k)]

    def ignored(self, k: int) -> np.ndarray:
        """Returns which boxes of an image are ignored, bools of shape `(n,)`.

        Such a box counts neither as an object nor as background: `difficult` of Pascal VOC,
        `iscrowd` of COCO.

        Args:
            k: Index of the image.
        """
        return self.table.ignored[self._places(k)]

    def size(self, k: int) -> tuple[int, int]:
        """Returns the height and width of an upright image, without decoding it.

        Args:
            k: Index of the image.

        Raises:
            DataError: If the image cannot be read.
        """
        row = self._row(k)
        if self.sizes is None:
            return self.source.size(row)
        height, width = self.sizes[row].tolist()
        return height, width

    def flat(self) -> BoxTable:
        """Returns the boxes of all these images in their order, and of no others."""
        starts = self.table.offsets[:-1][self.rows]
        counts = np.diff(self.table.offsets)[self.rows]
        offsets = np.cumsum([0, *counts], dtype="int64")
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
        boxes, classes, ignored = (array[places] for array in self.table[:3])
        return BoxTable(boxes, classes, ignored, offsets)

    def _places(self, k: int) -> slice:
        row = self._row(k)
        return slice(int(self.table.offsets[row]), int(self.table.offsets[row + 1]))
