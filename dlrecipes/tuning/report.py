"""Results of a search: a table of its trials, the best configuration, and figures."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlrecipes._utils.files import atomic_write
from dlrecipes._utils.processes import read_report
from dlrecipes.errors import UsageError
from dlrecipes.export.version import CONFIG_FILE
from dlrecipes.figures import save
from dlrecipes.recipe.options import spelled
from dlrecipes.tuning import figures, pareto
from dlrecipes.tuning.pareto import Row
from dlrecipes.tuning.spec import DEFAULTS, SearchSpec, effective, settings_of
from dlrecipes.tuning.trial import COSTS, REPORT_FILE
from dlrecipes.tuning.tuner import trial_folder

TABLE_FILE, BEST_FILE, FRONT_FILE = "trials.csv", "best.yaml", "pareto_front.csv"
ABOUT = (*COSTS, "epochs", "seconds")
LONGER = "  (--epochs {}, as in a trial; give more to train longer)"
STATES = {"COMPLETED": "done", "FAILED": "failed", "INVALID": "failed", "RUNNING": "running"}


def rows(spec: SearchSpec, oracle: Any, folder: Path) -> list[Row]:
    """Returns a search's trials in the order of their start."""
    trials = []
    for name, trial in sorted(oracle.trials.items(), key=lambda pair: int(pair[0])):
        values = trial.hyperparameters.values
        try:
            settings = effective(spec, settings_of(spec, values))
        except UsageError:
            settings = {key: values[key] for key in spec.space if key in values}
        kept = read_report(trial_folder(folder, name) / REPORT_FILE)
        state = STATES.get(trial.status, trial.status.lower())
        trials.append(
            Row(
                str(int(name)),
                "over limit" if kept.get("over_limit") else state,
                trial.score if trial.status == "COMPLETED" else None,
                settings,
                {key: kept[key] for key in ABOUT if key in kept},
                # keras-tuner's gRPC does not transmit a worker's error message.
                " ".join((trial.message or kept.get("error", "")).split()),
                DEFAULTS in values,
            )
        )
    return trials


def best(spec: SearchSpec, trials: Sequence[Row]) -> Row | None:
    """Returns the best trial, or `None` if none is finished."""
    return next(iter(ranked(spec, trials)), None)


def ranked(spec: SearchSpec, trials: Sequence[Row]) -> list[Row]:
    """Returns the finished trials, best first."""
    sign = 1 if spec.objective[1] == "min" else -1
    done = [(sign * row.score, row) for row in trials if row.score is not None]
    return [row for _, row in sorted(done, key=lambda pair: pair[0])]


