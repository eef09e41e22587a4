"""Checks of published versions in a child process, which a damaged file may end.

A LiteRT file or SavedModel with invalid contents can crash the library that reads it. The other
versions are then checked by another process. This module does not load TensorFlow.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from dlrecipes._utils import processes
from dlrecipes._utils.terminal import escape_control_characters
from dlrecipes.errors import RecipeError, UsageError, reason
from dlrecipes.export.checksums import CHECKSUMS_FILE
from dlrecipes.export.version import EXTRAS
from dlrecipes.export.version_folders import version_folders


@dataclass
class Result:
    """The result of checking a version.

    Args:
        folder: Folder of the version.
        lines: A line for each check that passed. Defaults to none.
        error: The check that failed, in one line, or empty. Defaults to empty.
    """

    folder: Path
    lines: list[str] = field(default_factory=list)
    error: str = ""


def versions_in(path: Path) -> list[Path]:
    """Returns the versions that a path names: the path itself, or all versions of a model.

    Args:
        path: Folder of a version or of a model.

    Returns:
        Folders of versions, oldest first.

    Raises:
        UsageError: If there are no versions at the path.
    """
    if not path.is_dir():
        problem = "this is not a folder" if path.exists() else "there is no such folder"
        raise UsageError(f"{path}: {problem}.", "Name the folder of a version or of a model.")
    # A version that has lost its SavedModel is still recognized.
    if (path / "saved_model.pb").exists() or (path / EXTRAS / CHECKSUMS_FILE).exists():
        return [path]
    folders = list(version_folders(path).values())
    if not folders:
        raise UsageError(
            f"{path}: there are no versions in this folder.",
            "Name the folder of a version or of a model.",
        )
    return folders


def check_versions(folders: Sequence[Path]) -> Iterator[Result]:
    """Checks versions one after the other; a version that fails does not end the others' checks.

    Args:
        folders: Folders of versions.

    Yields:
        The result of each version, in order.

    Raises:
        ModuleNotFoundError: If TensorFlow is not installed.
    """
    # Its absence would look like a damaged file.
    if importlib.util.find_spec("tensorflow") is None:
        raise ModuleNotFoundError("TensorFlow checks the versions.", name="tensorflow")
    remaining = list(folders)
    while remaining:
        result = Result(remaining[0])
        with _child(remaining) as child:
            assert child.stdout is not None
            for line in child.stdout:
                event = json.loads(line)
                if "line" in event:
                    result.lines.append(event["line"])
                    continue
                result.error = event["error"]
                yield result
                remaining.pop(0)
                result = Result(remaining[0] if remaining else Path())
            code = child.wait()
        if remaining:
            result.error = f"{result.folder}: {_crash(code, result.lines)}"
            yield result
            remaining.pop(0)


def _child(folders: Sequence[Path]) -> subprocess.Popen[str]:
    errors = None if os.environ.get("DLRECIPES_TRACEBACK") else subprocess.DEVNULL
    return processes.spawn(
        "export.version_checks",
        {"folders": [str(folder) for folder in folders]},
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        encoding="utf-8",
        # The checks need no GPU, and another process may use all of its memory.
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )


def _crash(code: int, lines: Sequence[str]) -> str:
    ending = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    after = f" after the check of {lines[-1].partition(':')[0]}" if lines else ""
    return f"a file of this version crashes its library ({ending}){after}."


def main() -> None:
    """Runs in the child process: checks the versions and writes events as JSON lines."""
    # Libraries print to standard output as well; the events have a channel of their own.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    processes.exit_with_parent()
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow(only=True)
    for name in json.loads(sys.argv[1])["folders"]:
        _send(events, error=_check(Path(name), events))


def _check(folder: Path, events: IO[str]) -> str:
    from dlrecipes.export import verification

    try:
        for line in verification.check(folder):
            _send(events, line=line)
    except RecipeError as error:
        return str(error)
    except Exception as error:
        return f"{folder}: the check failed: {type(error).__name__}: {reason(error)}"
    return ""


def _send(events: IO[str], **event: str) -> None:
    # Names of files and signatures may contain line breaks.
    texts = {key: escape_control_characters(text) for key, text in event.items()}
    events.write(json.dumps(texts) + "\n")
    events.flush()
