"""The page of measured speed, generated from what the benchmarks wrote."""

from __future__ import annotations

import csv
from pathlib import Path

from dlrecipes.card import table
from dlrecipes.library_page import ROOT

PAGE = ROOT / "docs" / "speed.md"
RECURRENT = ROOT / "benchmarks" / "recurrent.csv"

TEXT = """# Speed

A training step of recurrent networks on a CPU, in milliseconds; in brackets our time over
the other's, below 1 where ours is faster. The first step, which traces or compiles, is apart,
in seconds. All contenders of a row were timed in turns in one run of `make bench`.

{table}

{about}

`dlrecipes` is a model of our layers, compiled with `compile("adam", ...)` and trained with
`fit`, as `keras` is one of Keras' own. "32 steps" are both with Keras' own switch
`steps_per_execution=32`: worth setting where a step takes a few milliseconds, most of them
outside the recurrent layer.

This page is generated from `benchmarks/recurrent.csv` by `make readme`."""


def page(path: Path = RECURRENT) -> str:
    """Returns the page as Markdown, from the benchmark's CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    contenders = list(dict.fromkeys(row["contender"] for row in rows))
    lines = []
    for workload in dict.fromkeys(row["workload"] for row in rows):
        found = {row["contender"]: row for row in rows if row["workload"] == workload}
        lines.append([workload, *(_cell(found, one) for one in contenders)])
    about = {f"{row['machine']}, {row['cores']} cores; {row['versions']}." for row in rows}
    header = ["workload", *contenders]
    return TEXT.format(table=table(header, lines), about="\n".join(sorted(about))) + "\n"


def _cell(found: dict[str, dict[str, str]], contender: str) -> str:
    if contender not in found:
        return ""
    row = found[contender]
    ms, first = float(row["ms_a_step"]), row["first_step_s"]
    ratio = ""
    if not contender.startswith("dlrecipes"):
        ours = contender.replace("keras", "dlrecipes") if "keras" in contender else "dlrecipes"
        ratio = f" ({float(found[ours]['ms_a_step']) / ms:.2f})"
    return f"{ms:.1f}{ratio}; first {first} s"
