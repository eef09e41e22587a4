"""Notes on SavedModels that are not served because of the folder that they are in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dlrecipes.export.version_folders import version_folders

SAVED_MODEL = "saved_model.pb"


def layout_notes(models: Path) -> list[str]:
    """Returns a note for each SavedModel that is not at `NAME/NUMBER/`, up to two levels deeper.

    Args:
        models: Folder of models.
    """
    if (models / SAVED_MODEL).is_file():
        return [_misplaced_root(models)]
    notes = []
    for folder in _folders(models):
        numbers = list(version_folders(folder))
        if (folder / SAVED_MODEL).is_file():
            number = max(numbers, default=0) + 1
            notes.append(
                f"{folder} is not served: it has no version folder. Move its files to "
                f"{folder / str(number)}."
            )
            continue
        for inner in _folders(folder):
            if (inner / SAVED_MODEL).is_file():
                notes += _named_version(inner, numbers)
            else:
                notes += [
                    f"{deeper} is not served: it is too deep. Move its files to "
                    f"{models / inner.name / '1'}, or give --models {folder}."
                    for deeper in _folders(inner)
                    if (deeper / SAVED_MODEL).is_file()
                ]
    return notes


def _misplaced_root(models: Path) -> str:
    """Returns the note for a folder of models that is a SavedModel itself."""
    whole = models.resolve()
    if whole.name.isascii() and whole.name.isdigit():
        return (
            f"{models} is not served: it is one version of one model. Give the folder of models: "
            f"--models {whole.parent.parent}."
        )
    return (
        f"{models} is not served: it is one SavedModel. Move its files to {whole / 'NAME' / '1'}, "
        "with a name of your choice."
    )


def _named_version(folder: Path, numbers: list[int]) -> list[str]:
    """Returns a note if the name of a version folder is not a number, and adds one to `numbers`."""
    name = folder.name
    if name.isascii() and name.isdigit():
        return []
    digits = re.findall(r"\d+", name)
    number = int(digits[-1][:9]) if digits else 0
    if not number or number in numbers:
        number = max(numbers, default=0) + 1
    numbers.append(number)
    return [
        f"{folder} is not served: the name of a version folder is a number. Rename it to "
        f"{folder.with_name(str(number))}."
    ]


def _folders(folder: Path) -> Iterator[Path]:
    """Yields the folders in a folder that are not hidden, by name; none if it cannot be read."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return
    yield from (path for path in paths if not path.name.startswith(".") and path.is_dir())
