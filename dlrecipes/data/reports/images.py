"""Reports on image files: classes, sizes, formats, unreadable files, copies, and a sheet."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dlrecipes._utils.progress import ProgressLine
from dlrecipes._utils.wording import counted
from dlrecipes.data.folder_entries import is_system, natural
from dlrecipes.data.image_decoding import SUFFIXES, decode_image
from dlrecipes.data.image_facts import (
    ImageFacts,
    ImageSource,
    open_source,
    read_facts,
)
from dlrecipes.data.image_folders import Note
from dlrecipes.data.parts import PARTS, part_of
from dlrecipes.data.reports.class_counts import add_classes, add_groups
from dlrecipes.data.reports.copies import WHOLE, Copies
from dlrecipes.data.reports.report import DataReport, Finding
from dlrecipes.errors import DataError, reason

# Image files by part and class. The part `WHOLE` is split later.
Files = Mapping[str, Mapping[str, Sequence[ImageSource]]]

# Classes and images per row of the sheet, and rows of a single class.
SHEET_CLASSES, SHEET_IMAGES, SHEET_ROWS = 20, 8, 3
# The smallest side that is not worth a warning.
SMALL = 8


@dataclass
class ImageCheck:
    """Facts about the files of an image dataset, collected while they are read once.

    Args:
        root: Folder of the data; names in the report are relative to it.
        files: The files.
        skips: Whether the recipe trains without the files that cannot be read. Defaults to
            `False`: they are problems.
        readable: Files that can be read, by part and class. Defaults to none; `read` fills it.
    """

    root: Path
    files: Files
    skips: bool = False
    readable: dict[str, dict[str, list[ImageSource]]] = field(default_factory=dict)
    _sizes: dict[str, tuple[array, array]] = field(default_factory=dict)
    _kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    _small: list[str] = field(default_factory=list)
    _problems: list[str] = field(default_factory=list)

    def __post_init__(self):
        self._copies = Copies("images", lambda path: self.relative(str(path)))

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Number of readable images by part and class."""
        return {
            part: {label: len(paths) for label, paths in own.items()}
            for part, own in self.readable.items()
        }

    def relative(self, text: str) -> str:
        """Returns a message or a path without the path of the data's folder."""
        return text.removeprefix(f"{self.root}{os.sep}")

    def read(self, inspect: Callable[[ImageFacts], DataError | None] | None = None) -> None:
        """Reads all files once.

        Args:
            inspect: Function of each readable image that returns what else is wrong with it.
                Defaults to `None`.
        """
        places = [(part, label) for part, own in self.files.items() for label in own]
        owners = (place for place in places for _ in self.files[place[0]][place[1]])
        paths = [path for part, label in places for path in self.files[part][label]]
        self.readable = {part: {label: [] for label in own} for part, own in self.files.items()}
        with ProgressLine("images read", len(paths)) as progress:
            for (part, label), image in zip(owners, read_facts(paths, progress), strict=True):
                problem = image.problem or (inspect(image) if inspect else None)
                if problem is not None:
                    self._problems.append(self.relative(str(problem.message)))
                else:
                    self._add(image, part, label)

    def _add(self, image: ImageFacts, part: str, label: str) -> None:
        self.readable[part][label].append(image.source)
        widths, heights = self._sizes.setdefault(part, (array("l"), array("l")))
        widths.append(image.width)
        heights.append(image.height)
        self._kinds[image.format, image.mode] += 1
        self._copies.add(image.digest, part, label, image.source)
        if min(image.width, image.height) < SMALL:
            name = self.relative(str(image.source))
            self._small.append(f"{name}: {image.width} x {image.height}")

    def add_to(self, report: DataReport) -> None:
        """Adds tables of parts, sizes and formats, problems and warnings to a report."""
        rows = [
            [
                part,
                sum(map(len, self.readable[part].values())),
                sum(map(len, own.values())) - sum(map(len, self.readable[part].values())),
                *_sizes_of(*self._sizes.get(part, ((), ()))),
            ]
            for part, own in self.files.items()
        ]
        columns = ["part", "images", "unreadable", "smallest", "median", "largest"]
        report.add_table("Parts (sizes in pixels, width x height)", columns, rows)
        kinds = [
            [kind, _COLOURS.get(mode, mode), n] for (kind, mode), n in self._kinds.most_common()
        ]
        report.add_table("Formats", ["format", "colours", "images"], kinds)
        if self._problems:
            total = sum(len(paths) for own in self.files.values() for paths in own.values())
            are = "is" if len(self._problems) == 1 else "are"
            skipped = f", and {are} skipped" if self.skips else ""
            message = f"{len(self._problems):,} of {total:,} images cannot be used{skipped}."
            findings = report.warnings if self.skips else report.problems
            findings.append(Finding(message, self._problems))
        report.warnings += self._copies.findings()
        if self._small:
            images = counted(len(self._small), "image has", "images have")
            message = f"{images} fewer than {SMALL} pixels on a side."
            report.warnings.append(Finding(message, self._small))

    def add_sheet(self, report: DataReport) -> None:
        """Adds a figure with examples of each class to a report."""
        part, own = next(iter(self.readable.items()), ("", {}))
        chosen = {label: _spread(paths, SHEET_IMAGES) for label, paths in own.items() if paths}
        if not chosen:
            return
        if len(chosen) == 1:
            several = _spread(max(own.values(), key=len), SHEET_ROWS * SHEET_IMAGES)
            places = range(0, len(several), SHEET_IMAGES)
            chosen = {" " * k: several[k : k + SHEET_IMAGES] for k in places}
        from dlrecipes.figures import example_images

        first = list(chosen.items())[:SHEET_CLASSES]
        rows = [(label, [_pixels(path) for path in paths]) for label, paths in first]
        what = "Examples" if part == WHOLE else f"Examples of the {part} part"
        some = f", {len(first)} of {len(chosen):,} classes" if len(first) < len(chosen) else ""
        report.figures["examples"] = example_images(rows, what + some)


