"""Measured networks of digit recognition, for the comparison figure."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import fmean

from dlrecipes.recipe.readme import read_results

METRICS = ("error", "macs", "parameters")


def measured(data: str) -> dict[str, tuple[float, float, float]]:
    """Returns error, operations and parameters of the networks in results.csv, by configuration.

    Args:
        data: Value of the column `data`: `"builtin"` or `"MNIST"`.
    """
    path = Path(__file__).with_name("results.csv")
    groups: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in read_results(path) if path.exists() else ():
        if row["data"] == data:
            groups[row["configuration"]][row["metric"]].append(float(row["value"]))
    return {
        name: tuple(fmean(values[metric]) for metric in METRICS)  # type: ignore[misc]
        for name, values in groups.items()
        if all(metric in values for metric in METRICS)
    }
