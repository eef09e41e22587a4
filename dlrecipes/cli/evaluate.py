"""`dlrecipes evaluate RECIPE`: the published model's metrics on some data."""

from __future__ import annotations

from pathlib import Path

import click

from dlrecipes._utils.terminal import json_text
from dlrecipes.cli.options import model_version, models_dir, published_recipe


@click.command(name="evaluate")
@click.argument("recipe")
@click.option("--data", help="Data to evaluate; by default the model's own.")
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="Split of the data.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all metrics as JSON.")
@model_version
@models_dir
def command(
    recipe: str,
    data: str | None,
    split: str,
    as_json: bool,
    model_version: int | None,
    models_dir: Path,
) -> None:
    """Measure the published model of RECIPE (a name, or a folder of your own).

    \b
    Examples:
      dlrecipes evaluate slot_filling
      dlrecipes evaluate slot_filling --data my_sentences
    """
    task, version = published_recipe(recipe, models_dir, model_version, data)
    splits = task.load_data()
    for note in splits.notes:
        click.echo(f"Note: {note}", err=True)
    metrics = task.evaluate(version.keras_model(), splits, split)
    if as_json:
        click.echo(json_text(metrics, indent=2))
        return
    click.echo(
        f"{version.folder} on {task.config.data}, {split}: {len(getattr(splits, split)):,} examples"
    )
    for name, value in metrics.items():
        if isinstance(value, dict):
            click.echo(f"  {name}")
            for key, number in value.items():
                click.echo(f"    {key:<30} {number:.4f}")
        else:
            click.echo(f"  {name:<32} {value:.4f}")