_COLOURS = {
    **{"1": "black and white", "L": "grey", "LA": "grey, alpha", "P": "palette", "RGB": "RGB"},
    **{"RGBA": "RGB, alpha", "I;16": "grey, 16 bits", "I": "grey, 32 bits", "F": "grey, floats"},
}


def check_images(
    name: str,
    root: Path,
    find: Callable[[Note], Files],
    *,
    inspect: Callable[[ImageFacts], DataError | None] | None = None,
    validate: Callable[[ImageCheck], None] | None = None,
    groups: str | None = "",
    balance: bool = False,
    skips: bool = False,
) -> DataReport:
    """Returns the report on a folder of images that have one class each.

    If the reader cannot make sense of the folder, its images are read nevertheless: one problem
    does not hide the next.

    Args:
        name: Name of the data.
        root: Folder of the data, which exists.
        find: The reader's function that returns the files by part and class. It receives a
            function for notes, and may raise `DataError`.
        inspect: Function of each readable image that returns what else is wrong with it. Defaults
            to `None`.
        validate: Function that raises `DataError` if there are too few readable images. Defaults
            to `None`.
        groups: Name of the folders, in the plural, if they are not classes that all parts share,
            such as `"people"`; `None` if they are not to be shown. Defaults to `""`: they are
            classes.
        balance: Whether the recipe has a setting `--balance`. Defaults to `False`.
        skips: Whether the recipe trains without the files that cannot be read. Defaults to `False`.
    """
    report = DataReport(name)
    files: Files = {}
    try:
        files = find(report.notes.append)
    except DataError as error:
        report.add_error(error)
        problems: list[DataError] = []
        files = all_images(root, problems) if root.is_dir() else {}
        known = report.problems[0].message
        others = [problem.message for problem in problems if problem.message not in known]
        if others:
            message = f"{counted(len(others), 'entry', 'entries')} of the folder cannot be read."
            report.problems.append(Finding(message, others))
    check = ImageCheck(root, files, skips)
    check.read(inspect)
    is_complete = report.usable
    check.add_to(report)
    labels = {label for own in files.values() for label in own}
    if groups:
        add_groups(report, check.counts, groups)
    elif groups is not None and len(labels) > 1:
        add_classes(report, check.counts, balance=balance)
    if not any(sum(own.values()) for own in check.counts.values()):
        report.problems += [Finding("None of the images can be read.")] if is_complete else []
    elif is_complete and validate is not None:
        try:
            validate(check)
        except DataError as error:
            report.add_error(error)
    check.add_sheet(report)
    return report


def all_images(root: Path, problems: list[DataError]) -> Files:
    """Returns all image files below a folder, by the names of their folders alone.

    Args:
        root: Folder to search.
        problems: List that receives links that lead nowhere, and folders that cannot be read.

    Returns:
        Files by part, which a folder below `root` is named for, and by the name of their folder.
    """
    files: dict[str, dict[str, list[Path]]] = {}
    for path in _walk(root, problems, set()):
        folders = path.relative_to(root).parts[:-1]
        part = next(filter(None, map(part_of, folders)), WHOLE)
        inner = [name for name in folders if part_of(name) != part]
        files.setdefault(part, {}).setdefault(inner[-1] if inner else "", []).append(path)
    order = [part for part in (WHOLE, *PARTS) if part in files]
    return {part: files[part] for part in order}


def _walk(folder: Path, problems: list[DataError], seen: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: natural(entry.name))
    except OSError as error:
        problems.append(DataError(f"{folder}: the folder cannot be read: {reason(error)}."))
        return
    for entry in entries:
        path = folder / entry.name
        if is_system(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(path, problems, seen)
        elif not entry.is_file():
            what = "this link leads nowhere" if entry.is_symlink() else "this is not a file"
            problems.append(DataError(f"{path}: {what}."))
        elif path.suffix.lower() in SUFFIXES:
            yield path


def _sizes_of(widths: Iterable[int], heights: Iterable[int]) -> list[str]:
    """Returns the smallest, the median and the largest size, by area."""
    sizes = np.array([widths, heights], "int64").T
    if not len(sizes):
        return ["", "", ""]
    ordered = sizes[np.argsort(sizes.prod(axis=1), kind="stable")]
    chosen = ordered[[0, (len(ordered) - 1) // 2, -1]]
    return [f"{width} x {height}" for width, height in chosen]


def _pixels(source: ImageSource) -> np.ndarray:
    with open_source(source) as file:
        return np.asarray(decode_image(file, str(source)))


def _spread(items: Sequence[ImageSource], most: int) -> list[ImageSource]:
    places = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[place] for place in places]
