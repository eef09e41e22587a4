"""Boxes in YOLO's format: a text file per image, with a class number and fractions per line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dlrecipes.data.box_annotations import Annotations
from dlrecipes.data.box_layouts import (
    Evidence,
    annotation_folders,
    composed,
    files_with,
    head,
    subfolders,
    walk_images,
)
from dlrecipes.data.image_folders import Note
from dlrecipes.data.parts import PARTS, find_parts
from dlrecipes.data.reports.copies import shorten
from dlrecipes.data.text_files import read_text
from dlrecipes.data.yolo_labels import CLASS_FILES, YoloLabels
from dlrecipes.errors import DataError, reason

NAME = "YOLO"
_RENAME = "Rename the folder with the images for training train."
EXPECTED = "data.yaml or classes.txt, and labels/*.txt next to images"
YAML_SUFFIXES = (".yaml", ".yml")
_KEYS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}


def evidence(root: Path) -> Evidence | None:
    """Returns a file of this format, or `None` if the folder has none.

    Args:
        root: Folder to search.
    """
    path = _names_file(root)
    if path is not None:
        return Evidence(path, True)
    labels = [path for folder in annotation_folders(root) for path in _labels_in(folder)]
    return Evidence(labels[0], False) if labels else None


def _names_file(root: Path) -> Path | None:
    """Returns the file with the names of the classes: YAML, or a text file."""
    for path in files_with(root, YAML_SUFFIXES):
        if {b"names", b"nc", b"train"} & {
            line.split(b":")[0].strip() for line in head(path).splitlines()
        }:
            return path
    for folder in annotation_folders(root):
        for path in files_with(folder, (".txt", ".names")):
            if path.name.casefold() in CLASS_FILES:
                return path
    return None


def _labels_in(folder: Path) -> list[Path]:
    """Returns the label files of a folder that is named labels."""
    if "labels" not in (folder.name.casefold(), folder.parent.name.casefold()):
        return []
    return [
        path for path in files_with(folder, (".txt",)) if path.name.casefold() not in CLASS_FILES
    ]


def read_yolo(path: Path, note: Note) -> dict[str, Annotations]:
    """Returns the boxes of each part.

    The names of the classes and the parts are read from a YAML file as Ultralytics does; or the
    names from `classes.txt`, and the parts from folders. The labels of `images/a.jpg` are in
    `labels/a.txt`, or next to the image. An image without them is background. Polygons and rotated
    boxes become the boxes around them.

    Args:
        path: Folder of the data, or its YAML file.
        note: Receives sentences about how the data was read.

    Raises:
        DataError: If a file cannot be understood.
    """
    root = path.parent if path.is_file() else path
    file = path if path.is_file() else _names_file(root)
    if file is None:
        unclear = [path for path in files_with(root, YAML_SUFFIXES) if path.stem == "data"]
        if unclear:
            raise _no_settings(unclear[0])
        raise DataError(
            f"{root}: the labels have no names: there is neither data.yaml nor classes.txt.",
            "Write classes.txt with the name of a class per line, the one of class 0 first.",
        )
    settings: Mapping[str, Any] = {}
    if file.suffix.lower() in YAML_SUFFIXES:
        settings = _settings(file)
        names = _yaml_names(file, settings, note)
    else:
        names = _listed_names(file)
    images = _yaml_images(file, settings, note) or _images_of_folders(root)
    reader = YoloLabels(names, _columns(settings))
    parts = {part: reader.read(images[part]) for part in PARTS if part in images}
    reader.add_missing()
    if reader.polygons:
        note(f"{root}: polygons, read as the boxes around them: {reader.polygons:,}.")
    if reader.without:
        count = f"{len(reader.without):,} ({shorten(reader.without)})"
        note(f"{root}: images without a label file, which are background: {count}.")
    return parts


def _settings(path: Path) -> Mapping[str, Any]:
    try:
        settings = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or reason(error)
        raise DataError(f"{path}{line}: the YAML is malformed: {problem}.", "Correct it.") from None
    if not isinstance(settings, dict):
        raise _no_settings(path)
    return settings


def _no_settings(path: Path) -> DataError:
    return DataError(f"{path}: expected the keys train, val and names.", "Correct the file.")


def _yaml_names(path: Path, settings: Mapping[str, Any], note: Note) -> list[str]:
    """Returns the names of the classes in a YAML file: a list, or a mapping from numbers."""
    names, count = settings.get("names"), settings.get("nc")
    if names is None and isinstance(count, int) and count > 0:
        note(f"{path}: the classes have no names; they are class_0 to class_{count - 1}.")
        names = [f"class_{number}" for number in range(count)]
    if isinstance(names, dict):
        numbers = {str(key): name for key, name in names.items()}
        missing = [k for k in range(len(names)) if str(k) not in numbers]
        if missing:
            raise DataError(
                f"{path}: names has {len(names)} classes, but none is {missing[0]}.",
                "Number the classes from 0 without gaps.",
            )
        names = [numbers[str(k)] for k in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(f"{path}: names is missing or empty.", "Add a line: names: [cat, dog]")
    if isinstance(count, int) and count != len(names):
        raise DataError(f"{path}: nc is {count}, but there are {len(names)} names.", "Correct nc.")
    for number, name in enumerate(names):
        if isinstance(name, bool | float):
            raise DataError(
                f"{path}: YAML reads the name of class {number} as {name}.", "Put it in quotes."
            )
    texts = ["" if name is None else str(name) for name in names]
    return _check_names(texts, [f"{path}: class {number}" for number in range(len(texts))])


def _listed_names(path: Path) -> list[str]:
    """Returns the names of the classes in a text file, one per line."""
    lines = read_text(path).rstrip().splitlines()
    if not lines:
        raise DataError(f"{path}: the file is empty.", "Write the name of a class per line.")
    return _check_names(lines, [f"{path}:{number + 1}: the class" for number in range(len(lines))])


def _check_names(names: Sequence[str], places: Sequence[str]) -> list[str]:
    known: dict[str, str] = {}
    for name, place in zip(map(composed, names), places, strict=True):
        if not name.strip():
            raise DataError(f"{place} has no name.", "Add it.")
        if name in known:
            raise DataError(f"{place} repeats the name {name!r}.", "Rename one, or merge them.")
        known[name] = place
    return list(known)


def _columns(settings: Mapping[str, Any]) -> int:
    """Returns the columns of a line with key points, 0 for data without them."""
    shape = settings.get("kpt_shape")
    if not isinstance(shape, list) or [type(length) for length in shape] != [int, int]:
        return 0
    return 5 + shape[0] * shape[1]


def _yaml_images(path: Path, settings: Mapping[str, Any], note: Note) -> dict[str, list[Path]]:
    """Returns the images of the parts that a YAML file lists; none if it lists no training part."""
    images: dict[str, list[Path]] = {}
    for part, keys in _KEYS.items():
        key = next((key for key in keys if settings.get(key)), part)
        entries = settings.get(key) or []
        for entry in entries if isinstance(entries, list) else [entries]:
            source = _resolve(path, str(settings.get("path") or ""), str(entry), note)
            if source is not None:
                images.setdefault(part, []).extend(_images_in(source))
            elif part == "test":
                note(f"{path}: test: {entry} does not exist and is not read.")
            else:
                raise DataError(
                    f"{path}: {key}: {entry} does not exist.",
                    f"Correct the path; it starts from {path.parent}.",
                )
    if images and "train" not in images:
        raise DataError(f"{path}: the key train is missing.", "Add a line: train: images/train")
    for part, own in images.items():
        if not own:
            raise DataError(f"{path}: {part}: the folder has no images.", "Correct the path.")
    return images


def _resolve(path: Path, base: str, entry: str, note: Note) -> Path | None:
    """Returns the folder or list of images that an entry of a YAML file names."""
    entry = entry.replace("\\", "/")
    # Roboflow writes paths that start from a folder next to the file's own.
    spellings = [entry, entry.removeprefix("../")]
    choices = [path.parent / folder / x for folder in (base, "") for x in spellings]
    source = next((choice for choice in choices if choice.exists()), None)
    if source is None:
        # A path of another computer.
        guesses = [path.parent.joinpath(*Path(entry).parts[-depth:]) for depth in (2, 1)]
        source = next((guess for guess in guesses if guess.exists()), None)
        if source is not None:
            note(f"{path}: {entry} does not exist; {source} is read.")
    return source


def _images_in(source: Path) -> list[Path]:
    """Returns the images in a folder, or those that a text file lists."""
    if source.is_dir():
        return walk_images(source)
    lines = [line.strip() for line in read_text(source).splitlines()]
    return [source.parent / line for line in lines if line]


def _images_of_folders(root: Path) -> dict[str, list[Path]]:
    """Returns the images of each part that a folder is named for, or all of them."""
    for folder in (*subfolders(root, ("images",)), root):
        parts = find_parts(folder, lambda path: path.is_dir() and bool(walk_images(path))).paths
        if parts and "train" not in parts:
            names = ", ".join(path.name for path in parts.values())
            raise DataError(f"{folder}: expected a folder train next to {names}.", _RENAME)
        if parts:
            return {part: walk_images(path) for part, path in parts.items()}
    return {"train": walk_images(root)}
