"""Results of a search: a table of its trials, the best configuration, and figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlrecipes._utils.files import atomic_write
from dlrecipes._utils.processes import read_report
from dlrecipes.errors import UsageError
from dlrecipes.figures import BLUE, GREY, ORANGE, save
from dlrecipes.recipe.config import spelled
from dlrecipes.tuning.spec import SearchSpec, settings_of
from dlrecipes.tuning.trial import REPORT_FILE
from dlrecipes.tuning.tuner import TRIALS

TABLE_FILE, BEST_FILE = "trials.csv", "best.yaml"
LONGER = "  (with the {} epochs of a trial; --epochs for more)"
STATES = {"COMPLETED": "done", "FAILED": "failed", "INVALID": "failed", "RUNNING": "running"}


@dataclass(frozen=True)
class Row:
    """One trial.

    Args:
        name: Number of the trial, the name of its folder.
        state: `"done"`, `"failed"` or `"running"`.
        score: Objective of a finished trial, else `None`.
        values: Tuned settings by name.
        about: `parameters`, `epochs` and `seconds` of a finished trial.
        problem: Reason of a failure. Defaults to none.
    """

    name: str
    state: str
    score: float | None
    values: Mapping[str, Any]
    about: Mapping[str, float]
    problem: str = ""


def rows(spec: SearchSpec, oracle: Any, folder: Path) -> list[Row]:
    """Returns a search's trials in the order of their start."""
    trials = []
    for name, trial in sorted(oracle.trials.items(), key=lambda pair: int(pair[0])):
        try:
            settings = settings_of(spec, trial.hyperparameters.values)
        except UsageError:
            settings = dict(trial.hyperparameters.values)
        kept = read_report(folder / TRIALS / name / REPORT_FILE)
        trials.append(
            Row(
                name,
                STATES.get(trial.status, trial.status.lower()),
                trial.score if trial.status == "COMPLETED" else None,
                {key: settings[key] for key in spec.space if key in settings},
                {key: kept[key] for key in ("parameters", "epochs", "seconds") if key in kept},
                # keras-tuner's gRPC does not transmit a worker's error message.
                " ".join((trial.message or kept.get("error", "")).split()),
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
    about = ("parameters", "epochs", "seconds")
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


def _epochs(spec: SearchSpec) -> dict[str, int]:
    return {} if spec.max_epochs is None else {"epochs": spec.max_epochs}


def draw(spec: SearchSpec, trials: Sequence[Row], folder: Path) -> None:
    """Draws the objective by trial, and the trials as parallel coordinates."""
    done = [row for row in trials if row.score is not None]
    if not done:
        return
    folder.mkdir(exist_ok=True)
    for name, figure in (
        ("objective", by_trial(spec, trials)),
        ("parallel_coordinates", parallel(spec, done)),
    ):
        save(folder, name, figure)


def by_trial(spec: SearchSpec, trials: Sequence[Row]) -> Figure:
    """Draws the objective of each trial and the best value so far.

    Args:
        spec: Specification of the search.
        trials: The trials, of which at least one is finished.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    done = [(k, row.score) for k, row in enumerate(trials, start=1) if row.score is not None]
    numbers, scores = zip(*done, strict=True)
    better = np.minimum if spec.objective[1] == "min" else np.maximum
    axis.plot(numbers, scores, "o", color=BLUE, label="trial")
    axis.step(numbers, better.accumulate(scores), where="post", color=ORANGE, label="best so far")
    failed = [k for k, row in enumerate(trials, start=1) if row.state == "failed"]
    for k in failed:
        label = "failed" if k == failed[0] else None
        axis.axvline(k, color=GREY, linestyle=":", label=label)
    axis.set(xlabel="trial", ylabel=spec.objective[0], title=f"{spec.recipe}: {spec.tuner} search")
    locator: Any = axis.xaxis.get_major_locator()
    locator.set_params(integer=True)
    axis.legend(fontsize=8)
    return figure


def parallel(spec: SearchSpec, done: Sequence[Row]) -> Figure:
    """Draws each trial as a line through its settings, coloured by its objective.

    Args:
        spec: Specification of the search.
        done: Finished trials.
    """
    import matplotlib

    names = [name for name in spec.space if any(name in row.values for row in done)]
    figure = Figure(figsize=(1.6 * len(names) + 2.4, 4.2), layout="constrained")
    axis = figure.subplots()
    scores = np.array([row.score for row in done])
    sign = 1 if spec.objective[1] == "max" else -1
    order = np.argsort(sign * scores)
    ranks = np.empty(len(done))
    ranks[order] = np.linspace(0, 1, len(done)) if len(done) > 1 else [1.0]
    colours = matplotlib.colormaps["viridis"]
    places = [_places(spec, name, done) for name in names]
    for number in order:
        heights = [ticks[1][number] for ticks in places]
        axis.plot(range(len(names)), heights, "-o", ms=3, color=colours(ranks[number]), alpha=0.8)
    for column, (labels, _) in enumerate(places):
        axis.axvline(column, color=GREY, lw=0.8)
        for height, label in labels:
            axis.text(column + 0.04, height, label, fontsize=7, va="center")
    axis.set(xticks=range(len(names)), yticks=[], xlim=(-0.2, len(names) - 0.4))
    axis.set_xticklabels([name.replace("_", "\n") for name in names], fontsize=8)
    axis.spines[:].set_visible(False)
    first = done[order[-1]]
    axis.set_title(f"{len(done)} trials; the best has {spec.objective[0]} {first.score:.4g}")
    mapped = matplotlib.cm.ScalarMappable(cmap=colours)
    bar = figure.colorbar(mapped, ax=axis, ticks=[0, 1], fraction=0.05)
    bar.ax.set_yticklabels(["worst", "best"])
    return figure


def _places(
    spec: SearchSpec, name: str, done: Sequence[Row]
) -> tuple[list[tuple[float, str]], list[float]]:
    """Returns a setting's labels with their heights, 0 to 1, and the height of each trial."""
    search = spec.space[name]
    values = [row.values.get(name) for row in done]
    if search.choices:
        heights = np.linspace(0, 1, len(search.choices)) if len(search.choices) > 1 else [0.5]
        known = dict(zip(map(spelled, search.choices), heights, strict=True))
        return [(h, label) for label, h in known.items()], [known[spelled(v)] for v in values]
    scale: Callable[[Any], Any] = np.log if search.sampling == "log" else np.asarray
    low, high = scale(search.low), scale(search.high)
    heights = [float((scale(value) - low) / (high - low)) for value in values]
    return [(0.0, f"{search.low:g}"), (1.0, f"{search.high:g}")], heights


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
    counts = f"{sum(row.score is not None for row in trials)} trials finished"
    lines = [f"\n{spec.recipe}: {counts}, {len(failed)} failed."]
    lines += [f"  trial {row.name} failed: {row.problem}" for row in failed[:3]]
    if first is None:
        late = "" if spec.seconds is None else f" in {spec.seconds / 60:g} minutes"
        return "\n".join([*lines, f"  No trial has a result{late}; see {folder / TRIALS}."])
    lines += [f"\n  {spec.objective[0]:>12}  trial  settings"]
    for row in ranked(spec, trials)[:5]:
        chosen = " ".join(f"{key}={spelled(value)}" for key, value in row.values.items())
        lines.append(f"  {row.score:>12.5g}  {row.name:>5}  {chosen}")
    return "\n".join(
        [
            *lines,
            f"\n  table    {folder / TABLE_FILE}",
            f"  figures  {folder / 'figures'}",
            f"  best     {folder / BEST_FILE}",
            f"\nRun it:\n  dlrecipes run {typed} --config {folder / BEST_FILE}",
            *([] if spec.max_epochs is None else [LONGER.format(spec.max_epochs)]),
        ]
    )
