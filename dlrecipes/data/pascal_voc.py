"""Boxes in Pascal VOC's format: one XML file per image."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from dlrecipes._utils.wording import counted
from dlrecipes.data.box_annotations import Annotations
from dlrecipes.data.box_layouts import (
    Evidence,
    annotation_folders,
    composed,
    files_with,
    head,
    image_candidates,
    part_of_folder,
    subfolders,
)
from dlrecipes.data.image_decoding import SUFFIXES
from dlrecipes.data.image_folders import Note
from dlrecipes.data.parts import PARTS
from dlrecipes.data.reports.copies import shorten
from dlrecipes.data.text_files import read_text
from dlrecipes.errors import DataError, reason

NAME = "Pascal VOC"
_RENAME = "Rename the folder with the images for training train."
EXPECTED = "Annotations/*.xml next to JPEGImages, or XML files next to their images"
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_FLAGS = {"": False, "0": False, "unspecified": False, "false": False, "1": True, "true": True}
# GDAL's facts about an image, which are not annotations.
_NOT_ANNOTATIONS = ".aux.xml"
# Files that are looked at to recognize the format.
_TRIED = 20
# Names of the files in ImageSets/Main, the best first; CVAT writes default.txt.
_SETS = {
    "train": ("train", "training", "trainval", "default"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
# Numbers after an image's name that say whether it shows a class.
_PRESENCE = ("-1", "0", "1")


def evidence(root: Path) -> Evidence | None:
    """Returns an annotation file of this format, or `None` if the folder has none.

    Args:
        root: Folder to search.
    """
    paths = [path for folder in annotation_folders(root) for path in _xml(folder)]
    if not paths:
        return None
    sure = next((path for path in paths[:_TRIED] if b"<annotation" in head(path)), None)
    return Evidence(sure or paths[0], sure is not None)


def _xml(folder: Path) -> list[Path]:
    paths = files_with(folder, (".xml",))
    return [path for path in paths if not path.name.endswith(_NOT_ANNOTATIONS)]


def read_voc(root: Path, note: Note) -> dict[str, Annotations]:
    """Returns the boxes of each part.

    Three layouts are read: the folders `Annotations` and `JPEGImages`, with the parts in the files
    `ImageSets/Main/*.txt`; XML files next to their images; and either of them in folders `train`,
    `valid` and `test`.

    In VOC's own files the first pixel has the coordinate 1, and `xmax` is the last pixel: a box
    extends from `xmin - 1` to `xmax`. Label tools such as CVAT count from 0 and give the borders
    of the box. Those are files with more sides at 0 than at 1; they are read as they are, with a
    note. LabelImg writes 1 in place of 0, so that its boxes cannot be distinguished from VOC's;
    their left and upper sides are a pixel further out than they were drawn.

    Args:
        root: Folder of the data.
        note: Receives sentences about how the data was read.

    Raises:
        DataError: If annotations cannot be understood.
    """
    files = {folder: _xml(folder) for folder in annotation_folders(root)}
    files = {folder: paths for folder, paths in files.items() if paths}
    by_part: dict[str, list[Path]] = {}
    for folder in files:
        by_part.setdefault(part_of_folder(folder, root) or "", []).append(folder)
    whole = by_part.pop("", [])
    if by_part and whole:
        count = sum(len(files[folder]) for folder in whole)
        note(f"{whole[0]}: XML files outside the folders of the parts, not read: {count:,}.")
    if by_part and "train" not in by_part:
        raise DataError(f"{root}: expected a folder train next to {', '.join(by_part)}.", _RENAME)
    classes: dict[str, int] = {}
    if by_part:
        parts = {}
        for part in PARTS:
            if part in by_part:
                paths = [path for folder in by_part[part] for path in files[folder]]
                parts[part] = _read_all(paths, _Images(by_part[part], root), classes, note)
    else:
        paths = [path for folder in whole for path in files[folder]]
        parts = _read_sets(root, paths, _Images(whole, root), classes, note)
    _find_origin(root, parts, note)
    return parts


class _Images:
    """Images that belong to folders of annotations, by their names.

    Args:
        folders: Folders of annotations of one part.
        root: Folder of the data.
    """

    def __init__(self, folders: Sequence[Path], root: Path):
        self._candidates = (x for folder in folders for x in image_candidates(folder, root))
        self._stems: dict[str, list[str]] = {}
        self._folders: dict[str, list[str]] = {}
        self._used: set[str] = set()

    def find(self, stem: str, name: str = "") -> str | None:
        """Returns the path of an image, or `None` if there is none.

        Args:
            stem: Name of the annotation file without its suffix.
            name: Name of the image in the annotation. Defaults to `""`.

        Raises:
            DataError: If there are several such images.
        """
        base = composed(name.replace("\\", "/").rpartition("/")[2])
        keys = dict.fromkeys([composed(stem), base, os.path.splitext(base)[0]])  # noqa: PTH122
        while True:
            for key in keys:
                if key in self._stems:
                    path = self._choose(self._stems[key], base)
                    self._used.add(path)
                    return path
            images = next(self._candidates, None)
            if images is None:
                return None
            self._add(images)

    def _add(self, images: Sequence[Path]) -> None:
        own: dict[str, list[str]] = {}
        for path in map(str, images):
            folder, _, name = path.rpartition(os.sep)
            own.setdefault(composed(os.path.splitext(name)[0]), []).append(path)  # noqa: PTH122
            self._folders.setdefault(folder, []).append(path)
        for stem, paths in own.items():
            self._stems.setdefault(stem, paths)

    def _choose(self, paths: Sequence[str], base: str) -> str:
        exact = [path for path in paths if composed(path.rpartition(os.sep)[2]) == base]
        if len(paths) > 1 and len(exact) != 1:
            raise DataError(
                f"{paths[0]} and {paths[1]} belong to the same annotation.",
                "Keep one of the images.",
            )
        return (exact or paths)[0]

    def unannotated(self) -> list[str]:
        """Returns the images without an annotation, in the folders of those that have one."""
        folders = dict.fromkeys(path.rpartition(os.sep)[0] for path in sorted(self._used))
        paths = dict.fromkeys(x for folder in folders for x in self._folders[folder])
        return [path for path in paths if path not in self._used]


def _read_all(
    paths: Sequence[Path], images: _Images, classes: dict[str, int], note: Note
) -> Annotations:
    """Returns the boxes of files; images next to the annotated ones are background."""
    annotations = _empty(classes)
    for path in paths:
        _read_file(path, images, annotations)
    _add_background(images.unannotated(), annotations, note)
    return annotations


def _read_sets(
    root: Path, paths: Sequence[Path], images: _Images, classes: dict[str, int], note: Note
) -> dict[str, Annotations]:
    """Returns the boxes of the parts that `ImageSets` lists, or all in one part."""
    sets = _image_sets(root, note)
    if not sets:
        return {"train": _read_all(paths, images, classes, note)}
    by_stem = {composed(path.stem): path for path in paths}
    unread = dict(by_stem)
    parts: dict[str, Annotations] = {}
    for part, lines in sets.items():
        parts[part] = annotations = _empty(classes)
        background: list[str] = []
        for line in lines:
            stem = _stem(line, by_stem)
            unread.pop(stem, None)
            if stem in by_stem:
                _read_file(by_stem[stem], images, annotations)
                continue
            image = images.find(stem)
            if image is None:
                annotations.missing.append(line)
            else:
                background.append(image)
        _add_background(background, annotations, note)
    if unread:
        names = shorten([path.name for path in unread.values()])
        note(f"{root}: annotations that ImageSets does not list: {len(unread):,} ({names}).")
    return parts


def _image_sets(root: Path, note: Note) -> dict[str, list[str]]:
    """Returns the lines of the file of each part in `ImageSets/Main`."""
    folders = subfolders(root, ("imagesets",))
    folders += [path for folder in folders for path in subfolders(folder, ("main",))]
    files = {path.stem.casefold(): path for x in folders for path in files_with(x, (".txt",))}
    sets: dict[str, list[str]] = {}
    for part, names in _SETS.items():
        path = next((files[name] for name in names if name in files), None)
        if path is None:
            continue
        lines = [composed(line.strip()) for line in read_text(path).splitlines() if line.strip()]
        sets[part] = list(dict.fromkeys(lines))
        if len(sets[part]) < len(lines):
            note(f"{path}: repeated lines, which are read once: {len(lines) - len(sets[part]):,}.")
    sets = {part: lines for part, lines in sets.items() if lines}
    if sets and "train" not in sets:
        expected = ", ".join(f"{name}.txt" for name in _SETS["train"])
        raise DataError(
            f"{folders[-1]}: no file lists images for training.", f"Expected one of {expected}."
        )
    return sets


def _stem(line: str, known: Mapping[str, Path]) -> str:
    """Returns the name of an annotation without suffix, given a line of `ImageSets`."""
    name = line.replace("\\", "/").rpartition("/")[2]
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    choices = [name, stem if suffix.lower() in (*SUFFIXES, ".xml") else name]
    words = line.rsplit(None, 1)
    if len(words) == 2 and words[1] in _PRESENCE:
        choices.append(words[0])
    return next((choice for choice in choices if choice in known), choices[-1])


def _empty(classes: dict[str, int]) -> Annotations:
    return Annotations(classes, lambda file, number: f"{file}: object {number}")


def _add_background(images: Sequence[str], annotations: Annotations, note: Note) -> None:
    for image in images:
        annotations.add_image(image, image)
    if images:
        count = f"{len(images):,} ({shorten(list(images))})"
        note(f"Images without an annotation file, which are background: {count}.")


def _read_file(path: Path, images: _Images, annotations: Annotations) -> None:
    """Adds the image and the boxes of one file, or what is wrong with them."""
    try:
        root = _parse(path)
        name = (root.findtext("filename") or "").strip()
        image = images.find(path.stem, name)
    except DataError as error:
        annotations.problems.append(error)
        return
    if image is None:
        annotations.missing.append(name or path.stem)
        return
    size = _whole(root.findtext("size/width")), _whole(root.findtext("size/height"))
    file = str(path)
    annotations.add_image(image, file, size)
    for number, thing in enumerate(root.findall("object"), 1):
        problem = _add_object(thing, number, annotations)
        if problem:
            annotations.add_problem(f"{file}: object {number}{problem}")


def _parse(path: Path) -> ElementTree.Element:
    try:
        try:
            root = ElementTree.parse(path).getroot()
        except (ElementTree.ParseError, ValueError, LookupError):
            # Files may be in an encoding that they do not declare, or that the parser lacks.
            text = re.sub(r"^\s*<\?xml[^>]*\?>", "", read_text(path))
            root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        problem = str(error).partition(": line")[0]
        raise DataError(
            f"{path}:{error.position[0]}: the XML is malformed: {problem}.", "Mend or delete it."
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from None
    if root.tag != "annotation":
        raise DataError(
            f"{path}: expected the element annotation, got {root.tag}.",
            "Export the annotations in Pascal VOC's format, or move the file elsewhere.",
        )
    return root


def _add_object(thing: ElementTree.Element, number: int, annotations: Annotations) -> str:
    """Adds a box, or returns how it goes wrong."""
    name = composed(thing.findtext("name") or "")
    if not name.strip():
        return " has no class: its name is missing."
    box = thing.find("bndbox")
    if box is None:
        return f" ({name}) has no bndbox."
    texts = {side.tag: side.text or "" for side in box}
    corners = []
    for side in _SIDES:
        try:
            corners.append(float(texts[side]))
        except KeyError:
            return f" ({name}) has no {side}."
        except ValueError:
            return f" ({name}): expected a number as {side}, got {texts[side].strip()!r}."
    difficult = (thing.findtext("difficult") or "").strip()
    if difficult.casefold() not in _FLAGS:
        return f" ({name}): expected 0 or 1 as difficult, got {difficult!r}."
    left, top, right, bottom = corners
    ignored = _FLAGS[difficult.casefold()]
    annotations.add_box((left, top, right, bottom), name, number, ignored)
    return ""


def _whole(text: str | None) -> int:
    """Returns a number of pixels, or 0 if it is missing or not a number."""
    try:
        return int(float(text or 0))
    except (ValueError, OverflowError):
        return 0


def _find_origin(root: Path, parts: Mapping[str, Annotations], note: Note) -> None:
    """Sets whether the first pixel has the coordinate 0 or 1."""
    corners = np.concatenate([part.corners for part in parts.values()])
    first = corners[:, :2]
    zeros, ones = (int(((first >= k) & (first < k + 1)).sum()) for k in (0, 1))
    finite = corners[np.isfinite(corners)]
    has_fractions = (finite % 1 > 0).sum() > len(finite) / 2
    if zeros > ones or has_fractions:
        what = (
            "most sides have fractions"
            if zeros <= ones
            else f"{counted(zeros, 'side is', 'sides are')} at 0"
        )
        note(f"{root}: the pixels of the boxes are counted from 0: {what}, {ones:,} at 1.")
        return
    for part in parts.values():
        part.origin = 1.0
