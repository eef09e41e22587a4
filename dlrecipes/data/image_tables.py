"""CSV files that list image files with their classes."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from dlrecipes.data.image_folders import Note
from dlrecipes.data.parts import find_parts, part_of
from dlrecipes.data.text_files import read_file
from dlrecipes.errors import DataError

SUFFIXES = (".csv", ".tsv")
# Names of the columns, in lower case, of letters alone.
_NAMES = {
    "path": (
        *("path", "filepath", "imagepath", "file", "filename", "image", "imagefile", "imagename"),
        *("img", "imgpath", "imageid", "photo"),
    ),
    "label": ("label", "class", "classname", "category", "target", "labelname", "y"),
    "part": ("split", "part", "set", "subset", "partition"),
}
_HINT = "Expected a header and a file per line, such as: path,label"
_SHOWN = 3

# Path and class of each image.
Files = list[tuple[Path, str]]


def has_tables(folder: Path) -> bool:
    """Returns whether a folder holds a CSV file whose header names a path and a label.

    Args:
        folder: Folder to examine.
    """
    return any(_has_header(path) for path in _tables(folder))


def read_image_tables(path: Path, note: Note) -> Mapping[str, Files]:
    """Returns the files of each part that CSV files list.

    Args:
        path: CSV file, or a folder with one, or with one per part (`train.csv`, `valid.csv`,
            `test.csv`).
        note: Receives sentences about how the files were read.

    Returns:
        Paths and classes by part; `train` is one of them.

    Raises:
        DataError: If a line cannot be understood, a file is missing, or a file has two classes.
    """
    if not path.is_dir():
        return _read_table(path, note)
    tables = [table for table in _tables(path) if _has_header(table)]
    parts = find_parts(path, lambda entry: entry in tables).paths
    if not parts and len(tables) > 1:
        names = ", ".join(table.name for table in tables[:_SHOWN])
        raise DataError(f"{path}: several CSV files: {names}.", f"Give one: {tables[0]}")
    if not parts:
        return _read_table(tables[0], note)
    if "train" not in parts:
        raise DataError(f"{path}: expected a file train.csv next to {min(parts.values()).name}.")
    return {part: _read_table(table, note)["train"] for part, table in parts.items()}


def _tables(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()
    )


def _has_header(path: Path) -> bool:
    columns = _columns(_rows(path, read_file(path).text)[:1])
    return "path" in columns and "label" in columns


def _rows(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """Returns the line number and the cells of each row that is not empty."""
    header = next(iter(text.splitlines()), "")
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            rows.append((reader.line_num, [cell.strip() for cell in row]))
    except csv.Error as error:
        line = rows[-1][0] + 1 if rows else 1
        raise DataError(
            f"{path}:{line}: {error}.", "Close or delete the quotation mark in this line."
        ) from None
    return [(line, row) for line, row in rows if any(row)]


def _columns(rows: Sequence[tuple[int, list[str]]]) -> dict[str, int]:
    """Returns the place of each column that the first row names."""
    plain = [re.sub(r"[\W\d_]+", "", cell).lower() for _, row in rows[:1] for cell in row]
    return {
        key: next(k for k, cell in enumerate(plain) if cell in names)
        for key, names in _NAMES.items()
        if any(cell in names for cell in plain)
    }


def _read_table(path: Path, note: Note) -> dict[str, Files]:
    rows = _rows(path, read_file(path, _HINT).text)
    if not rows:
        raise DataError(f"{path}: the file is empty.", _HINT)
    columns = _columns(rows)
    if "path" in columns and "label" in columns:
        rows = rows[1:]
        if not rows:
            raise DataError(f"{path}: the file lists no images.", _HINT)
    elif len(rows[0][1]) == 2 and (path.parent / rows[0][1][0]).is_file():
        columns = {"path": 0, "label": 1}
        note(f"{path}: read without a header: a path and a label per line.")
    else:
        raise DataError(f"{path}:1: expected a header, got {','.join(rows[0][1])!r}.", _HINT)
    parts: dict[str, Files] = {}
    known: dict[str, tuple[str, int]] = {}
    for line, row in rows:
        name, label, part = (
            row[columns[key]] if key in columns and columns[key] < len(row) else ""
            for key in ("path", "label", "part")
        )
        if not name or not label:
            raise DataError(
                f"{path}:{line}: expected a path and a label, got {name!r} and {label!r}.",
                "Correct or delete the line.",
            )
        label = unicodedata.normalize("NFC", label)
        if not label.isprintable():
            raise DataError(f"{path}:{line}: the label {label!r} cannot be printed.", "Correct it.")
        other, first = known.setdefault(name, (label, line))
        if other != label:
            raise DataError(
                f"{path}:{line}: {name} has the label {label!r}, and {other!r} in line {first}.",
                "Keep one of the lines.",
            )
        if first == line:
            parts.setdefault(_part(path, line, part), []).append((path.parent / name, label))
    repeated = len(rows) - len(known)
    if repeated:
        note(f"{path}: {repeated:,} repeated lines are read once.")
    _check_files(path, parts)
    return parts


def _part(path: Path, line: int, name: str) -> str:
    part = part_of(name) if name else "train"
    if part is None:
        raise DataError(
            f"{path}:{line}: {name!r} is not a part of the data.", "Type train, valid or test."
        )
    return part


def _check_files(path: Path, parts: Mapping[str, Files]) -> None:
    files = [file for examples in parts.values() for file, _ in examples]
    missing = [file for file in files if not file.is_file()]
    if missing:
        names = ", ".join(map(str, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
        raise DataError(
            f"{path}: {len(missing):,} of {len(files):,} files do not exist: {names}.",
            f"Paths start from {path.parent}. Correct or delete the lines.",
        )
    if "train" not in parts:
        raise DataError(f"{path}: no line is for training.", _HINT)
