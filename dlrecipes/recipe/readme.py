"""Tables of a recipe's README, generated from its configuration and its results.csv."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from dlrecipes._utils.markdown import table
from dlrecipes.errors import DataError
from dlrecipes.recipe import RecipeConfig
from dlrecipes.recipe.options import settings, spelled
from dlrecipes.recipe.registry import find

COLUMNS = (
    "data",
    "configuration",
    "seed",
    "metric",
    "value",
    "minutes",
    "machine",
    "version",
    "command",
)


def read_results(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a results.csv.

    Raises:
        DataError: If a column is missing, or a value is not a number, with file and line.
    """
    with io.StringIO(_read(path), newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"{path}:1: the column {missing[0]!r} is missing.")
        rows = []
        for row in reader:
            for name in ("value", "minutes"):
                if not _is_number(row[name]):
                    place = f"{path}:{reader.line_num}"
                    raise DataError(f"{place}: {name} is {row[name]!r}, expected a number.")
            rows.append(row)
    return rows


def mean_results(path: Path, data: str, metrics: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Returns the mean over the seeds of some metrics, by configuration.

    Args:
        path: A `results.csv`, which may be missing, as in a copy of a recipe.
        data: Value of the column `data`.
        metrics: Names of the metrics; configurations without one of them are left out.
    """
    groups: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in read_results(path) if path.exists() else ():
        if row["data"] == data:
            groups[row["configuration"]][row["metric"]].append(float(row["value"]))
    return {
        name: tuple(fmean(values[metric]) for metric in metrics)
        for name, values in groups.items()
        if all(metric in values for metric in metrics)
    }


def _is_number(text: str | None) -> bool:
    try:
        return math.isfinite(float(text or ""))
    except ValueError:
        return False


def settings_table(config: type[RecipeConfig]) -> str:
    """Returns the table of all settings: option, default, valid values, search range, help."""
    rows = [
        [
            f"`{about.written}`",
            f"`{spelled(about.default)}`",
            about.expected,
            about.search or "",
            about.help,
        ]
        for about in settings(config)
    ]
    return table(["setting", "default", "values", "search range", "meaning"], rows)


def results_table(rows: list[dict[str, str]]) -> str:
    """Returns the table of results: per configuration the mean and range over the seeds."""
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    groups = defaultdict(list)
    for row in rows:
        groups[row["data"], row["configuration"]].append(row)
    lines = []
    for (data, configuration), members in groups.items():
        cells = [
            _mean_and_range([float(row["value"]) for row in members if row["metric"] == metric])
            for metric in metrics
        ]
        seeds = len({row["seed"] for row in members})
        minutes = sum(float(row["minutes"]) for row in members) / len(members)
        lines.append([data, configuration, *cells, seeds, f"{minutes:.1f}"])
    header = ["data", "configuration", *metrics, "seeds", "minutes per run"]
    return table(header, lines)


def _mean_and_range(values: list[float]) -> str:
    if not values:
        return ""
    if all(value.is_integer() and value >= 1000 for value in values):
        # Counts such as parameters do not depend on the seed.
        return " to ".join(f"{value:,.0f}" for value in sorted(set(values)))
    mean = f"{sum(values) / len(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.4f} to {max(values):.4f})"


def generated(folder: Path) -> dict[str, str]:
    """Returns the generated sections of a recipe's README by name."""
    source = find(str(folder))
    return {
        "settings": settings_table(source.config()),
        "results": results_table(read_results(folder / "results.csv")),
    }


def updated(folder: Path) -> str:
    """Returns the recipe's README with its generated sections updated.

    Raises:
        DataError: If README lacks the markers of a section.
    """
    return filled(folder / "README.md", generated(folder))


def filled(path: Path, sections: Mapping[str, str]) -> str:
    """Returns a file's text with its generated sections updated.

    A section stands between `<!-- NAME: generated -->` and `<!-- end -->`.

    Args:
        path: The file.
        sections: Content by section name.

    Raises:
        DataError: If the file lacks the markers of a section.
    """
    text = _read(path)
    for name, content in sections.items():
        pattern = rf"(<!-- {name}: generated -->\n).*?(<!-- end -->)"

        def fill(match: re.Match[str], content: str = content) -> str:
            return f"{match[1]}{content}\n{match[2]}"

        text, count = re.subn(pattern, fill, text, flags=re.DOTALL)
        if count != 1:
            raise DataError(
                f"{path}: expected one section '<!-- {name}: generated -->' to '<!-- end -->'."
            )
    return text


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8.") from None
