"""The page of measured speed, generated from what the benchmarks wrote."""

from __future__ import annotations

import csv
from pathlib import Path

from dlrecipes._utils.markdown import table
from tools.library_page import ROOT

PAGE = ROOT / "docs" / "speed.md"
README = ROOT / "README.md"
RECURRENT = ROOT / "benchmarks" / "recurrent.csv"
LOOPS = ROOT / "benchmarks" / "loops.csv"

TEXT = """# Speed

A training step on a CPU, in milliseconds; in brackets our time over the other's, below 1 where
ours is faster. The first step, which traces or compiles, is apart, in seconds. All contenders of
a row were timed in turns in one run of `make bench`.

## Recurrent layers

{recurrent}

{about_recurrent}

`dlrecipes` is a network with our layers, compiled with `compile("adam", ...)` and trained with
`fit` of `SupervisedTrainer`; `keras` is one with Keras' own layers and `fit`. "32 steps" are both
with Keras' own switch `steps_per_execution=32`: worth setting where a step takes a few
milliseconds, most of them outside the recurrent layer.

## Training loops

{loops}

{about_loops}

`dlrecipes` is the trainer with our networks, through `compile` and `fit`; `torch` does the same
step in an eager loop, with the same layers and no gradient that is not used. Its Adam is the
default one, and "fused Adam" is `Adam(..., fused=True)`.

This page is generated from `benchmarks/recurrent.csv` and `benchmarks/loops.csv` by
`make readme`."""


def page(recurrent: Path = RECURRENT, loops: Path = LOOPS) -> str:
    """Returns the page as Markdown, from the benchmarks' CSV files."""
    rows = {"recurrent": _rows(recurrent), "loops": _rows(loops)}
    tables = {name: _table(found) for name, found in rows.items()}
    about = {f"about_{name}": _about(found) for name, found in rows.items()}
    return TEXT.format(**tables, **about) + "\n"


def loops_table(path: Path = LOOPS) -> str:
    """Returns the table of the training loops alone, as README shows it."""
    return _table(_rows(path))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _table(rows: list[dict[str, str]]) -> str:
    contenders = list(dict.fromkeys(row["contender"] for row in rows))
    lines = []
    for workload in dict.fromkeys(row["workload"] for row in rows):
        found = {row["contender"]: row for row in rows if row["workload"] == workload}
        lines.append([workload, *(_cell(found, one) for one in contenders)])
    return table(["workload", *contenders], lines)


def _about(rows: list[dict[str, str]]) -> str:
    about = {f"{row['machine']}, {row['cores']} cores; {row['versions']}." for row in rows}
    return "\n".join(sorted(about))


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
