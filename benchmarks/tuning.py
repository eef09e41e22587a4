"""Measures the gain of a hyperparameter search and the speed-up of a second worker.

    python benchmarks/tuning.py gain
    python benchmarks/tuning.py workers

`gain` trains a deliberately bad configuration of each recipe, then searches the same settings, for
three seeds. `workers` times the same trials, with one thread each, on one worker and on two.
Nothing else should run on the machine during `workers`.
"""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click

# For each recipe, the options of all its trials and a bad value for each searched setting.
PLANS = {
    "slot_filling": (
        ["--examples", "400", "--max-epochs", "4"],
        {"learning_rate": 1e-4, "units": 16, "dropout": 0.7, "depth": 1},
    ),
    "digit_recognition": (
        ["--ensemble-size", "1", "--max-epochs", "3"],
        {"learning_rate": 3e-4, "width": 0.5, "dropout": 0.6, "elastic": 40.0},
    ),
}
SEEDS = (0, 1, 2)


@click.group()
def main() -> None:
    """Measure hyperparameter searches."""


def tune(folder: Path, recipe: str, options: Sequence[str]) -> float:
    """Runs a search and returns its duration in seconds."""
    command = [sys.executable, "-m", "dlrecipes", "tune", recipe, *options]
    start = time.perf_counter()
    subprocess.run([*command, "--searches-dir", str(folder)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def scores(folder: Path, recipe: str) -> list[float]:
    """Returns the objective of each trial of a finished search."""
    with (folder / recipe / "search" / "trials.csv").open(newline="") as file:
        _, *rows = csv.reader(file)
    # The third column is the objective. It is empty for failed trials.
    return [float(row[2]) for row in rows if row[2]]


def start_objective(recipe: str, options: Sequence[str], start: dict, seed: int) -> float:
    """Returns the objective of the bad configuration, trained as a trial would be."""
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes import runner
    from dlrecipes.recipe.registry import find

    pairs = zip(options[::2], options[1::2], strict=True)
    settings = {name.removeprefix("--").replace("-", "_"): value for name, value in pairs}
    settings["epochs"] = settings.pop("max_epochs")
    source = find(recipe)
    task = source.recipe()(source.config().parse({**settings, **start, "seed": seed}), recipe)
    with tempfile.TemporaryDirectory() as place:
        metrics = runner.train(task, Path(place), parts=("validation",))[3]
    return metrics["validation"][task.objective[0]]


@main.command()
@click.option("--trials", default=12, show_default=True)
@click.option("--workers", default=2, show_default=True)
def gain(trials: int, workers: int) -> None:
    """Compare the best of some trials with a bad configuration."""
    for recipe, (options, start) in PLANS.items():
        objectives = []
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as place:
                own = ["--trials", str(trials), "--workers", str(workers), "--seed", str(seed)]
                seconds = tune(Path(place), recipe, [*options, *own])
                best = max(scores(Path(place), recipe))
            before = start_objective(recipe, options, start, seed)
            objectives.append((before, best))
            click.echo(
                f"{recipe}, seed {seed}: start {before:.4f}, best of {trials} {best:.4f} "
                f"({seconds:.0f} s)"
            )
        before, best = (statistics.mean(side) for side in zip(*objectives, strict=True))
        click.echo(f"{recipe}: start {before:.4f}, best {best:.4f}, gain {best - before:.4f}")
        click.echo(f"  the start: {json.dumps(start)}")


@main.command()
@click.option("--trials", default=8, show_default=True)
@click.option("--rounds", default=2, show_default=True)
def workers(trials: int, rounds: int) -> None:
    """Compare two workers with one."""
    ratios = []
    for number in range(rounds):
        seconds = {}
        for count in (1, 2):
            with tempfile.TemporaryDirectory() as place:
                own = ["--trials", str(trials), "--workers", str(count), "--threads", "1"]
                fixed = ["--units", "128", "--cell", "lstm", "--depth", "1"]
                options = ["--examples", "800", "--max-epochs", "4", *fixed]
                seconds[count] = tune(Path(place), "slot_filling", [*options, *own])
        ratios.append(seconds[2] / seconds[1])
        click.echo(
            f"round {number + 1}: one worker {seconds[1]:.1f} s, two {seconds[2]:.1f} s, "
            f"{ratios[-1]:.2f} times as long"
        )
    click.echo(f"{trials} trials: two workers take {statistics.median(ratios):.2f} times as long")


if __name__ == "__main__":
    main()
