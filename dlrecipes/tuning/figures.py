"""Figures of a search: its course, its trials as parallel coordinates, and the Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from dlrecipes._utils.wording import counted
from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.recipe.options import Search, spelled
from dlrecipes.tuning.pareto import COST_NAMES, Row, short
from dlrecipes.tuning.spec import SearchSpec

WIDTH_IN, AXIS_IN, CHARACTER_IN = 9.0, 0.62, 0.085
# Width of the parallel axes, and where trials without a setting cross its axis.
LENGTH_IN, UNUSED = 5.6, 1.12
ON_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}


def by_trial(spec: SearchSpec, trials: Sequence[Row]) -> Figure:
    """Draws the objective of each trial and the best value so far.

    Args:
        spec: Specification of the search.
        trials: The trials, of which at least one is finished.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    done = [row for row in trials if row.score is not None]
    numbers, scores = [int(row.name) for row in done], [float(row.score or 0) for row in done]
    better = np.minimum if spec.objective[1] == "min" else np.maximum
    axis.plot(numbers, scores, "o", color=BLUE, label="trial")
    axis.step(numbers, better.accumulate(scores), where="post", color=ORANGE, label="best so far")
    for row, score in zip(done, scores, strict=True):
        if row.has_defaults:
            axis.plot(int(row.name), score, "*", ms=13, color=BLUE, label="defaults")
    for state in ("failed", "over limit"):
        for k, row in enumerate(row for row in trials if row.state == state):
            style: Any = ":" if state == "failed" else (0, (1, 5))
            label = None if k else state
            axis.axvline(int(row.name), color=GREY, linestyle=style, label=label)
    axis.set(xlabel="trial", ylabel=spec.objective[0], title=f"{spec.recipe}: {spec.tuner} search")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(fontsize=8)
    return figure


def parallel(spec: SearchSpec, done: Sequence[Row]) -> Figure:
    """Draws each trial as a line through its settings, one axis below the other.

    The last axis is the objective. The best trial is drawn on top.

    Args:
        spec: Specification of the search.
        done: Finished trials.
    """
    names = [name for name in spec.space if any(name in row.values for row in done)]
    sign = 1 if spec.objective[1] == "max" else -1
    order = sorted(done, key=lambda row: sign * float(row.score or 0))
    scales = [_scale(spec, name, done) for name in names] + [_objective(done)]
    figure = Figure(figsize=(WIDTH_IN, AXIS_IN * len(scales) + 1.6), layout="constrained")
    axis = figure.subplots()
    colours = matplotlib.colormaps["viridis_r"]
    for number, row in enumerate(order):
        values = [row.values.get(name) for name in names] + [row.score]
        places = [
            UNUSED if value is None else place(value)
            for (_, place), value in zip(scales, values, strict=True)
        ]
        is_best = row is order[-1]
        colour = ORANGE if is_best else colours(0.15 + 0.85 * number / max(1, len(order) - 1))
        style: dict[str, Any] = {"lw": 3, "ms": 7, "alpha": 1} if is_best else {"lw": 1, "ms": 3}
        label = f"best: trial {row.name}" if is_best else None
        axis.plot(
            places, range(len(scales)), "-o", **{"alpha": 0.7, **style}, color=colour, label=label
        )
    is_unused = any(name not in row.values for row in done for name in names)
    _label(axis, [*names, spec.objective[0]], [ticks for ticks, _ in scales], is_unused)
    axis.set_title(
        f"{spec.recipe}: {counted(len(done), 'trial')}; the best, trial {order[-1].name}, "
        f"has {spec.objective[0]} {order[-1].score:.4g}"
    )
    if len(order) > 1:
        end = sign * np.array([float(order[0].score or 0), float(order[-1].score or 0)])
        mapped = matplotlib.cm.ScalarMappable(cmap=colours)
        bar = figure.colorbar(mapped, ax=axis, ticks=[0, 1], fraction=0.03, aspect=30)
        bar.ax.set_yticklabels([f"{sign * value:.4g}" for value in end])
        bar.set_label(f"{spec.objective[0]}, by rank", fontsize=8)
    return figure


def _label(
    axis: Axes, names: Sequence[str], ticks: Sequence[Sequence[tuple[float, str]]], is_unused: bool
) -> None:
    """Draws the axes with their names and ticks, from top to bottom."""
    for row, labels in enumerate(ticks):
        axis.plot([0, 1], [row, row], color=GREY, lw=0.8, zorder=0)
        for place, text in labels:
            axis.plot([place, place], [row - 0.06, row + 0.06], color=GREY, lw=0.8, zorder=0)
            axis.text(
                place,
                row + 0.2,
                text,
                fontsize=8,
                ha="center",
                va="center",
                bbox=ON_WHITE,
                zorder=5,
            )
    axis.set(xticks=[], xlim=(-0.06, UNUSED + 0.08 if is_unused else 1.06))
    axis.set_ylim(len(names) - 0.5, -0.6)
    axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=9)
    axis.tick_params(left=False)
    axis.spines[:].set_visible(False)
    if is_unused:
        axis.text(UNUSED, -0.4, "no effect", fontsize=8, ha="center", color=GREY)
        axis.plot([UNUSED, UNUSED], [-0.3, len(names) - 1], color=GREY, lw=0.8, ls=":", zorder=0)


Scale = tuple[list[tuple[float, str]], Callable[[Any], float]]


