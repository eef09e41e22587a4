"""The files of a version on disk: which of them may be opened, and whether they changed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlrecipes.export.version import EXTRAS

SAVED_MODEL_FILE = "saved_model.pb"
# Protocol buffers are smaller than 2 GiB.
LARGEST_MESSAGE = 2**31 - 1
# The folders that are read together with the files at the top.
FOLDERS = ("variables", "assets", EXTRAS)
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def check_files(folder: Path) -> None:
    """Refuses a version with files that are not regular, which could block whoever opens them.

    Args:
        folder: Folder of the version.

    Raises:
        ValueError: If `saved_model.pb` is missing or too large, or the name of a file belongs to a
            named pipe, a socket or a device, or to a link to one.
    """
    files = dict(_files(folder))
    if SAVED_MODEL_FILE not in files:
        kind = "a folder, not a file" if (folder / SAVED_MODEL_FILE).is_dir() else "missing"
        raise ValueError(f"{SAVED_MODEL_FILE} is {kind}")
    if files[SAVED_MODEL_FILE].st_size > LARGEST_MESSAGE:
        raise ValueError(f"{SAVED_MODEL_FILE} is larger than 2 GiB, the limit of its format")
    for name, status in sorted(files.items()):
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "a special file")
            raise ValueError(f"{name} is {kind}, not a regular file")


def stamp(folder: Path) -> tuple[Any, ...]:
    """Returns names, times and sizes of a version's files; they change while it is copied.

    Args:
        folder: Folder of the version.
    """
    return tuple(sorted((name, status.st_mtime, status.st_size) for name, status in _files(folder)))


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yields the files that are read for a version, by name within its folder."""
    visited: set[tuple[int, int]] = set()
    for top in ("", *FOLDERS):
        for path, folders, names in os.walk(folder / top, followlinks=True):
            if not top:
                folders.clear()
            with contextlib.suppress(OSError):
                status = Path(path).stat()
                # A link can lead to a folder that contains it.
                if (identity := (status.st_dev, status.st_ino)) in visited:
                    folders.clear()
                    continue
                visited.add(identity)
            for name in names:
                with contextlib.suppress(OSError):
                    file = Path(path, name)
                    yield file.relative_to(folder).as_posix(), file.stat()
