"""Boxes as annotation files give them, and their way to pixels of upright images."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from dlrecipes.data.box_examples import BoxTable
from dlrecipes.data.image_orientation import ImageHeader, upright_boxes
from dlrecipes.errors import DataError, raise_first

Corners = tuple[float, float, float, float]

# Pixels that a box may exceed its image by because its numbers were rounded.
ROUNDING = 0.5
_MEND = "Correct or delete it."


@dataclass
class Annotations:
    """The boxes of one part of the data as its files give them.

    Args:
        classes: Number of each class name; the parts of a dataset share it.
        place: Function of an annotation file and the number of a box in it that returns its place
            for messages.
        fractions: Whether coordinates are fractions of the upright image instead of pixels.
            Defaults to `False`.
        upright: Whether boxes refer to the image after its EXIF orientation is applied. Defaults to
            `None`: the size in the annotation decides.
        origin: Coordinate of the first pixel's left edge, which is subtracted from the left and the
            upper side. Defaults to 0.
        images: Path of each image. Defaults to none.
        missing: Names of the annotated images that do not exist. Defaults to none.
        problems: Mistakes that were found while reading. Defaults to none.
        points: Places of the boxes that are a single pixel. Defaults to none.
        files: Path of each image's annotation file. Defaults to none.
        sizes: Width and height of each image according to its annotation; 0 if unknown. Defaults
            to none.
    """

    classes: dict[str, int]
    place: Callable[[str, int], str]
    fractions: bool = False
    upright: bool | None = None
    origin: float = 0.0
    images: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    problems: list[DataError] = field(default_factory=list)
    points: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    _starts: array = field(default_factory=lambda: array("q"))
    _corners: array = field(default_factory=lambda: array("d"))
    _labels: array = field(default_factory=lambda: array("i"))
    _ignored: array = field(default_factory=lambda: array("b"))
    _numbers: array = field(default_factory=lambda: array("q"))

    def add_image(self, image: str, file: str, size: tuple[int, int] = (0, 0)) -> None:
        """Adds an image; the boxes that are added next belong to it.

        Args:
            image: Path of the image.
            file: Path of its annotation file.
            size: Width and height according to the annotation. Defaults to 0 and 0: unknown.
        """
        self.images.append(image)
        self.files.append(file)
        self.sizes.append(size)
        self._starts.append(len(self._labels))

    def add_box(self, corners: Corners, name: str, number: int, ignored: bool = False) -> None:
        """Adds a box to the last image.

        Args:
            corners: Left, upper, right and lower side.
            name: Class.
            number: Number of the box in its file, for messages.
            ignored: Whether the box counts nowhere. Defaults to `False`.
        """
        self._corners.extend(corners)
        self._labels.append(self.classes.setdefault(name, len(self.classes)))
        self._numbers.append(number)
        self._ignored.append(ignored)

    def add_problem(self, message: str, hint: str = _MEND) -> None:
        """Adds a mistake in a file.

        Args:
            message: The place and the mistake.
            hint: Advice. Defaults to correct or delete it.
        """
        self.problems.append(DataError(message, hint))

    @property
    def corners(self) -> np.ndarray:
        """Corners of all boxes as the files give them, float64 of shape `(boxes, 4)`."""
        return np.frombuffer(self._corners, "float64").reshape(-1, 4)

    @property
    def offsets(self) -> np.ndarray:
        """Number of each image's first box, and the number of boxes."""
        return np.array([*self._starts, len(self._labels)], "int64")

    def find_problems(self) -> None:
        """Adds what is wrong with the boxes and the list of images themselves.

        A box of a single pixel, as a click by mistake leaves it, is ignored and added to `points`.
        It exists only where coordinates are those of pixels, counted from 1.
        """
        known: dict[str, str] = {}
        for image, file in zip(self.images, self.files, strict=True):
            first = known.get(image)
            if first is not None:
                both = f"in {first} and {file}" if first != file else f"in {file}"
                self.add_problem(f"{image} is annotated twice, {both}.", "Delete one of the two.")
            known[image] = file
        corners = self.corners
        is_finite = np.isfinite(corners).all(axis=1)
        numbers = np.where(is_finite[:, None], corners, 0.0)
        width, height = (numbers[:, 2:] - numbers[:, :2]).T
        for k in np.flatnonzero(~is_finite).tolist():
            self.add_problem(f"{self.place_of(k)}: the box contains NaN or infinity.")
        is_empty = is_finite & ((width <= 0) | (height <= 0))
        if self.origin:
            # The last pixel belongs to the box, which is therefore a single pixel.
            is_point = is_finite & (width == 0) & (height == 0)
            self.points = [self.place_of(k) for k in np.flatnonzero(is_point).tolist()]
            is_empty &= ~is_point
            for k in np.flatnonzero(is_point).tolist():
                self._ignored[k] = 1
        for k in np.flatnonzero(is_empty).tolist():
            kind = "inverted" if min(width[k], height[k]) < 0 else "empty"
            size = f"its width is {width[k]:g} and its height {height[k]:g}"
            self.add_problem(f"{self.place_of(k)}: the box is {kind}: {size}.")

    def place_of(self, box: int) -> str:
        """Returns the file and the place in it of a box.

        Args:
            box: Number of the box among all.
        """
        image = int(np.searchsorted(np.frombuffer(self._starts, "int64"), box, "right")) - 1
        return self.place(self.files[image], self._numbers[box])

    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the class of each box, and whether it is ignored."""
        return np.frombuffer(self._labels, "int32"), np.frombuffer(self._ignored, "int8") > 0


class Placed(NamedTuple):
    """Boxes in pixels of upright images.

    Args:
        images: Paths of the images.
        table: Their boxes; classes are the numbers in `Annotations.classes`.
        sizes: Heights and widths of the upright images, int32 of shape `(images, 2)`.
        clipped: Number of boxes that were cut off at the border of their image.
        undecided: Rotated images whose annotation does not say which way up its boxes are.
    """

    images: list[str]
    table: BoxTable
    sizes: np.ndarray
    clipped: int
    undecided: list[str]


def place_boxes(annotations: Annotations, headers: Sequence[ImageHeader | None]) -> Placed:
    """Returns boxes in pixels of the upright images, clipped to them.

    Args:
        annotations: Boxes as their files give them, without problems (see `find_problems`).
        headers: Size and orientation of each image; `None` for one that is left out.

    Raises:
        DataError: If an annotation is of another size than its image, or a box lies outside of it.
    """
    usable = np.array([header is not None for header in headers], bool)
    images = [image for image, use in zip(annotations.images, usable, strict=True) if use]
    counts = np.diff(annotations.offsets)
    is_kept = np.repeat(usable, counts)
    ends = np.cumsum([0, *counts[usable]], dtype="int64")
    corners = annotations.corners[is_kept]
    if not annotations.fractions:
        _require_pixels(annotations, corners)
        corners[:, :2] -= annotations.origin
    sizes = np.zeros((len(images), 2), "int32")
    problems: list[DataError] = []
    undecided: list[str] = []
    kept = [(k, header) for k, header in enumerate(headers) if header is not None]
    for row, (k, header) in enumerate(kept):
        own = slice(ends[row], ends[row + 1])
        sizes[row] = header.upright
        if annotations.fractions:
            height, width = header.upright
            frame = header[:2] if annotations.upright is False else (width, height)
            corners[own] *= (*frame, *frame)
        problem = _size_problem(annotations, k, header)
        if problem:
            problems.append(problem)
        if header.orientation > 1 and ends[row] < ends[row + 1]:
            is_upright = _is_upright(annotations, k, header)
            if is_upright is None:
                undecided.append(images[row])
            elif not is_upright:
                corners[own] = upright_boxes(corners[own], header)
    limits = np.tile(np.repeat(sizes[:, ::-1], np.diff(ends), axis=0), 2)
    clipped = np.clip(corners, 0, limits)
    is_outside = (clipped[:, :2] >= clipped[:, 2:]).any(axis=1)
    for box in np.flatnonzero(is_kept)[is_outside].tolist():
        place = annotations.place_of(box)
        problems.append(DataError(f"{place}: the box lies outside of its image.", _MEND))
    raise_first(problems)
    is_cut = (np.abs(clipped - corners) > ROUNDING).any(axis=1)
    labels, ignored = annotations.labels()
    table = BoxTable(clipped.astype("float32"), labels[is_kept], ignored[is_kept], ends)
    return Placed(images, table, sizes, int(is_cut.sum()), undecided)


def _require_pixels(annotations: Annotations, corners: np.ndarray) -> None:
    if len(corners) and corners.max() <= 1:
        raise DataError(
            f"{annotations.place_of(0)}: expected pixels, got fractions: no coordinate exceeds 1.",
            "Multiply them by the width and height of the image.",
        )


def _size_problem(annotations: Annotations, k: int, header: ImageHeader) -> DataError | None:
    """Returns the problem that the size in an annotation is not the size of its image."""
    stated = annotations.sizes[k]
    if min(stated) <= 0 or stated in (header[:2], header.upright[::-1]):
        return None
    sizes = f"{stated[0]} x {stated[1]} pixels, but the image has {header.width} x {header.height}"
    return DataError(
        f"{annotations.files[k]}: the annotation of {annotations.images[k]} is for {sizes}.",
        "Give the image that was annotated, or correct the size.",
    )


def _is_upright(annotations: Annotations, k: int, header: ImageHeader) -> bool | None:
    """Returns whether boxes refer to the upright image; `None` if nothing says so."""
    if annotations.upright is not None:
        return annotations.upright
    stated, upright = annotations.sizes[k], header.upright[::-1]
    return None if min(stated) <= 0 or header[:2] == upright else stated == upright
