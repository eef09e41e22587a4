"""Tables of whole commands and of growing data, from the CSV files of `benchmarks/commands.py`."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from dlrecipes._utils.markdown import table

Rows = list[dict[str, str]]


def commands_table(rows: Rows) -> str:
    """Returns CPU seconds by stage, elapsed seconds, peak memory and score of each command.

    Args:
        rows: Rows of `benchmarks/commands.csv`, those of a recipe in the order of its stages.
    """
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    lines = []
    for recipe, own in groupby(rows, itemgetter("recipe")):
        by_stage = {row["stage"]: row for row in own}
        total = by_stage["total"]
        cpu = [by_stage[stage]["cpu_seconds"] if stage in by_stage else "" for stage in stages]
        lines.append([recipe, *cpu, total["seconds"], total["peak_gb"], total["score"]])
    return table(["recipe", *stages, "elapsed", "peak GB", "score"], lines)


def growth_table(rows: Rows) -> str:
    """Returns CPU seconds and peak memory by size of the data, with their growth in parentheses.

    Args:
        rows: Rows of `benchmarks/growth.csv`, those of a recipe from the smallest size.
    """
    lines = []
    for recipe, own in groupby(rows, itemgetter("recipe")):
        first, *larger = own
        lines.append([recipe, _data(first), first["cpu_seconds"], first["peak_gb"]])
        for row in larger:
            compared = (
                f"{row[name]} ({float(row[name]) / float(first[name]):.2f})"
                for name in ("cpu_seconds", "peak_gb")
            )
            lines.append([recipe, _data(row), *compared])
    return table(["recipe", "data", "CPU seconds", "peak GB"], lines)


def _data(row: dict[str, str]) -> str:
    return f"{int(row['size']):,} {row['setting']}"
