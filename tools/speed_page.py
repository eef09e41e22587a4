"""The page of measured speed, generated from the benchmarks' CSV files."""

from __future__ import annotations

import csv
from pathlib import Path

from dlrecipes._utils.markdown import table
from tools.command_tables import commands_table, growth_table
from tools.library_page import ROOT

PAGE = ROOT / "docs" / "speed.md"
BENCHMARKS = ROOT / "benchmarks"

TEXT = """# Speed

Recurrent layers, batch normalization and Adam train faster on a CPU than Keras' own
implementations, with the same weights and the same results. The tables show the time of a
training step on a CPU, in milliseconds, and in parentheses our time divided by the other
implementation's: below 1, ours is faster. The first step, which includes tracing or compilation,
is listed separately, in seconds. All implementations of a row were timed alternately in one run of
`make bench`.

{sections}

This page is generated from `benchmarks/*.csv` by `make readme`.
"""
SECTION = """## {title}

{table}

{about}

{notes}"""
# Titles and notes of the sections, by the names of their files.
SECTIONS = {
    "recurrent": (
        "Recurrent layers",
        """\
- `dlrecipes`: a network with our layers, compiled with `compile("adam", ...)` and trained with the
  `fit` of `SupervisedTrainer`.
- `keras`: the same network with Keras' layers, trained with Keras' `fit`.
- "32 steps": either of them with Keras' own option `steps_per_execution=32`. It pays off where a
  step takes a few milliseconds and most of them are spent outside the recurrent layer.
- "lengths a to b": sentences of different lengths, which the graph does not know. "torch" computes
  the padding as well, and "torch packed" skips it.""",
    ),
    "recipes": (
        "Recipes",
        """\
- `dlrecipes`: the whole training step of each recipe with its default settings, through `fit`. The
  default precision is bfloat16 where the CPU has instructions for it, as this one has.
- `dlrecipes float32`: the same with `--precision float32`.
- `torch`: the same network, losses and optimizer in float32, in an eager loop with fused Adam, on
  the same batches; "packed" skips the padding.""",
    ),
    "loops": (
        "Training loops",
        """\
- `dlrecipes`: the trainer with our networks, through `compile` and `fit`.
- `torch`: the same step in an eager loop, with the same layers and without unused gradients. Adam
  is PyTorch's default implementation; "fused Adam" is `Adam(..., fused=True)`.""",
    ),
    "classification": (
        "Image classification",
        """\
- `dlrecipes`: the training of `image_classification` with its own dataset, augmentation and
  optimizer. The images are in memory.
- `torch channels_last fused AdamW`: the same network in an eager loop. The same flips, shifts and
  zooms are one `grid_sample` per batch.""",
    ),
    "detection": (
        "Object detection",
        """\
- `dlrecipes`: `training.FasterRCNN` on images and boxes in memory. "pyramid" is the network of
  `object_detection` with its default settings; the others have one feature map of that stride.
- `torchvision`: its `FasterRCNN` 0.29.1 with the same layers, anchors and numbers of regions, in an
  eager loop with fused Adam; with "channels_last" its weights have that memory format.""",
    ),
    "commands": (
        "Whole commands",
        """\
The default run of each recipe, from an empty folder to a published version: CPU seconds of the
command with all its processes, by stage. `start` is the interpreter and its imports. Peak memory is
the largest resident memory of one process. Measured by `python benchmarks/commands.py`.""",
    ),
    "growth": (
        "Growth",
        """\
One epoch of the same commands with up to ten times the data, other settings as by default. In
parentheses: divided by the value of the smallest size. Measured by
`python benchmarks/commands.py --growth`.""",
    ),
}
# Functions for the tables that compare no contenders.
TABLES = {"commands": commands_table, "growth": growth_table}


def page(folder: Path = BENCHMARKS) -> str:
    """Returns the page as Markdown, with a section for each CSV file that exists.

    Args:
        folder: Folder of the benchmarks' CSV files. Defaults to the one of this repository.
    """
    sections = []
    for name, (title, notes) in SECTIONS.items():
        path = folder / f"{name}.csv"
        if path.is_file():
            rows = _rows(path)
            shown = TABLES.get(name, _table)(rows)
            sections.append(
                SECTION.format(title=title, table=shown, about=_about(rows), notes=notes)
            )
    return TEXT.format(sections="\n\n".join(sections))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _table(rows: list[dict[str, str]]) -> str:
    contenders = list(dict.fromkeys(row["contender"] for row in rows))
    lines = []
    for workload in dict.fromkeys(row["workload"] for row in rows):
        by_contender = {row["contender"]: row for row in rows if row["workload"] == workload}
        lines.append([workload, *(_cell(by_contender, name) for name in contenders)])
    return table(["workload", *contenders], lines)


def _about(rows: list[dict[str, str]]) -> str:
    about = {
        f"{row['machine']}, {row['cores']} cores; {row['versions']}."
        if "versions" in row
        else f"{row['machine']}."
        for row in rows
    }
    return "\n".join(sorted(about))


def _cell(by_contender: dict[str, dict[str, str]], contender: str) -> str:
    if contender not in by_contender:
        return ""
    row = by_contender[contender]
    ms, first = float(row["ms_a_step"]), row["first_step_s"]
    ratio = ""
    if not contender.startswith("dlrecipes"):
        ours = contender.replace("keras", "dlrecipes") if "keras" in contender else "dlrecipes"
        ratio = f" ({float(by_contender[ours]['ms_a_step']) / ms:.2f})"
    return f"{ms:.1f}{ratio}; first {first} s"
