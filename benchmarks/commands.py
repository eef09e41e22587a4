"""Times whole `dlrecipes run` commands by stage, and measures their peak memory.

    python benchmarks/commands.py                        # the default run of each recipe
    python benchmarks/commands.py slot_filling dcgan     # of these
    python benchmarks/commands.py --growth               # one epoch of three sizes of data each

The measurements are kept in `commands.csv` and `growth.csv`, from which `make readme` generates the
tables of docs/speed.md.

Each command runs in a fresh process, with nothing else running. CPU seconds are those of the
command with all its processes. `start` is what comes before the data: the interpreter and imports.
Peak memory is the largest resident memory of one process of the command.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from race import processor

from dlrecipes._utils.cpu import available_cpus
from dlrecipes._utils.markdown import table
from dlrecipes._utils.wording import counted

COMMANDS = Path(__file__).with_name("commands.csv")
GROWTH = Path(__file__).with_name("growth.csv")
STAGES = (
    *("start", "data", "build", "pretrain", "trace"),
    *("train", "evaluate", "figures", "publish", "check"),
)
COLUMNS = ("recipe", "stage", "seconds", "cpu_seconds", "peak_gb", "score", "machine")
GROWTH_COLUMNS = ("recipe", "setting", "size", "cpu_seconds", "peak_gb", "machine")
# The main score of each recipe.
SCORES = {
    "slot_filling": "span_f1",
    "digit_recognition": "accuracy",
    "poem_generation": "perplexity",
    "facenet": "eer",
    "pix2pix": "fcn_pixel_accuracy",
    "dcgan": "sure",
    "image_classification": "accuracy",
    "object_detection": "map50",
    "autoencoder": "squared_error",
}
# The setting that says how many examples the built-in data have, and its three sizes.
SIZES = {
    # Fewer than 16,000 train as many steps.
    "slot_filling": ("examples", (5000, 15000, 50000)),
    "poem_generation": ("examples", (1000, 3000, 10000)),
    "image_classification": ("images", (300, 900, 3000)),
    "object_detection": ("images", (100, 300, 1000)),
    "pix2pix": ("examples", (100, 300, 1000)),
    # With 80 people for validation and test.
    "facenet": ("people", (90, 300, 900)),
}


@dataclass(frozen=True)
class Measured:
    """Time and memory of one command.

    Args:
        seconds: Elapsed seconds by stage, and in all as `total`.
        cpu_seconds: CPU seconds by stage, and in all as `total`.
        peak: Largest resident memory of one of its processes, in bytes.
        metrics: The run's metrics of the test examples.
    """

    seconds: dict[str, float]
    cpu_seconds: dict[str, float]
    peak: int
    metrics: dict[str, float]


def measure(recipe: str, options: Sequence[str] = (), keep: Path | None = None) -> Measured:
    """Returns what one run of a recipe took.

    Args:
        recipe: Name of the recipe.
        options: More arguments of `dlrecipes run`. Defaults to none.
        keep: Folder to keep the run and its published model in. Defaults to `None`: neither.
    """
    with contextlib.ExitStack() as stack:
        if keep is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dlrecipes-commands-"))
        else:
            # Each run needs a new folder.
            keep.mkdir(parents=True, exist_ok=True)
            folder = tempfile.mkdtemp(prefix=f"{recipe}-", dir=keep)
        command = [sys.executable, "-m", "dlrecipes", "run", recipe, *options]
        start = time.monotonic()
        with (Path(folder) / "output.txt").open("wb") as output:
            process = os.posix_spawn(
                sys.executable,
                [*command, "--runs-dir", f"{folder}/runs", "--models-dir", f"{folder}/models"],
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)],
            )
            # Includes the usage of the processes that it started.
            _, status, usage = os.wait4(process, 0)
        total = time.monotonic() - start
        if status:
            raise click.ClickException(f"{' '.join(command)}: ended with status {status}.")
        metrics = json.loads(next(Path(folder).glob("runs/*/*/metrics.json")).read_text())
    stages = metrics["stages"]
    seconds = {name: stage["seconds"] for name, stage in stages.items()}
    cpu = {name: stage["cpu_seconds"] for name, stage in stages.items()}
    seconds["total"], cpu["total"] = total, usage.ru_utime + usage.ru_stime
    for kept in (seconds, cpu):
        kept["start"] = kept["total"] - sum(kept[name] for name in stages)
    return Measured(seconds, cpu, usage.ru_maxrss * 1024, metrics["test"])


def default_runs(recipes: Sequence[str], keep: Path | None) -> None:
    """Prints the table of default runs, and keeps their rows in the CSV file."""
    rows = []
    for recipe in recipes:
        result = measure(recipe, keep=keep)
        score = SCORES[recipe]
        shown = [
            *(f"{result.cpu_seconds.get(stage, 0.0):.1f}" for stage in (*STAGES, "total")),
            *(f"{result.seconds['total']:.1f}", f"{result.peak / 1e9:.2f}"),
            f"{score} {result.metrics[score]:.4f}",
        ]
        rows.append([recipe, *shown])
        print(f"{recipe}: {dict(zip((*STAGES, 'total'), shown, strict=False))}", flush=True)
        kept = [
            {
                "recipe": recipe,
                "stage": stage,
                "seconds": f"{result.seconds.get(stage, 0.0):.1f}",
                "cpu_seconds": f"{result.cpu_seconds.get(stage, 0.0):.1f}",
                "peak_gb": f"{result.peak / 1e9:.2f}",
                "score": f"{score} {result.metrics[score]:.4f}",
                "machine": _machine(),
            }
            for stage in (*STAGES, "total")
        ]
        _keep(COMMANDS, COLUMNS, recipe, kept)
    print(table(["CPU seconds", *STAGES, "total", "elapsed", "peak GB", "score"], rows))


def growth(recipes: Sequence[str]) -> None:
    """Prints time and memory of one epoch of three sizes of data, and keeps them in a CSV file."""
    rows = []
    for recipe in recipes:
        setting, sizes = SIZES[recipe]
        results = []
        for size in sizes:
            results.append(measure(recipe, [f"--{setting}", str(size), "--epochs", "1"]))
            rows.append([recipe, f"{size:,} {setting}", *_compared(results[-1], results[0])])
            print(*rows[-1], flush=True)
        kept = [
            {
                "recipe": recipe,
                "setting": setting,
                "size": size,
                "cpu_seconds": f"{result.cpu_seconds['total']:.1f}",
                "peak_gb": f"{result.peak / 1e9:.2f}",
                "machine": _machine(),
            }
            for size, result in zip(sizes, results, strict=True)
        ]
        _keep(GROWTH, GROWTH_COLUMNS, recipe, kept)
    heads = ["recipe", "data", "CPU seconds", "of the first", "peak GB", "of the first"]
    print(table(heads, rows))


def _compared(result: Measured, first: Measured) -> list[str]:
    """Returns CPU seconds and peak memory, each followed by its quotient by the first one."""
    cpu, first_cpu = result.cpu_seconds["total"], first.cpu_seconds["total"]
    return [
        *(f"{cpu:.1f}", f"{cpu / first_cpu:.2f}"),
        *(f"{result.peak / 1e9:.2f}", f"{result.peak / first.peak:.2f}"),
    ]


def _keep(path: Path, columns: Sequence[str], recipe: str, rows: list[dict[str, Any]]) -> None:
    """Replaces the rows of a recipe in a CSV file."""
    others = []
    # Read again: another process may have measured other recipes.
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            others = [row for row in csv.DictReader(file) if row["recipe"] != recipe]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(others + rows)


def _machine() -> str:
    return f"{processor()}, {counted(available_cpus(), 'core')}"


@click.command()
@click.argument("recipes", nargs=-1)
@click.option("--growth", "is_growth", is_flag=True, help="Measure three sizes of data instead.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to keep the default runs in, with their published models.",
)
def main(recipes: tuple[str, ...], is_growth: bool, keep: Path | None) -> None:
    """Time whole commands: the default runs of RECIPES, by default of all."""
    if is_growth:
        growth(recipes or tuple(SIZES))
    else:
        default_runs(recipes or tuple(SCORES), keep)


if __name__ == "__main__":
    main()
