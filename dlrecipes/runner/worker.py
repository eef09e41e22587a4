"""Process of one worker of a multi-worker training; `supervisor` starts it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from dlrecipes._utils.files import atomic_write
from dlrecipes._utils.processes import exit_with_parent
from dlrecipes._utils.terminal import escape_unprintable
from dlrecipes.errors import DataError, RecipeError, UsageError
from dlrecipes.recipe import Recipe, Splits, registry
from dlrecipes.recipe.versions import split_checksum
from dlrecipes.runner.supervisor import LOST

# Settings that may differ between workers: locations. The chief alone reads `start`.
OWN = ("data", "data_dir", "start")


def main() -> None:
    """Runs the task given as JSON in `argv[1]`; exits with `supervisor.LOST` if interrupted."""
    task = json.loads(sys.argv[1])
    exit_with_parent()
    escape_unprintable()
    report = Path(task["report"])

    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes import distribute

    written: dict[str, Any] = {}

    def write(**more: Any) -> None:
        written.update(more)
        atomic_write(report, json.dumps(written))

    code = 1
    try:
        _train(task, write)
        code = 0
    except RecipeError as error:
        write(error=error.message, hint=error.hint, kind=type(error).__name__)
    except OSError as error:
        what = f"{error.filename or task['folder']}: {error.strerror or error}."
        write(
            error=what,
            hint="Finished epochs are kept: the same command resumes.",
            kind="RecipeError",
        )
    except Exception as error:
        first = _cause(error)
        if distribute.is_worker_failure(error):
            write(lost=first)
            code = LOST
        elif os.environ.get("DLRECIPES_TRACEBACK"):
            raise
        else:
            write(
                error=f"this is a fault of dlrecipes: {type(error).__name__}: {first}",
                hint="DLRECIPES_TRACEBACK=1 shows where.",
                kind="RecipeError",
            )
    sys.stdout.flush()
    if code:
        # TensorFlow's shutdown would wait for the lost worker.
        os._exit(code)


def _train(task: dict[str, Any], write: Any) -> None:
    from dlrecipes import distribute
    from dlrecipes.runner.fitting import fit_on_all

    folder = Path(task["folder"])
    strategy = distribute.strategy("multi_worker")
    text = distribute.broadcast_from_chief(strategy, json.dumps(task["settings"]).encode()).decode()
    write(joined=True)
    if not distribute.is_chief(strategy):
        # Old checkpoints of this worker may differ from the chief's.
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    recipe, splits = _prepared(task, json.loads(text), strategy)
    fit_on_all(recipe, splits, folder, strategy)


def _prepared(task: dict[str, Any], chief: dict[str, Any], strategy: Any) -> tuple[Recipe, Splits]:
    """Returns the recipe and its data, or stops all workers if one has no data."""
    from dlrecipes import distribute, runner

    sizes, wrong = None, None
    try:
        source = registry.find(task["recipe"])
        config = source.config().parse(_agreed(task["settings"], chief), task["recipe"])
        recipe = source.make(config)
        runner.make_deterministic(config.seed)
        splits = recipe.load_data()
        sizes = [len(splits.train), len(splits.validation)]
        if distribute.is_chief(strategy):
            runner.begin(recipe, splits, Path(task["folder"]))
    except RecipeError as error:
        wrong = error
    theirs = json.loads(distribute.broadcast_from_chief(strategy, json.dumps(sizes).encode()))
    if sizes and theirs and sizes != theirs:
        wrong = DataError(
            f"{config.data}: {sizes[0]} and {sizes[1]} examples for training and validation; "
            f"the chief has {theirs[0]} and {theirs[1]}.",
            "All workers need the same data.",
        )
    if not distribute.all_true(strategy, wrong is None):
        raise wrong or RecipeError("Another worker cannot start.", "Its output says why.")
    return recipe, splits


def _agreed(own: dict[str, Any] | None, chief: dict[str, Any]) -> dict[str, Any]:
    if own is None:
        return chief
    other = [
        name
        for name in chief
        if _content(own.get(name)) != _content(chief[name]) and name not in OWN
    ]
    if other:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in other)
        raise UsageError(
            f"This worker's settings are not the chief's: {options}.",
            "Start all workers with the same command.",
        )
    return own


def _content(value: Any) -> Any:
    """Returns the checksum of a published version, whose path may differ; else the value."""
    return (isinstance(value, str) and split_checksum(value)[1]) or value


def _cause(error: Exception) -> str:
    """Returns the line of an error message that names the cause, not the graph node."""
    lines = [re.sub(r"^\{\{.*?\}\}", "", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith(("[[", "Detected at", "File"))]
    causes = [line for line in lines if "aborted by" in line]
    return (causes or lines[1:] or lines or [type(error).__name__])[0][:200]
