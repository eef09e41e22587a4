"""Label files of YOLO: found by the paths of their images, and read line by line."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from dlrecipes.data.box_annotations import Annotations
from dlrecipes.data.box_layouts import composed, files_with
from dlrecipes.data.image_decoding import SUFFIXES
from dlrecipes.data.text_files import read_text
from dlrecipes.errors import DataError

# Files with the names of the classes, which are not labels.
CLASS_FILES = (
    *("classes.txt", "classes.names", "obj.names", "labels.names", "predefined_classes.txt"),
)
# Rounding may add as much to coordinates.
_ROUNDING = 0.001
_LABELS = ("labels", "Labels")
# Columns of a class and a box, and of a class and three corners.
_BOX, _POLYGON = 5, 7


class YoloLabels:
    """Reads the labels of images, and keeps account of what is unusual.

    Args:
        names: Names of the classes.
        columns: Columns of a line with key points; 0 for data without them.

    Attributes:
        polygons: Number of polygons that were read as the boxes around them.
        without: Images without a label file.
    """

    def __init__(self, names: Sequence[str], columns: int = 0):
        self._names, self._columns = list(names), columns
        self._classes = {name: number for number, name in enumerate(names)}
        self._folders: dict[str, list[str]] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._parts: dict[str, Annotations] = {}
        self._used: set[str] = set()
        self.polygons = 0
        self.without: list[str] = []

    def read(self, images: Sequence[Path]) -> Annotations:
        """Returns the boxes of the images of one part.

        Args:
            images: Paths of the images.
        """
        annotations = Annotations(
            self._classes, lambda file, number: f"{file}:{number}", fractions=True, upright=True
        )
        for path in map(str, images):
            if not os.path.isfile(path):  # noqa: PTH113
                annotations.missing.append(path)
                continue
            folder, _, name = path.rpartition(os.sep)
            file = self._find(folder, composed(os.path.splitext(name)[0]), annotations)  # noqa: PTH122
            annotations.add_image(path, file or path)
            if file is None:
                self.without.append(path)
            else:
                self._used.add(file)
                self._read_file(file, annotations)
        return annotations

    def _find(self, folder: str, stem: str, annotations: Annotations) -> str | None:
        """Returns the label file of an image, or `None` if it has none."""
        if folder not in self._folders:
            self._folders[folder] = _label_folders(folder)
        for labels in self._folders[folder]:
            if labels not in self._labels:
                self._labels[labels] = _text_files(labels)
                self._parts[labels] = annotations
            if stem in self._labels[labels]:
                return self._labels[labels][stem]
        return None

    def add_missing(self) -> None:
        """Adds the images of label files that belong to no image, as far as they do not exist."""
        images = {stem for folder in self._folders for stem in _image_stems(folder)}
        for labels, files in self._labels.items():
            for stem, file in files.items():
                if file in self._used or stem in images:
                    continue
                # Other texts may lie next to images.
                if labels not in self._folders or self._is_label(file):
                    self._parts[labels].missing.append(f"the image of {file}")

    def _is_label(self, file: str) -> bool:
        words = read_text(file).split(maxsplit=_BOX)[:_BOX]
        return len(words) == _BOX and all(_number(word) is not None for word in words)

    def _read_file(self, file: str, annotations: Annotations) -> None:
        try:
            text = read_text(file)
        except DataError as error:
            annotations.problems.append(error)
            return
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words:
                continue
            problem = self._add(words, number, annotations)
            if problem:
                annotations.add_problem(f"{file}:{number}: {problem}.")

    def _add(self, words: Sequence[str], number: int, annotations: Annotations) -> str:
        """Adds the box in a line, or returns what is wrong with it."""
        values = [_number(word) for word in words]
        if None in values:
            return f"{words[values.index(None)]!r} is not a number"
        label, *sides = [value for value in values if value is not None]
        is_polygon = not self._columns and len(values) >= _POLYGON and len(values) % 2 == 1
        if len(values) not in (_BOX, self._columns) and not is_polygon:
            expected = f"{_BOX} or {self._columns}" if self._columns else str(_BOX)
            return f"expected {expected} columns (class, x, y, width and height), got {len(values)}"
        if label not in range(len(self._names)):
            last = len(self._names) - 1
            return f"the class {words[0]} has no name; the names are of classes 0 to {last}"
        sides = sides if is_polygon else sides[:4]
        # A negative width is reported with other inverted boxes.
        least = [-_ROUNDING] * 2 + [-math.inf] * 2 if not is_polygon else [-_ROUNDING] * len(sides)
        for side, word, smallest in zip(sides, words[1:], least, strict=False):
            if side > 1 + _ROUNDING or side < smallest:
                return f"expected fractions of the image from 0 to 1, got {word}"
        self.polygons += is_polygon
        annotations.add_box(_corners(sides), self._names[int(label)], number)
        return ""


def _corners(sides: Sequence[float]) -> tuple[float, float, float, float]:
    """Returns the corners of a box by centre, width and height; or of the one around a polygon."""
    if len(sides) > 4:
        across, down = sides[::2], sides[1::2]
        return min(across), min(down), max(across), max(down)
    x, y, width, height = sides
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _label_folders(folder: str) -> list[str]:
    """Returns the folders that may hold the labels of a folder of images, the likeliest first."""
    parts = folder.split(os.sep)  # noqa: PTH206
    places = [k for k, name in enumerate(parts) if name.casefold() == "images"]
    swapped = [[*parts[: places[-1]], x, *parts[places[-1] + 1 :]] for x in _LABELS if places]
    above = os.path.dirname(folder)  # noqa: PTH120
    inside = [os.path.join(x, name) for x in (folder, above) for name in _LABELS]  # noqa: PTH118
    choices = [*map(os.sep.join, swapped), folder, *inside]
    return [path for path in choices if os.path.isdir(path)]  # noqa: PTH112


def _text_files(folder: str) -> dict[str, str]:
    """Returns the text files of a folder by their names without suffix, in composed form."""
    paths = files_with(Path(folder), (".txt",))
    files = [path for path in paths if path.name.casefold() not in CLASS_FILES]
    return {composed(path.name[:-4]): str(path) for path in files}


def _image_stems(folder: str) -> set[str]:
    return {composed(path.stem) for path in files_with(Path(folder), SUFFIXES)}