def write(spec: SearchSpec, trials: Sequence[Row], folder: Path) -> None:
    """Writes `trials.csv` and, if a trial is finished, `best.yaml`."""
    text = io.StringIO()
    about = [key for key in ABOUT if key != "macs" or any("macs" in row.about for row in trials)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", spec.objective[0], *spec.space, *about, "problem"])
    for row in trials:
        score = "" if row.score is None else f"{row.score:.6g}"
        values = [spelled(row.values[key]) if key in row.values else "" for key in spec.space]
        more = [row.about.get(key, "") for key in about]
        writer.writerow([row.name, row.state, score, *values, *more, row.problem])
    atomic_write(folder / TABLE_FILE, text.getvalue())
    first = best(spec, trials)
    if first is not None:
        config = spec.config.parse({**spec.fixed, **first.values, **_epochs(spec)})
        atomic_write(folder / BEST_FILE, config.to_yaml())


def write_front(spec: SearchSpec, trials: Sequence[Row], folder: Path, typed: str) -> None:
    """Writes `pareto_front.csv`, if the finished trials differ in cost.

    Args:
        spec: Specification of the search.
        trials: Its trials.
        folder: The search's folder.
        typed: The recipe as the user typed it.
    """
    done = [row for row in trials if row.score is not None]
    if cost := pareto.cost_of(done):
        front = pareto.front(done, cost, spec.objective[1])
        commands = {row.name: command(row, folder, typed) for row in front}
        text = pareto.table(front, spec.objective[0], list(spec.space), commands)
        atomic_write(folder / FRONT_FILE, text)


def command(row: Row, folder: Path, typed: str) -> str:
    """Returns the command that runs a trial's configuration again, and publishes its model."""
    config = trial_folder(folder, row.name) / CONFIG_FILE
    return shlex.join(["dlrecipes", "run", typed, "--config", str(config)])


def _epochs(spec: SearchSpec) -> dict[str, int]:
    return {} if spec.max_epochs is None else {"epochs": spec.max_epochs}


def draw(spec: SearchSpec, trials: Sequence[Row], folder: Path) -> None:
    """Draws the search, its trials, and, if they differ in cost, the Pareto front."""
    done = [row for row in trials if row.score is not None]
    if not done:
        return
    folder.mkdir(exist_ok=True)
    save(folder, "objective", figures.by_trial(spec, trials))
    save(folder, "parallel_coordinates", figures.parallel(spec, done))
    if cost := pareto.cost_of(done):
        front = pareto.front(done, cost, spec.objective[1])
        save(folder, "pareto_front", figures.trade_off(spec, done, front, cost))


def summary(spec: SearchSpec, trials: Sequence[Row], folder: Path, typed: str) -> str:
    """Returns the closing message of a search.

    Args:
        spec: Specification of the search.
        trials: Its trials.
        folder: The search's folder.
        typed: The recipe as the user typed it.
    """
    first = best(spec, trials)
    failed = [row for row in trials if row.state == "failed"]
    over = sum(row.state == "over limit" for row in trials)
    counts = f"{sum(row.score is not None for row in trials)} trials finished"
    counts += f", {len(failed)} failed" + (f", {over} over the limit" if over else "")
    lines = [f"\n{spec.recipe}: {counts}."]
    lines += [f"  trial {row.name} failed: {row.problem}" for row in failed[:3]]
    if first is None:
        late = "" if spec.seconds is None else f" in {spec.seconds / 60:g} minutes"
        return "\n".join([*lines, f"  No trial has a result{late}; see {folder / TABLE_FILE}."])
    lines += [f"\n  {spec.objective[0]:>12}  trial  settings"]
    lines += [
        f"  {row.score:>12.5g}  {row.name:>5}  {_defaults(row)}{row.settings}"
        for row in ranked(spec, trials)[:5]
    ]
    run = shlex.join(["dlrecipes", "run", typed, "--config", str(folder / BEST_FILE)])
    return "\n".join(
        [
            *lines,
            *_front_lines(spec, trials, folder, typed),
            f"\n  table    {folder / TABLE_FILE}",
            f"  figures  {folder / 'figures'}",
            f"  best     {folder / BEST_FILE}",
            f"\nRun it:\n  {run}",
            *([] if spec.max_epochs is None else [LONGER.format(spec.max_epochs)]),
        ]
    )


def _front_lines(spec: SearchSpec, trials: Sequence[Row], folder: Path, typed: str) -> list[str]:
    """Returns the Pareto front with the commands that run its trials again."""
    done = [row for row in trials if row.score is not None]
    cost = pareto.cost_of(done)
    if cost is None:
        return []
    about = f"{spec.objective[0]} by {pareto.COST_NAMES[cost]}"
    lines = [f"\nPareto front, {about} ({folder / FRONT_FILE}):"]
    for row in pareto.front(done, cost, spec.objective[1]):
        point = f"{row.score:>12.5g}  {row.name:>5}  {pareto.short(row.about[cost]):>7}"
        lines.append(f"  {point}  {command(row, folder, typed)}")
    return lines


def _defaults(row: Row) -> str:
    return "(defaults) " if row.has_defaults else ""