def _scale(spec: SearchSpec, name: str, done: Sequence[Row]) -> Scale:
    """Returns a setting's ticks, and a function from its values to places between 0 and 1."""
    search = spec.space[name]
    values = [row.values[name] for row in done if name in row.values]
    if search.choices:
        # The defaults may not be among the choices.
        known = list(dict.fromkeys(map(spelled, [*search.choices, *values])))
        places = np.linspace(0, 1, len(known)) if len(known) > 1 else [0.5]
        by_name = {text: float(place) for text, place in zip(known, places, strict=True)}
        return [(place, text) for text, place in by_name.items()], lambda v: by_name[spelled(v)]
    low = min([float(search.low or 0), *values])
    high = max([float(search.high or 0), *values])
    return _numbers(low, high, _ticks(search, low, high), search.sampling == "log" and low > 0)


def _objective(done: Sequence[Row]) -> Scale:
    scores = [float(row.score or 0) for row in done]
    low, high = min(scores), max(scores)
    if low == high:
        return [(0.5, f"{low:.4g}")], lambda value: 0.5
    return _numbers(low, high, [low, *MaxNLocator(4).tick_values(low, high), high], False)


def _ticks(search: Search, low: float, high: float) -> list[float]:
    if search.sampling == "log" and low > 0:
        fine = LogLocator(subs=(1, 2, 5)).tick_values(low, high)
        coarse = LogLocator().tick_values(low, high)
        inside = fine if sum(low < tick < high for tick in fine) <= 6 else coarse
    else:
        inside = MaxNLocator(5).tick_values(low, high)
    return [low, *inside, high]


def _numbers(low: float, high: float, ticks: Sequence[float], is_log: bool) -> Scale:
    """Returns the ticks whose labels do not overlap, the ends first, and the function to places."""
    scale: Callable[[Any], Any] = np.log if is_log else np.asarray

    def place(value: float) -> float:
        return float((scale(value) - scale(low)) / ((scale(high) - scale(low)) or 1))

    kept: list[tuple[float, str]] = []
    for tick in [low, high, *(tick for tick in ticks if low < tick < high)]:
        text = f"{tick:.4g}"
        room = CHARACTER_IN * (len(text) + 1) / LENGTH_IN
        if all(abs(place(tick) - other) > (room + CHARACTER_IN * len(label) / LENGTH_IN) / 2
               for other, label in kept):  # fmt: skip
            kept.append((place(tick), text))
    return sorted(kept), place


def trade_off(spec: SearchSpec, done: Sequence[Row], front: Sequence[Row], cost: str) -> Figure:
    """Draws the objective against the cost of each trial, with the Pareto front.

    Args:
        spec: Specification of the search.
        done: Finished trials.
        front: Trials of the front, the cheapest first.
        cost: Name of the cost.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axis = figure.subplots()
    costs = [row.about[cost] for row in done]
    others = [row for row in done if row not in front]
    for rows, colour, size, label in (
        (others, BLUE, 5, "trial"),
        (front, ORANGE, 8, "Pareto front"),
    ):
        points = [(row.about[cost], float(row.score or 0)) for row in rows]
        if points:
            axis.plot(*zip(*points, strict=True), "o", color=colour, ms=size, label=label, zorder=3)
    for row in done:
        if row.has_defaults:
            point = row.about[cost], float(row.score or 0)
            axis.plot(*point, "*", color="black", ms=9, label="defaults", zorder=4)
    # A network between two of the front is as good as the cheaper one at least.
    steps = [(row.about[cost], float(row.score or 0)) for row in front]
    steps.append((max(costs), steps[-1][1]))
    axis.step(*zip(*steps, strict=True), where="post", color=ORANGE, lw=1, zorder=2)
    if max(costs) > 10 * min(costs) > 0:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(
            LogLocator(subs=(1, 2, 5) if max(costs) < 1e3 * min(costs) else (1,))
        )
    axis.xaxis.set_major_formatter(lambda value, _: short(value))
    axis.xaxis.set_minor_formatter(lambda value, _: "")
    axis.margins(0.08)
    axis.set(
        title=f"{spec.recipe}: {spec.objective[0]} by {COST_NAMES[cost]}; numbers are trials",
        xlabel=f"{COST_NAMES[cost]}" + (" per example" if cost == "macs" else ""),
        ylabel=spec.objective[0],
    )
    axis.grid(color=GREY, alpha=0.2)
    axis.legend(fontsize=8)
    _number(axis, front, cost, "max" if spec.objective[1] == "max" else "min")
    return figure


def _number(axis: Axes, front: Sequence[Row], cost: str, direction: str) -> None:
    """Writes the trials' numbers next to the front; neighbors share one text."""
    axis.autoscale_view()
    groups: list[tuple[np.ndarray, list[Row]]] = []
    for row in front:
        place = axis.transData.transform((row.about[cost], float(row.score or 0)))
        wide = 8 * sum(len(each.name) + 2 for each in groups[-1][1]) + 12 if groups else 0
        if groups and np.all(np.abs(place - groups[-1][0]) < (wide, 16)):
            groups[-1][1].append(row)
        else:
            groups.append((place, [row]))
    side = 9 if direction == "max" else -9
    for _, rows in groups:
        axis.annotate(
            ", ".join(row.name for row in rows),
            (rows[0].about[cost], float(rows[0].score or 0)),
            (0, side),
            textcoords="offset points",
            ha="right" if len(rows) == 1 else "left",
            va="bottom" if direction == "max" else "top",
            fontsize=9,
            zorder=6,
        )
