"""The next version of a model: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from dlrecipes.errors import PublishError
from dlrecipes.export.version_folders import LARGEST_VERSION, versions


@contextlib.contextmanager
def work_folder(directory: Path) -> Iterator[Path]:
    """Yields a new folder to write a version to, and deletes it unless it was renamed.

    Args:
        directory: Folder of the model. It is made if it is missing, and deleted if it is empty
            afterwards.
    """
    work = directory / f".publishing-{uuid.uuid4().hex}"
    try:
        _delete_old_work(directory)
        work.mkdir(parents=True)
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        with contextlib.suppress(OSError):
            directory.rmdir()  # Fails unless the folder is empty.


def _delete_old_work(directory: Path) -> None:
    # Deletes the files of killed processes. Publishing takes less than a day.
    for old in directory.glob(".publishing-*"):
        with contextlib.suppress(OSError):  # Another process may delete the same folder.
            if time.time() - old.stat().st_mtime > 86_400:
                shutil.rmtree(old, ignore_errors=True)


def rename_to_version(work: Path, directory: Path) -> Path:
    """Renames a complete folder to the next version of a model, and returns the version's folder.

    Args:
        work: Folder from `work_folder`.
        directory: Folder of the model.

    Raises:
        PublishError: If there is no next version number.
    """
    while True:
        latest = max(versions(directory), default=0)
        if latest == LARGEST_VERSION:
            raise PublishError(
                f"{directory}: {latest} is the largest version number, so there is no next one.",
                f"Rename the folder {directory / str(latest)}.",
            )
        final = directory / str(latest + 1)
        try:
            work.rename(final)
        except OSError as error:
            # Another process used this number first: its folder is not empty.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return final


def link_files(source: Path, target: Path) -> None:
    """Makes the files of a version available in another folder: as hard links, else as copies.

    A linked file must be replaced, not written to: the version would change with it.

    Args:
        source: Folder of a version, with regular files only.
        target: Folder that exists.
    """
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir()
            continue
        try:
            os.link(path, copy)
        except OSError:  # Another disk, or a file system without links.
            shutil.copy2(path, copy)


def replace_file(path: Path, content: str | bytes) -> None:
    """Writes a file of a new version that may be a link to the same file of an older one."""
    path.unlink(missing_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
