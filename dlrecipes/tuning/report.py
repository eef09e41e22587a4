"""What a search found: a table of its trials, the best configuration, and figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
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
LONGER = "  (for the {} epochs of a trial; more with --epochs)"
STATES = {"COMPLETED": "done", "FAILED": "failed", "INVALID": "failed", "RUNNING": "running"}


@dataclass(frozen=True)
class Row:
    """One trial.

    Args:
        name: Its number, as its folder is called.
        state: `"done"`, `"failed"` or `"running"`.
        score: The objective, where it is done.
        values: What was tried, by setting.
        about: `parameters`, `epochs` and `seconds`, where it is done.
        problem: Why it failed.
    """

    name: str
    state: str
    score: float | None
    values: Mapping[str, Any]
    about: Mapping[str, float]
    problem: str = ""


def rows(spec: SearchSpec, oracle: Any, folder: Path) -> list[Row]:
    """Returns a search's trials in the order in which they began."""
    found = []
    for name, one in sorted(oracle.trials.items(), key=lambda pair: int(pair[0])):
        try:
            settings = settings_of(spec, one.hyperparameters.values)
        except UsageError:
            settings = dict(one.hyperparameters.values)
        kept = read_report(folder / TRIALS / name / REPORT_FILE)
        found.append(
            Row(
                name,
                STATES.get(one.status, one.status.lower()),
                one.score if one.status == "COMPLETED" else None,
                {key: settings[key] for key in spec.space if key in settings},
                {key: kept[key] for key in ("parameters", "epochs", "seconds") if key in kept},
                # What a worker says of a trial that failed does not come over keras-tuner's gRPC.
                " ".join((one.message or kept.get("error", "")).split()),
            )
        )
    return found


def best(spec: SearchSpec, found: Sequence[Row]) -> Row | None:
    """Returns the best trial, or `None` where none is done."""
    return next(iter(ranked(spec, found)), None)


def ranked(spec: SearchSpec, found: Sequence[Row]) -> list[Row]:
    """Returns the trials that are done, the best first."""
    sign = 1 if spec.objective[1] == "min" else -1
    done = [row for row in found if row.score is not None]
    return sorted(done, key=lambda row: sign * row.score)


def write(spec: SearchSpec, found: Sequence[Row], folder: Path) -> None:
    """Writes `trials.csv`, and with a trial that is done `best.yaml`."""
    text = io.StringIO()
    about = ("parameters", "epochs", "seconds")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", spec.objective[0], *spec.space, *about, "problem"])
    for row in found:
        score = "" if row.score is None else f"{row.score:.6g}"
        values = [spelled(row.values[key]) if key in row.values else "" for key in spec.space]
        more = [row.about.get(key, "") for key in about]
        writer.writerow([row.name, row.state, score, *values, *more, row.problem])
    atomic_write(folder / TABLE_FILE, text.getvalue())
    first = best(spec, found)
    if first is not None:
        config = spec.config.parse({**spec.fixed, **first.values, **_epochs(spec)})
        atomic_write(folder / BEST_FILE, config.to_yaml())


def _epochs(spec: SearchSpec) -> dict[str, int]:
    return {} if spec.max_epochs is None else {"epochs": spec.max_epochs}


def draw(spec: SearchSpec, found: Sequence[Row], folder: Path) -> None:
    """Draws the objective by trial, and the trials as parallel coordinates."""
    done = [row for row in found if row.score is not None]
    if not done:
        return
    folder.mkdir(exist_ok=True)
    for name, figure in (
        ("objective", by_trial(spec, found)),
        ("parallel_coordinates", parallel(spec, done)),
    ):
        save(folder, name, figure)


def by_trial(spec: SearchSpec, found: Sequence[Row]) -> Figure:
    """Draws each trial's objective, and the best so far.

    Args:
        spec: What was searched.
        found: The trials; one at least is done.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    done = [(k, row.score) for k, row in enumerate(found, start=1) if row.score is not None]
    numbers, scores = zip(*done, strict=True)
    better = np.minimum if spec.objective[1] == "min" else np.maximum
    axis.plot(numbers, scores, "o", color=BLUE, label="a trial")
    axis.step(numbers, better.accumulate(scores), where="post", color=ORANGE, label="the best")
    failed = [k for k, row in enumerate(found, start=1) if row.state == "failed"]
    for k in failed:
        label = "failed" if k == failed[0] else None
        axis.axvline(k, color=GREY, linestyle=":", label=label)
    axis.set(xlabel="trial", ylabel=spec.objective[0], title=f"{spec.recipe}: {spec.tuner} search")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(fontsize=8)
    return figure


def parallel(spec: SearchSpec, done: Sequence[Row]) -> Figure:
    """Draws each trial as a line through its settings, coloured by its objective.

    Args:
        spec: What was searched.
        done: Trials with a score.
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
    scale = np.log if search.sampling == "log" else np.asarray
    low, high = scale(search.low), scale(search.high)
    found = [float((scale(value) - low) / (high - low)) for value in values]
    return [(0.0, f"{search.low:g}"), (1.0, f"{search.high:g}")], found


def summary(spec: SearchSpec, found: Sequence[Row], folder: Path, typed: str) -> str:
    """Returns what a search prints at its end.

    Args:
        spec: What was searched.
        found: Its trials.
        folder: The search's folder.
        typed: The recipe as the user typed it.
    """
    first = best(spec, found)
    failed = [row for row in found if row.state == "failed"]
    counts = f"{sum(row.score is not None for row in found)} trials are done"
    lines = [f"\n{spec.recipe}: {counts}, {len(failed)} failed."]
    lines += [f"  trial {row.name} failed: {row.problem}" for row in failed[:3]]
    if first is None:
        late = "" if spec.seconds is None else f" in {spec.seconds / 60:g} minutes"
        return "\n".join([*lines, f"  No trial has a result{late}; see {folder / TRIALS}."])
    lines += [f"\n  {spec.objective[0]:>12}  trial  settings"]
    for row in ranked(spec, found)[:5]:
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
