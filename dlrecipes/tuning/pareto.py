"""Trade-off of a search between its objective and the cost of a network: the Pareto front."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlrecipes.recipe.options import spelled
from dlrecipes.tuning.trial import COSTS

COST_NAMES = {"macs": "multiply-accumulates", "parameters": "parameters"}


@dataclass(frozen=True)
class Row:
    """One trial.

    Args:
        name: Number of the trial, the name of its folder.
        state: `"done"`, `"failed"`, `"over limit"` or `"running"`.
        score: Objective of a finished trial, else `None`.
        values: Tuned settings that have an effect, by name.
        about: `macs`, `parameters`, `epochs` and `seconds` of a finished trial.
        problem: Reason of a failure. Defaults to none.
        has_defaults: Whether the trial has the recipe's defaults. Defaults to `False`.
    """

    name: str
    state: str
    score: float | None
    values: Mapping[str, Any]
    about: Mapping[str, float]
    problem: str = ""
    has_defaults: bool = False

    @property
    def settings(self) -> str:
        """The tuned settings as text."""
        return " ".join(f"{key}={spelled(value)}" for key, value in self.values.items())


def cost_of(done: Sequence[Row]) -> str | None:
    """Returns the cost in which finished trials differ, `"macs"` before `"parameters"`.

    Args:
        done: Finished trials.

    Returns:
        A name of `COSTS` that all trials have, or `None` if all of them cost the same.
    """
    for cost in COSTS:
        if all(cost in row.about for row in done) and len({row.about[cost] for row in done}) > 1:
            return cost
    return None


def front(done: Sequence[Row], cost: str, direction: str) -> list[Row]:
    """Returns the trials that no other one dominates, the cheapest first.

    A trial dominates another one that it equals or surpasses in both objective and cost, and
    surpasses in one. Trials that are equal in both do not dominate each other.

    Args:
        done: Finished trials.
        cost: Name of the cost, which all of them have.
        direction: `"min"` or `"max"`, of the objective.

    Reference:
        Deb, 2001, "Multi-objective optimization using evolutionary algorithms", definition 2.5.
    """
    sign = 1 if direction == "min" else -1
    points = [(row.about[cost], sign * float(row.score or 0)) for row in done]
    kept: list[Row] = []
    best = float("inf")
    last = None
    for point, row in sorted(zip(points, done, strict=True), key=lambda pair: pair[0]):
        if point[1] < best or point == last:
            kept.append(row)
            best, last = point[1], point
    return kept


def table(
    rows: Sequence[Row], objective: str, settings: Sequence[str], commands: Mapping[str, str]
) -> str:
    """Returns the trials of a front as CSV, each with the command that runs it again.

    Args:
        rows: Trials of the front.
        objective: Name of the objective.
        settings: Names of the tuned settings.
        commands: Command of each trial, by its name.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    costs = [cost for cost in COSTS if any(cost in row.about for row in rows)]
    writer.writerow(["trial", objective, *costs, *settings, "command"])
    for row in rows:
        values = [spelled(row.values[key]) if key in row.values else "" for key in settings]
        about = [row.about.get(cost, "") for cost in costs]
        writer.writerow([row.name, f"{row.score:.6g}", *about, *values, commands[row.name]])
    return text.getvalue()


def short(number: float) -> str:
    """Returns a count with three digits and a unit, such as `1.25 M`."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.3g}"
