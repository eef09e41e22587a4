"""Notes on SavedModels that are not served because of the folder that they are in."""

from __future__ import annotations

import re
from pathlib import Path

from dlrecipes.export.version import version_folders

SAVED_MODEL = "saved_model.pb"


def layout_notes(models: Path) -> list[str]:
    """Returns a note for each SavedModel that is one folder too high, or not under a number.

    Args:
        models: Folder of models.
    """
    notes = []
    for folder in sorted(models.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        numbers = list(version_folders(folder))
        if (folder / SAVED_MODEL).is_file():
            number = max(numbers, default=0) + 1
            notes.append(
                f"{folder} is not served: it has no version folder. Move its files to "
                f"{folder / str(number)}."
            )
        notes += _named_versions(folder, numbers)
    return notes


def _named_versions(folder: Path, numbers: list[int]) -> list[str]:
    """Returns a note for each SavedModel in a folder whose name is not a number."""
    notes = []
    try:
        inner = sorted(path for path in folder.iterdir() if (path / SAVED_MODEL).is_file())
    except OSError:
        return []
    for path in inner:
        name = path.name
        if name.startswith(".") or (name.isascii() and name.isdigit()):
            continue
        digits = re.findall(r"\d+", name)
        number = int(digits[-1][:9]) if digits else 0
        if not number or number in numbers:
            number = max(numbers, default=0) + 1
        numbers.append(number)
        notes.append(
            f"{path} is not served: the name of a version folder is a number. Rename it to "
            f"{folder / str(number)}."
        )
    return notes
