"""Boxes in COCO's format: one JSON file per part, next to folders of images."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from dlrecipes.data.box_annotations import Annotations
from dlrecipes.data.box_layouts import (
    Evidence,
    annotation_folders,
    composed,
    files_with,
    folders_in,
    head,
    part_of_folder,
    subfolders,
)
from dlrecipes.data.image_folders import Note
from dlrecipes.data.parts import PARTS, part_of
from dlrecipes.data.reports.copies import shorten
from dlrecipes.data.text_files import read_text
from dlrecipes.errors import DataError, reason

NAME = "COCO"
EXPECTED = "annotations/*.json next to folders of images"
_KEYS = ("images", "annotations", "categories")
_HINT = "Expected an object with the lists images, annotations and categories."
# Bytes at the start and the end of a file in which its keys are looked for.
_ENDS = 1 << 16
# Images by which the folder of the images is found.
_TRIED = 50
_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
_ROOTS = ("images", "image", "data", "jpegimages", "imgs", "img")


def evidence(root: Path) -> Evidence | None:
    """Returns an annotation file of this format, or `None` if the folder has none.

    Args:
        root: Folder to search.
    """
    files = [path for folder in annotation_folders(root) for path in files_with(folder, (".json",))]
    sure = next(filter(_looks_right, files), None)
    return Evidence(sure or files[0], sure is not None) if files else None


def _looks_right(path: Path) -> bool:
    """Returns whether a file has two of the three keys at its start or end."""
    text = head(path, _ENDS)
    if len(text) == _ENDS:
        with path.open("rb") as file:
            file.seek(-_ENDS, os.SEEK_END)
            text += file.read()
    return sum(f'"{key}"'.encode() in text for key in _KEYS) >= 2


def read_coco(path: Path, note: Note) -> dict[str, Annotations]:
    """Returns the boxes of each part.

    The official layout is read (`annotations/instances_train2017.json` next to the folder
    `train2017`), `_annotations.coco.json` in the folders `train`, `valid` and `test`, and a single
    file. Boxes are left, upper side, width and height in pixels, counted from 0. Objects with
    `iscrowd` are ignored.

    Args:
        path: Folder of the data, or one JSON file.
        note: Receives sentences about how the data was read.

    Raises:
        DataError: If a file cannot be understood.
    """
    root = path
    if path.is_file():
        # Folders of images lie next to the one of the annotations.
        root = path.parent if path.parent.name.casefold() != "annotations" else path.parent.parent
    files = {"train": path} if path.is_file() else _files(root, note)
    classes: dict[str, int] = {}
    return {part: _read_file(file, part, root, classes) for part, file in files.items()}


def _files(root: Path, note: Note) -> dict[str, Path]:
    """Returns the file of each part."""
    files = [path for folder in annotation_folders(root) for path in files_with(folder, (".json",))]
    # COCO's own folder has files of captions and key points as well.
    chosen = [path for path in files if path.name.startswith("instances")]
    chosen = chosen or [path for path in files if _looks_right(path)]
    if not chosen:
        # The first file shows why.
        _content(files[0])
    chosen = chosen or files
    parts: dict[str, Path] = {}
    unclear: list[Path] = []
    for path in chosen:
        part = part_of(path.stem) or part_of_folder(path.parent, root)
        if part is None:
            unclear.append(path)
        elif part in parts:
            raise DataError(
                f"{root}: both {parts[part].relative_to(root)} and {path.relative_to(root)} hold "
                f"the {part} part.",
                "Keep one of them in the folder.",
            )
        else:
            parts[part] = path
    if not parts and len(unclear) == 1:
        return {"train": unclear[0]}
    if unclear:
        names = shorten([str(path.relative_to(root)) for path in unclear])
        if not parts:
            raise DataError(
                f"{root}: {names} are of unknown parts.",
                "Rename them instances_train.json, instances_val.json and instances_test.json.",
            )
        note(f"{root}: not read, because no part is named: {names}.")
    if "train" not in parts:
        names = ", ".join(str(path.relative_to(root)) for path in parts.values())
        raise DataError(
            f"{root}: expected annotations for training next to {names}.",
            "Name them instances_train.json.",
        )
    return {part: parts[part] for part in PARTS if part in parts}


def _read_file(path: Path, part: str, root: Path, classes: dict[str, int]) -> Annotations:
    content = _content(path)
    things = content["annotations"]
    annotations = Annotations(classes, lambda file, number: _place(path, things[number], number))
    names = _categories(path, content["categories"])
    if part == "train":
        classes |= {name: number for number, name in enumerate(names.values())}
    images = _images(path, content["images"])
    by_image: dict[Any, list[int]] = {image["id"]: [] for image in images}
    for number, thing in enumerate(things):
        problem = "expected an object"
        if isinstance(thing, dict):
            identity = thing.get("image_id")
            if isinstance(identity, int | str) and identity in by_image:
                by_image[identity].append(number)
                continue
            problem = f"no image has the id {identity!r}"
        annotations.add_problem(f"{_place(path, thing, number)}: {problem}.")
    files = _find_files([image["file_name"] for image in images], path, part, root)
    for image, file in zip(images, files, strict=True):
        if file is None:
            annotations.missing.append(image["file_name"])
            continue
        size = _whole(image.get("width")), _whole(image.get("height"))
        annotations.add_image(file, str(path), size)
        for number in by_image[image["id"]]:
            problem = _add(things[number], number, names, annotations)
            if problem:
                place = _place(path, things[number], number)
                annotations.add_problem(f"{place}{problem}")
    return annotations


def _place(path: Path, thing: Any, number: int) -> str:
    identity = thing.get("id") if isinstance(thing, dict) else None
    named = f"annotation {identity}" if identity is not None else f"annotations[{number}]"
    return f"{path}: {named}"


def _add(
    thing: Mapping[str, Any], number: int, names: Mapping[Any, str], annotations: Annotations
) -> str:
    """Adds a box, or returns how the message about it ends."""
    category, box = thing.get("category_id"), thing.get("bbox")
    if category is None:
        return " has no class: its category_id is missing."
    if not isinstance(category, int | str) or category not in names:
        return f": no category has the id {category!r}."
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return f": expected four numbers as bbox, got {box!r:.80}."
    left, top, width, height = box
    ignored = bool(thing.get("iscrowd") or thing.get("ignore"))
    corners = (left, top, left + width, top + height)
    annotations.add_box(corners, names[category], number, ignored)
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> int:
    """Returns a number of pixels, or 0 if it is missing or not a number."""
    return int(value) if _is_number(value) and 0 < value < 1e9 else 0


def _content(path: Path) -> Mapping[str, list]:
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from None
    except orjson.JSONDecodeError:
        # NaN, a byte order mark and other encodings are not JSON, but occur.
        try:
            content = json.loads(read_text(path))
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}:{error.lineno}: the JSON is malformed: {error.msg}.",
                "Export or copy the file again.",
            ) from None
        except RecursionError:
            raise DataError(f"{path}: the JSON is nested too deep.", _HINT) from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: this is not a COCO file: it holds a {_kind(content)}.", _HINT)
    missing = [key for key in _KEYS if not isinstance(content.get(key), list)]
    if missing:
        keys = shorten(list(content), 6) or "nothing"
        raise DataError(
            f"{path}: this is not a COCO file: {missing[0]} is missing; it has {keys}.", _HINT
        )
    return content


def _kind(value: Any) -> str:
    return "list" if isinstance(value, list) else "single value"


def _categories(path: Path, categories: Sequence[Any]) -> dict[Any, str]:
    """Returns the name of each category by its id, in the order of the file."""
    names: dict[Any, str] = {}
    for number, category in enumerate(categories):
        identity, name = _fields(path, "categories", number, category, "name")
        name = composed(name)
        if identity in names:
            raise DataError(f"{path}: two categories have the id {identity!r}.", "Renumber one.")
        if name in names.values():
            raise DataError(f"{path}: two categories are named {name!r}.", "Merge them.")
        names[identity] = name
    return names


def _images(path: Path, images: Sequence[Any]) -> list[Mapping[str, Any]]:
    seen: set[Any] = set()
    for number, image in enumerate(images):
        identity, _ = _fields(path, "images", number, image, "file_name")
        if identity in seen:
            raise DataError(f"{path}: two images have the id {identity!r}.", "Renumber one.")
        seen.add(identity)
    return list(images)


def _fields(path: Path, key: str, number: int, item: Any, field: str) -> tuple[Any, str]:
    """Returns the id and the text of an image or a category."""
    values = (item.get("id"), item.get(field)) if isinstance(item, dict) else (None, None)
    identity, text = values
    if not isinstance(identity, int | str) or not isinstance(text, str) or not text.strip():
        lacks = "id" if not isinstance(identity, int | str) else field
        raise DataError(f"{path}: {key}[{number}] has no {lacks}.", "Add it, or delete the entry.")
    if not text.strip().isprintable():
        raise DataError(f"{path}: the {field} {text!r} cannot be printed.", "Rename it.")
    return identity, text


def _find_files(names: Sequence[str], path: Path, part: str, root: Path) -> list[str | None]:
    """Returns the path of each image, `None` for those that do not exist."""
    folders = list(dict.fromkeys(_folders(path, part, root)))
    tried = names[:: max(1, len(names) // _TRIED)]
    # The folder in which most of them are; the first of several.
    best = max(folders, key=lambda folder: sum(_find(folder, x) is not None for x in tried))
    order = [best, *(folder for folder in folders if folder != best)]
    return [next(filter(None, (_find(folder, name) for folder in order)), None) for name in names]


def _folders(path: Path, part: str, root: Path) -> Iterator[Path]:
    """Yields the folders that may hold the images of a file, the likeliest first."""
    yield path.parent
    subject = path.stem.partition("_")[2].casefold() or path.stem.casefold()
    roots = [path.parent, *subfolders(path.parent, _ROOTS), root, *subfolders(root, _ROOTS)]
    for folder in roots:
        yield from subfolders(folder, (subject,))
    for folder in roots:
        own = [inner for inner in folders_in(folder) if part_of(inner) == part]
        yield from own
        yield from (images for inner in own for images in subfolders(inner, _ROOTS))
    yield from roots


def _find(folder: Path, name: str) -> str | None:
    """Returns the path of an image in a folder, where its name may have the path of another."""
    name = name.replace("\\", "/")
    spellings = dict.fromkeys([name, name.rpartition("/")[2]])
    if not name.isascii():
        # macOS writes decomposed letters.
        spellings |= {unicodedata.normalize(form, x): None for x in spellings for form in _FORMS}
    paths = (os.path.join(folder, spelling) for spelling in spellings)  # noqa: PTH118
    return next(filter(os.path.isfile, paths), None)
