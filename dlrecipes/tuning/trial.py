"""One trial of a search: a recipe trained and evaluated in its own process.

Whatever ends that process, such as a lack of memory, ends one trial only. A trial is an ordinary
`dlrecipes run` without figures and publishing, and without evaluating the test data.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes._utils import processes
from dlrecipes._utils.files import atomic_write
from dlrecipes._utils.processes import exit_with_parent
from dlrecipes.errors import RecipeError, UsageError, reason
from dlrecipes.recipe.options import spelled

if TYPE_CHECKING:
    import keras

    from dlrecipes.recipe import Recipe, Splits

LOG_FILE, REPORT_FILE = "log.txt", "trial.json"
# Metrics of a network's cost, the first of which the report prefers.
COSTS = ("macs", "parameters")


class TrialFailed(RecipeError):  # noqa: N818
    """A trial without a result; the message says why."""


class OverLimit(TrialFailed):
    """A trial that was not trained, because its network exceeds a limit."""


class UnknownMetric(UsageError):  # noqa: N818
    """The objective, or a limited value, is not one of the recipe."""


class OutOfTime(RecipeError):  # noqa: N818
    """The search reached its time limit during the trial."""


def run(
    recipe: str,
    settings: Mapping[str, Any],
    folder: Path,
    objective: tuple[str, str],
    threads: int | None = None,
    deadline: float | None = None,
    limits: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Runs or resumes a trial.

    Args:
        recipe: The recipe's name or folder.
        settings: All its settings.
        folder: The trial's folder, created if needed.
        objective: Name of the optimized value, and `"min"` or `"max"`.
        threads: TensorFlow's threads; `None` for all cores. Defaults to `None`.
        deadline: Time limit, by `time.monotonic`; finished epochs are kept. Defaults to `None`.
        limits: Largest `macs` and `parameters`, by name. Defaults to none.

    Returns:
        The objective as `score`; `parameters`, `epochs` and `seconds`; and `macs`, if the recipe
        reports it.

    Raises:
        TrialFailed: If the trial has no score.
        OverLimit: If its network exceeds a limit, before it is trained.
        UnknownMetric: If no value has the name of the objective or a limit.
        OutOfTime: If the trial reached its time limit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / REPORT_FILE
    if "score" in (done := processes.read_report(path)):
        return done
    path.unlink(missing_ok=True)
    task = {
        "recipe": recipe,
        "settings": dict(settings),
        "folder": str(folder),
        "objective": list(objective),
        "threads": threads,
        "limits": dict(limits or {}),
    }
    with (folder / LOG_FILE).open("ab") as log:
        child = processes.spawn("tuning.trial", task, stdout=log, stderr=log)
        try:
            while child.poll() is None:
                if deadline is not None and time.monotonic() > deadline:
                    raise OutOfTime(f"{folder}: time limit reached; finished epochs are kept.")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.5)
        finally:
            # Checkpoints are written atomically: killing the child loses none.
            child.kill()
            child.communicate()
    found = processes.read_report(path)
    if "score" in found:
        return found
    if found.get("unknown"):
        raise UnknownMetric(found["error"])
    if found.get("over_limit"):
        raise OverLimit(found["error"])
    why = found.get("error") or f"its process ended with code {child.returncode}"
    # With several workers only the report says why.
    atomic_write(path, json.dumps({"error": why}))
    raise TrialFailed(f"{why}{'' if why.endswith('.') else '.'}", f"See {folder / LOG_FILE}.")


def main() -> None:
    """Runs the task given as JSON in `argv[1]`."""
    task = json.loads(sys.argv[1])
    exit_with_parent()
    report = Path(task["folder"]) / REPORT_FILE
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    try:
        found: dict[str, Any] = _trained(task)
    except UnknownMetric as error:
        found = {"error": str(error), "unknown": True}
    except OverLimit as error:
        found = {"error": str(error), "over_limit": True}
    except RecipeError as error:
        found = {"error": str(error)}
    except Exception as error:
        if os.environ.get("DLRECIPES_TRACEBACK"):
            raise
        found = {"error": f"{type(error).__name__}: {reason(error)}"}
    atomic_write(report, json.dumps(found))
    sys.stdout.flush()


def _trained(task: Mapping[str, Any]) -> dict[str, float]:
    import tensorflow as tf

    from dlrecipes import runner
    from dlrecipes.recipe import registry

    if task["threads"]:
        tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(task["threads"])
    source = registry.find(task["recipe"])
    recipe = source.make(source.config().parse(task["settings"]))
    folder = Path(task["folder"])
    check = functools.partial(_check_limits, recipe, task["limits"])
    _, _, checkpoints, metrics = runner.train(recipe, folder, parts=("validation",), check=check)
    name, direction = task["objective"]
    score = _score(name, direction, checkpoints.history, metrics["validation"])
    if not math.isfinite(score):
        raise TrialFailed(f"{name} is {score}.")
    return {
        "score": score,
        **{name: metrics[name] for name in COSTS if name in metrics},
        "epochs": metrics["epochs"],
        "seconds": metrics["seconds"]["train"],
    }


def _check_limits(
    recipe: Recipe, limits: Mapping[str, float], model: keras.Model, splits: Splits
) -> None:
    """Refuses a network that exceeds a limit."""
    if not limits:
        return
    costs = {"parameters": model.count_params()}
    if limits.keys() - costs.keys():
        costs |= recipe.describe(model, splits)
    for name, limit in limits.items():
        if name not in costs:
            problem = f"--max-{name}: {recipe.name} does not report {name}; use --max-parameters."
            raise UnknownMetric(problem)
        if costs[name] > limit:
            raise OverLimit(f"{costs[name]:,} {name} exceed --max-{name} {spelled(limit)}.")


def _score(
    name: str, direction: str, history: list[dict[str, float]], metrics: Mapping[str, Any]
) -> float:
    """Returns a metric of the validation data (`group.name` in a group), or a logged value.

    The recipe's metrics come first: the logs have the same names for the training data. A logged
    value is the best of all epochs.
    """
    found: Any = metrics
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if not isinstance(found, int | float) and name in history[0]:
        found = {"min": min, "max": max}[direction](logs[name] for logs in history)
    if not isinstance(found, int | float):
        own = [key for key, one in metrics.items() if not isinstance(one, dict)]
        known = dict.fromkeys([*own, *history[0]])
        raise UnknownMetric(f"--objective {name}: unknown; expected one of {', '.join(known)}.")
    return float(found)
