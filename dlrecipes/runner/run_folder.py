"""Folders of runs: created for new runs, found for unfinished ones."""

from __future__ import annotations

import json
import time
from pathlib import Path

from dlrecipes.errors import UsageError
from dlrecipes.export.version import CONFIG_FILE, METRICS_FILE
from dlrecipes.recipe import RecipeConfig


def new_folder(runs: Path, name: str | None) -> Path:
    """Creates the folder of a new run; two runs at the same time never share one.

    Args:
        runs: The recipe's folder of runs.
        name: Name of the run; `None` names it after the time.

    Raises:
        UsageError: If there is a run of that name.
    """
    check_new(runs, name)
    runs.mkdir(parents=True, exist_ok=True)
    stem = name or time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1, 1000):
        folder = runs / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            check_new(runs, name)
        else:
            return folder
    raise UsageError(f"{runs}: too many runs named {stem}.")


def check_new(runs: Path, name: str | None) -> None:
    """Checks the name of a new run; creates nothing.

    Raises:
        UsageError: If the name cannot be a folder's, or a run of that name exists.
    """
    _check_name(name)
    if name is not None and (runs / name).exists():
        raise UsageError(
            f"{runs / name}: there is a run of that name.",
            "Choose another --name, or continue it with --resume.",
        )


def unfinished_folder(runs: Path, name: str | None, finished: bool = False) -> Path:
    """Returns the run to resume, by its name or as the latest unfinished one.

    Args:
        runs: The recipe's folder of runs.
        name: Name of the run; `None` for the latest.
        finished: Whether a finished run will do if there is no unfinished one. Defaults to
            `False`.

    Raises:
        UsageError: If there is none.
    """
    _check_name(name)
    if name is not None:
        if not (runs / name / CONFIG_FILE).is_file():
            raise UsageError(f"{runs / name}: there is no run to resume.")
        folders = [runs / name]
    else:
        folders = [p.parent for p in runs.glob(f"*/{CONFIG_FILE}")]
    open_ones = [folder for folder in folders if not is_finished(folder)]
    if finished and not open_ones:
        open_ones = folders
    if not open_ones:
        what = f"{runs / name} is finished" if name else f"no run in {runs} is unfinished"
        raise UsageError(f"There is nothing to resume: {what}.", "Leave --resume out.")
    return max(open_ones, key=lambda folder: (folder / CONFIG_FILE).stat().st_mtime_ns)


def same_run(runs: Path, name: str, settings: RecipeConfig) -> Path | None:
    """Returns the run of a name if there is one, which the same command resumes.

    Raises:
        UsageError: If it was trained with other settings.
    """
    _check_name(name)
    folder = runs / name
    if not folder.exists():
        return None
    stored = folder / CONFIG_FILE
    if _checkpoints(folder) and stored.is_file() and stored.read_text() != settings.to_yaml():
        raise UsageError(
            f"{folder}: there is a run of that name, with other settings.",
            "Choose another --name, or continue it with --resume.",
        )
    return folder


def is_trained(folder: Path) -> bool:
    """Returns whether a run has trained to its end; it may not have published yet."""
    found = _checkpoints(folder)
    if not found:
        return False
    try:
        state = json.loads((found[-1] / "state.json").read_text())
        epochs = RecipeConfig.from_yaml(folder / CONFIG_FILE)["epochs"]
        return bool(state["stopped"]) or len(state["history"]) >= epochs
    except (OSError, ValueError, KeyError, UsageError):
        return False


def has_checkpoints(folder: Path) -> bool:
    """Returns whether a run has finished an epoch, so that it can be resumed."""
    return bool(_checkpoints(folder))


def _checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").glob("epoch-*"), key=lambda path: int(path.name[6:]))


def last_checkpoint(folder: Path) -> Path | None:
    """Returns the latest checkpoint of a run, `None` if it has none."""
    found = _checkpoints(folder)
    return found[-1] if found else None


def is_finished(folder: Path) -> bool:
    """Returns whether a run has published its model."""
    path = folder / METRICS_FILE
    try:
        return path.is_file() and "published" in json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False


def _check_name(name: str | None) -> None:
    if name is not None and (not name.strip() or Path(name).name != name or name.startswith(".")):
        raise UsageError(f"--name {name!r}: expected the name of a folder, without slashes.")
