"""The numbered folders of a model, each with one version."""

from __future__ import annotations

import contextlib
from pathlib import Path

LARGEST_VERSION = 2**63 - 1


def version_number(name: str) -> int | None:
    """Returns the number of the version that a folder's name denotes, or `None`.

    As in TensorFlow Serving, leading zeros are allowed, and a number fits into a signed integer of
    64 bits.

    Args:
        name: Name of the folder.
    """
    if not (name.isascii() and name.isdigit()):
        return None
    number = int(name)
    return number if number <= LARGEST_VERSION else None


def version_folders(directory: Path) -> dict[int, Path]:
    """Returns the folders of a model's versions by number, oldest first.

    The result is empty if the directory cannot be read. `00000123` is version 123, unless a folder
    `123` exists as well.

    Args:
        directory: Folder of the model.
    """
    numbered = [
        (number, -len(path.name), path)
        for path in subfolders(directory)
        if (number := version_number(path.name)) is not None
    ]
    return {number: path for number, _, path in sorted(numbered)}


def subfolders(directory: Path) -> list[Path]:
    """Returns the folders in a directory by name; none if the directory cannot be read.

    Args:
        directory: Directory to list.
    """
    folders = []
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            # A link to a place that cannot be read does not hide the other folders.
            with contextlib.suppress(OSError):
                if path.is_dir():
                    folders.append(path)
    return sorted(folders)


def versions(directory: Path) -> list[int]:
    """Returns the numbers of a model's versions, oldest first."""
    return list(version_folders(directory))
