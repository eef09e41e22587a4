"""Atomic writes, flushing to disk, and locks on folders."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path


def atomic_write(path: Path, content: str | bytes) -> None:
    """Writes a file atomically: readers see the old content or the new one, even after a crash.

    Args:
        path: File to write.
        content: New content; text is encoded as UTF-8.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_new(path: Path, content: str | bytes) -> Path:
    """Writes a file under a name that no file has yet, and returns its path.

    Args:
        path: File to write. If it exists, `-2`, `-3` and so on follow its stem.
        content: Content; text is encoded as UTF-8.
    """
    for number in itertools.count(1):
        target = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            # Another process does not take the name.
            target.open("xb").close()
        except FileExistsError:
            continue
        try:
            atomic_write(target, content)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target
    raise AssertionError("unreachable")


def fsync_tree(folder: Path) -> None:
    """Flushes a folder and its contents to disk, so that they survive a power failure."""
    for path in [*folder.rglob("*"), folder]:
        if os.name == "nt" and path.is_dir():
            continue  # Windows opens no folders.
        descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def missing_folders(folder: Path) -> list[Path]:
    """Returns the folder and those of its parents that do not exist, innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def remove_folder(folder: Path, parents: Sequence[Path] = ()) -> None:
    """Deletes a folder with its contents, and each of its parents that is then empty.

    Args:
        folder: Folder to delete, if it exists.
        parents: Parents that were made for it, innermost first. Defaults to none.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # Not empty.
        for parent in parents:
            parent.rmdir()


@contextlib.contextmanager
def try_lock(folder: Path) -> Iterator[bool]:
    """Yields whether this process holds the folder's lock, which ends with the process."""
    # Not at the top: devices that only predict lock nothing, and do not have it.
    import filelock

    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
