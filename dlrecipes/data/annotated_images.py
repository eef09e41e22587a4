"""Annotations and their images become examples: what is missing, unusable or does not match."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dlrecipes.data import image_folders
from dlrecipes.data.box_annotations import Annotations, Placed, place_boxes
from dlrecipes.data.box_examples import BoxExamples, BoxTable
from dlrecipes.data.class_names import refuse_similar
from dlrecipes.data.folder_entries import natural
from dlrecipes.data.image_examples import ImageFiles
from dlrecipes.data.image_folders import Note
from dlrecipes.data.image_orientation import ImageHeader
from dlrecipes.data.image_screening import describe_skipped, screen_headers
from dlrecipes.data.reports.copies import shorten
from dlrecipes.errors import DataError, raise_first

# Fraction of boxes that reach beyond their image which is suspicious.
_MANY = 0.2


class Annotated(NamedTuple):
    """The annotations of a folder.

    Args:
        where: Folder or file for messages.
        parts: Boxes by part; `"train"` is one of them.
        has_order: Whether a file gives the order of the classes; otherwise their names do.
    """

    where: Path
    parts: dict[str, Annotations]
    has_order: bool


def labelled_examples(annotated: Annotated, note: Note, strict: bool) -> dict[str, BoxExamples]:
    """Returns the images of each part with their boxes.

    Args:
        annotated: Annotations.
        note: Receives sentences about how the data was read.
        strict: Whether an annotated image that does not exist or cannot be read is an error.

    Raises:
        DataError: If boxes are wrong, or the parts do not match.
    """
    where, parts, _ = annotated
    for part in parts.values():
        part.find_problems()
    raise_first(problem for part in parts.values() for problem in part.problems)
    points = [place for part in parts.values() for place in part.points]
    if points:
        note(
            f"{where}: boxes of a single pixel, which are ignored: {len(points):,} "
            f"({_shown(where, points)})."
        )
    _check_missing(where, parts, note, strict)
    placed: dict[str, Placed] = {}
    for name, part in parts.items():
        headers = _headers(where, part.images, note, strict)
        if not any(headers):
            raise DataError(
                f"{where}: none of the {name} images can be used.", "Replace them, or the part."
            )
        placed[name] = place_boxes(part, headers)
    _note_placed(where, placed, note)
    names = _class_names(annotated, placed, note)
    shown = [name.strip() for name in names]
    return {
        part: BoxExamples(
            ImageFiles(own.images),
            _renumbered(own.table, parts["train"].classes, names),
            shown,
            own.sizes,
        )
        for part, own in placed.items()
    }


def _check_missing(where: Path, parts: Mapping[str, Annotations], note: Note, strict: bool) -> None:
    """Notes annotated images that do not exist; refuses them if `strict`."""
    missing = [name for part in parts.values() for name in part.missing]
    for name, part in parts.items():
        if part.missing and not part.images:
            raise DataError(
                f"{where}: none of the {len(part.missing):,} {name} images was found, such as "
                f"{part.missing[0]}.",
                "Put them next to the annotations, or in a folder named images.",
            )
    if missing:
        total = len(missing) + sum(len(part.images) for part in parts.values())
        count = f"{len(missing):,} of {total:,} ({_shown(where, missing)})"
        _report_lost(f"{where}: annotated images that do not exist: {count}.", note, strict)
    owners: dict[str, str] = {}
    shared = [
        image
        for name, part in parts.items()
        for image in part.images
        if owners.setdefault(image, name) != name
    ]
    if shared:
        note(
            f"{where}: images in two parts, which make the score too good: {len(shared):,} "
            f"({_shown(where, shared)})."
        )


def _relative(where: Path, names: Sequence[str]) -> list[str]:
    return [name.removeprefix(f"{where}{os.sep}") for name in names]


def _shown(where: Path, names: Sequence[str]) -> str:
    return shorten(_relative(where, names))


def _report_lost(problem: str, note: Note, strict: bool) -> None:
    if strict:
        raise DataError(problem, "Add or mend them, or run without --strict.")
    note(f"{problem} They are left out.")


def _headers(
    where: Path, images: Sequence[str], note: Note, strict: bool
) -> list[ImageHeader | None]:
    """Returns the header of each image, `None` for those that cannot be used."""
    screened = screen_headers(images)
    skipped = describe_skipped(_relative(where, images), [x.problem for x in screened])
    if skipped and strict:
        raise DataError(f"{where}: {skipped}", "Replace these images, or run without --strict.")
    if skipped:
        note(f"{where}: {skipped}")
    return [None if image.problem else image.header for image in screened]


def _note_placed(where: Path, placed: Mapping[str, Placed], note: Note) -> None:
    clipped = sum(own.clipped for own in placed.values())
    if clipped:
        total = sum(len(own.table.boxes) for own in placed.values())
        advice = " That many may be in another format." if clipped > _MANY * total else ""
        what = f"boxes clipped at the border of their image: {clipped:,} of {total:,}"
        note(f"{where}: {what}.{advice}")
    undecided = [image for own in placed.values() for image in own.undecided]
    if undecided:
        note(
            f"{where}: images that EXIF data rotate, and whose annotations do not say whether the "
            f"boxes are rotated: {len(undecided):,} ({_shown(where, undecided)}). They are read as "
            f"boxes on the upright image."
        )


def _first_image(where: Path, placed: Placed, number: int) -> str:
    """Returns the first image with a box of a class that is not ignored."""
    table = placed.table
    box = np.flatnonzero((table.classes == number) & ~table.ignored)[0]
    row = int(np.searchsorted(table.offsets, box, side="right")) - 1
    return _shown(where, placed.images[row : row + 1])


def _class_names(annotated: Annotated, placed: Mapping[str, Placed], note: Note) -> list[str]:
    """Returns the names of the classes; the ones that annotations have, in order."""
    where, parts, has_order = annotated
    raw = list(parts["train"].classes)
    refuse_similar(where, raw)
    odd = next((name for name in raw if not name.strip().isprintable()), None)
    if odd is not None:
        raise DataError(f"{where}: the class {odd!r} cannot be printed.", "Rename it.")
    shown = {
        part: {raw[k] for k in np.unique(own.table.classes[~own.table.ignored])}
        for part, own in placed.items()
    }
    _require_boxes(where, shown, placed)
    learned = [name for name in raw if name in shown["train"]]
    for part, names in shown.items():
        own = sorted(names, key=natural)
        known = learned if has_order else sorted(learned, key=natural)
        first = next((name for name in own if name not in known), None)
        image = "" if first is None else f" ({_first_image(where, placed[part], raw.index(first))})"
        image_folders.match_classes(own, known, f"{where}, part {part}{image}", note)
    if not has_order:
        # Objects that are ignored may be of further classes.
        used = {raw[k] for own in placed.values() for k in np.unique(own.table.classes)}
        return sorted(used, key=natural)
    unused = [name for name in raw if name not in shown["train"]]
    if unused:
        note(f"{where}: classes without a box for training: {len(unused):,} ({shorten(unused)}).")
    return raw


def _require_boxes(
    where: Path, shown: Mapping[str, set[str]], placed: Mapping[str, Placed]
) -> None:
    """Refuses parts without a box that counts."""
    for part, names in shown.items():
        if names:
            continue
        what = "training" if part == "train" else part
        hint = "Annotate them" + (", or remove the part." if part != "train" else ".")
        if len(placed[part].table.boxes):
            raise DataError(
                f"{where}: every box of the {what} images is ignored: difficult or iscrowd.", hint
            )
        raise DataError(f"{where}: none of the {what} images has a box.", hint)


def _renumbered(table: BoxTable, classes: Mapping[str, int], names: Sequence[str]) -> BoxTable:
    """Returns boxes whose classes are indices of `names` in place of the numbers in `classes`."""
    places = np.full(len(classes), -1, "int32")
    for place, name in enumerate(names):
        places[classes[name]] = place
    return table._replace(classes=places[table.classes])
