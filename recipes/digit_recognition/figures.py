"""Measured networks of digit recognition, for the comparison figure."""

from __future__ import annotations

from pathlib import Path

from dlrecipes.recipe.readme import mean_results

METRICS = ("error", "macs", "parameters")


def measured(data: str) -> dict[str, tuple[float, float, float]]:
    """Returns error, operations and parameters of the networks in results.csv, by configuration.

    Args:
        data: Value of the column `data`: `"builtin"` or `"MNIST"`.
    """
    results = mean_results(Path(__file__).with_name("results.csv"), data, METRICS)
    return {name: (error, macs, size) for name, (error, macs, size) in results.items()}
