"""Entries of folders that belong to the data: not hidden ones, system files or loops of links."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dlrecipes.data.image_decoding import SUFFIXES
from dlrecipes.errors import DataError, reason

# Entries that operating systems and archivers leave behind; hidden ones are skipped anyway.
_SYSTEM = {
    *("__macosx", "__pycache__", "@eadir", "$recycle.bin", "lost+found"),
    *("system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
}


class Listing(NamedTuple):
    """The entries of a folder that may belong to the data, in natural order of their names.

    Args:
        folders: Paths of the folders.
        files: Paths of the files.
    """

    folders: list[Path]
    files: list[Path]

    @property
    def images(self) -> list[Path]:
        """The image files that are read."""
        return [path for path in self.files if path.suffix.lower() in SUFFIXES]


def list_entries(folder: Path) -> Listing:
    """Returns a folder's entries without hidden ones, system files, and links that lead back up.

    Folders whose names begin with `_` are listed, as those of speech and few-shot data sets are.

    Args:
        folder: Folder to list.

    Raises:
        DataError: If the folder cannot be read, or an entry is a broken link, a pipe or device, or
            is not named in UTF-8.
    """
    folders: list[str] = []
    files: list[str] = []
    for name, is_folder in entries(folder):
        (folders if is_folder else files).append(name)
    return Listing(*([folder / name for name in sorted(x, key=natural)] for x in (folders, files)))


def entries(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yields the names of a folder's entries, and whether each is a folder (see `list_entries`)."""
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if is_system(entry.name):
                    continue
                is_folder = _is_folder(folder, entry)
                if not (is_folder and _is_loop(folder, entry)):
                    yield entry.name, is_folder
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read: {reason(error)}.") from None


def is_system(name: str) -> bool:
    """Returns whether an entry is hidden, or left behind by an operating system or archiver."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def _is_folder(folder: Path, entry: os.DirEntry) -> bool:
    if any("\ud800" <= letter <= "\udfff" for letter in entry.name):
        shown = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
        raise DataError(f"{folder}: the name {shown} is not UTF-8.", "Rename it.")
    try:
        is_folder, is_file = entry.is_dir(), entry.is_file()
    except OSError:
        # A link may lead to itself.
        is_folder = is_file = False
    if not is_folder and not is_file:
        if entry.is_symlink() and not Path(entry.path).exists():
            raise DataError(f"{entry.path}: this link leads nowhere.", "Remove it or mend it.")
        # Reading a pipe would wait forever.
        raise DataError(f"{entry.path}: this is neither a file nor a folder.", "Remove it.")
    return is_folder


def _is_loop(folder: Path, entry: os.DirEntry) -> bool:
    """Returns whether a folder is a link to the one that it is in, or to one above."""
    if not entry.is_symlink():
        return False
    target, resolved = Path(entry.path).resolve(), folder.resolve()
    return target == resolved or target in resolved.parents


def natural(name: str) -> list[tuple[int, int | str]]:
    """Returns a sort key that compares the numbers in names by value.

    Example:

    >>> from dlrecipes.data.folder_entries import natural
    >>> sorted(["10", "2", "b", "a10", "a9"], key=natural)
    ['2', '10', 'a9', 'a10', 'b']
    """
    # Only ASCII digits: `int` does not accept every Unicode digit.
    return [
        (0, int(part)) if re.fullmatch("[0-9]+", part) else (1, part.casefold())
        for part in re.split("([0-9]+)", name)
        if part
    ]
