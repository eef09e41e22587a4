"""The list of a version's files with their checksums, and the check against it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlrecipes._utils.wording import counted
from dlrecipes.errors import PublishError, reason
from dlrecipes.export.version import EXTRAS, KERAS_FILE, LITERT_FILE

CHECKSUMS_FILE, EXAMPLES_FILE = "checksums.json", "examples.json"
# Any of these files shows that a version was published by dlrecipes, and therefore with checksums.
OWN_FILES = (f"{EXTRAS}/{EXAMPLES_FILE}", KERAS_FILE, LITERT_FILE)
# Names listed by an error, of the files that are in a version but not in its list.
NAMED = 3


def write(folder: Path) -> None:
    """Writes the checksums of all files of a version to the version."""
    sums = {name: _sum(folder / name) for name in _files(folder)}
    (folder / EXTRAS / CHECKSUMS_FILE).write_text(json.dumps(sums, indent=1), encoding="utf-8")


def stored(folder: Path) -> bool:
    """Returns whether a version has a list of checksums, or must have had one."""
    names = (f"{EXTRAS}/{CHECKSUMS_FILE}", *OWN_FILES)
    return any((folder / name).exists() for name in names)


def check(folder: Path) -> str:
    """Compares the files of a version with its list, which must be complete.

    Args:
        folder: Folder of the version.

    Returns:
        A line that says what was checked.

    Raises:
        PublishError: If a file is missing, changed, not in the list or not a regular file, or if
            a version of dlrecipes has no list.
    """
    names = list(_files(folder))
    path = folder / EXTRAS / CHECKSUMS_FILE
    if not path.is_file():
        if stored(folder):
            raise PublishError(
                f"{folder}: {EXTRAS}/{CHECKSUMS_FILE} is missing, so its files cannot be checked.",
                "Publish the version again, or delete it.",
            )
        return "checksums: none were stored"
    expected = _read(path)
    problems = list(_problems(folder, names, expected))
    if problems:
        raise PublishError(f"{folder}: {'; '.join(problems)}.")
    files = counted(len(expected), "file is", "files are")
    return f"checksums: {files} unchanged, and there are no others"


def _problems(folder: Path, names: list[str], expected: dict[str, str]) -> Iterator[str]:
    """Yields which files are missing, were changed and were added."""
    missing = sorted(set(expected) - set(names))
    if missing:
        yield f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    kept = sorted(set(expected) & set(names))
    changed = [name for name in kept if _sum(folder / name) != expected[name]]
    if changed:
        verb, subject = ("was", "it was") if len(changed) == 1 else ("were", "they were")
        yield f"{', '.join(changed)} {verb} changed after {subject} published"
    added = [name for name in names if name not in expected]
    if added:
        more = f" and {len(added) - NAMED} more" if len(added) > NAMED else ""
        yield f"{', '.join(added[:NAMED])}{more}: added after the version was published"


def check_file(folder: Path, name: str) -> str:
    """Returns the checksum of one file of a version after comparing it with the version's list.

    Args:
        folder: Folder of the version.
        name: Path of the file within the folder.

    Returns:
        The SHA-256 of the file, in hexadecimal digits.

    Raises:
        PublishError: If the file is missing, changed or not in the list, or if there is no list.
    """
    path = folder / EXTRAS / CHECKSUMS_FILE
    if not (folder / name).is_file():
        raise PublishError(f"{folder}: this version has no {name}.")
    if not path.is_file():
        raise PublishError(
            f"{folder}: {EXTRAS}/{CHECKSUMS_FILE} is missing, so its files cannot be checked."
        )
    found = _sum(folder / name)
    if _read(path).get(name) != found:
        raise PublishError(f"{folder}: {name} was changed after it was published.")
    return found


def _read(path: Path) -> dict[str, str]:
    sums = read_json(path)
    if not isinstance(sums, dict) or not sums:
        raise PublishError(f"{path}: expected checksums by file name.")
    return sums


def read_json(path: Path) -> Any:
    """Returns the contents of a JSON file.

    Args:
        path: JSON file of a version, which may be damaged.

    Raises:
        PublishError: If it cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PublishError(f"{path}: {reason(error)}.") from error
    # Deeply nested lists raise a RecursionError.
    except (ValueError, RecursionError):
        raise PublishError(f"{path}: this is not JSON.") from None


def _files(folder: Path) -> Iterator[str]:
    """Yields the relative paths of a version's files, without the list of checksums itself."""
    for path in sorted(_walk(folder)):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink():
            continue
        # A pipe would block its reader, and a link to a folder can hide any number of files.
        if not path.is_file():
            raise PublishError(f"{folder}: {name} is not a regular file.")
        if name != f"{EXTRAS}/{CHECKSUMS_FILE}":
            yield name


def _walk(folder: Path) -> Iterator[Path]:
    # Unlike `rglob`, which leaves out a folder that cannot be read.
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise PublishError(f"{folder}: {reason(error)}.") from error
    for path in entries:
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _sum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PublishError(f"{path}: {reason(error)}.") from error
