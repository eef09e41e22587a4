"""Measures the configurations of a recipe over several seeds and writes its results.csv.

    python benchmarks/measure.py slot_filling --source ATIS=FOLDER

reads benchmarks/slot_filling.yaml, which lists configurations. Each has a label, the name of a data
set (`builtin`, or one whose folder `--source` names), and options of `dlrecipes run`. In a text,
`{version}` is the seed plus 1: the version that the run with that seed published. If `train` and
`test` name two other data sets, the model of the one is tested on the other. Commands that are
already in results.csv are skipped, also if they were measured with `--precision float32`, which was
the default before `--precision auto`.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import click
import yaml

from dlrecipes.recipe.readme import COLUMNS, read_results
from dlrecipes.recipe.registry import find

HERE = Path(__file__).resolve().parent


@click.command()
@click.argument("recipe")
@click.option(
    "--source",
    multiple=True,
    help="NAME=FOLDER: the folder of a data set that the YAML file names. Repeatable.",
)
@click.option(
    "--only", default="", help="Measure only configurations whose data and label contain this text."
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to keep the runs in, with figures and published models.",
)
def main(recipe: str, source: tuple[str, ...], only: str, keep: Path | None) -> None:
    """Measure the configurations in benchmarks/RECIPE.yaml and add them to RECIPE's results.csv."""
    folders = dict(pair.split("=", 1) for pair in source)
    plan = yaml.safe_load((HERE / f"{recipe}.yaml").read_text(encoding="utf-8"))
    table = find(recipe).folder / "results.csv"
    for entry in plan["configurations"]:
        if only not in f"{entry['data']} {entry['configuration']}":
            continue
        if not set(data_of(entry)) - {"builtin"} <= set(folders):
            continue
        for seed in entry.get("seeds", plan["seeds"]):
            measure(recipe, table, plan, entry, seed, folders, keep)


def _without_precision(command: str) -> str:
    return command.replace(" --precision float32", "")


def data_of(entry: dict[str, Any]) -> tuple[str, str]:
    """Returns the names of the data that a configuration trains and is tested on."""
    train_on = entry.get("train", entry["data"])
    return train_on, entry.get("test", train_on)


def measure(
    recipe: str,
    table: Path,
    plan,
    entry,
    seed: int,
    folders: dict[str, str],
    keep: Path | None = None,
) -> None:
    """Trains one configuration with one seed, and adds its rows to the table.

    Args:
        recipe: Name of the recipe.
        table: Path of the recipe's results.csv.
        plan: Content of the YAML file.
        entry: One of its configurations.
        seed: Seed of the run.
        folders: Folder of each data set by name.
        keep: Folder to keep the run in. Defaults to `None`: a temporary folder.
    """
    options = {
        name: value.replace("{version}", str(seed + 1)) if isinstance(value, str) else value
        for name, value in {
            **plan.get("options", {}).get(entry["data"], {}),
            **entry.get("options", {}),
        }.items()
    }
    words = [_option(name, value) for name, value in options.items()]
    train_on, test_on = data_of(entry)
    source = [] if train_on == "builtin" else [f"--data {train_on}"]
    command = " ".join(["dlrecipes run", recipe, *source, *words, f"--seed {seed}"])
    if test_on != train_on:
        command += f" && dlrecipes evaluate {recipe} --data {test_on}"
    measured = read_results(table) if table.exists() else []
    if _without_precision(command) in {_without_precision(row["command"]) for row in measured}:
        return
    settings = {**options, "seed": seed}
    if source:
        settings["data"] = folders[train_on]
    click.echo(command)
    tested = folders[test_on] if test_on != train_on else None
    metrics, environment = train(recipe, settings, keep, tested)
    values = flat({**metrics, **metrics["test"]})
    rows = [
        {
            "data": entry["data"],
            "configuration": entry["configuration"],
            "seed": seed,
            "metric": name,
            "value": f"{values[name]:.4f}" if isinstance(values[name], float) else values[name],
            "minutes": f"{metrics['seconds']['train'] / 60:.2f}",
            "machine": environment["machine"],
            "version": environment["dlrecipes"],
            "command": command,
        }
        for name in plan["metrics"]
        if name in values
    ]
    with table.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not table.stat().st_size:
            writer.writeheader()
        writer.writerows(rows)
    click.echo("  " + ", ".join(f"{row['metric']} {row['value']}" for row in rows))


def flat(metrics: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Returns nested metrics with dots between the levels, such as `constrained.rhyme`."""
    flattened: dict[str, Any] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            flattened |= flat(value, f"{above}{name}.")
        else:
            flattened[f"{above}{name}"] = value
    return flattened


def _option(name: str, value: Any) -> str:
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{dashed}" if value else f"--no-{dashed}"
    return f"--{dashed} {value}"


def train(
    recipe: str, settings: dict[str, Any], keep: Path | None = None, test_on: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the metrics and the environment of one run.

    Args:
        recipe: Name of the recipe.
        settings: Settings of the run.
        keep: Folder to keep the run in. Defaults to `None`: a temporary folder.
        test_on: Data that the metrics of the test part are measured on. Defaults to `None`: the
            run's own.
    """
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    import keras

    from dlrecipes import runner
    from dlrecipes.runner import run_folder

    keras.backend.clear_session()
    source = find(recipe)
    config = source.config().parse(settings, f"benchmarks/{recipe}.yaml")
    task = source.recipe()(config, recipe)
    if keep is not None:
        folder = run_folder.new_folder(keep / "runs" / recipe, None)
        result = runner.run(task, folder, keep / "saved_models")
        metrics, model = dict(result.metrics), result.version.keras_model()
        click.echo(f"  {folder}, {metrics['published']}")
    else:
        with tempfile.TemporaryDirectory() as place:
            model, _, _, metrics = runner.train(task, Path(place))
    if test_on is not None:
        other = source.make(source.config().parse({**settings, "data": test_on}))
        metrics = {**metrics, "test": other.evaluate(model, other.load_data(), "test")}
    return metrics, runner.environment()


if __name__ == "__main__":
    main()
