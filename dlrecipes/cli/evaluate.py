"""`dlrecipes evaluate RECIPE`: the published model's metrics on some data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from dlrecipes._utils.terminal import json_text
from dlrecipes._utils.wording import counted
from dlrecipes.cli.options import (
    OPEN,
    model_version,
    models_dir,
    published_recipe,
    typed_settings,
)
from dlrecipes.errors import DataError

# Number of unknown labels that are named.
NAMED = 3


@click.command(name="evaluate", context_settings=OPEN)
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

    RECIPE may also be the name of a published model, such as digit_recognition-shapes. The
    settings of 'dlrecipes run RECIPE' that say how data are read, such as --data-dir, are options
    as well; by default they are those of the model.

    \b
    Examples:
      dlrecipes evaluate slot_filling
      dlrecipes evaluate slot_filling --data my_sentences
      dlrecipes evaluate slot_filling --data my_data.conll --word-column 2 --tag-column 5
    """
    reading = typed_settings({}, click.get_current_context().args)
    task, version = published_recipe(recipe, models_dir, model_version, data, reading)
    splits = task.load_data()
    for note in splits.notes:
        click.echo(f"Note: {note}", err=True)
    model = version.keras_model()
    known, labels = task.labels(model, getattr(splits, split))
    unknown = _unknown_labels(known, labels, task.config.data)
    # A recipe may refuse unknown labels itself.
    metrics = task.evaluate(model, splits, split)
    if unknown:
        listed = _listed(unknown)
        click.echo(
            f"Note: the model does not know {len(unknown)} of the {len(labels)} labels of "
            f"{task.config.data}: {listed}. They count as mistakes.",
            err=True,
        )
    if as_json:
        click.echo(json_text(metrics, indent=2))
        return
    click.echo(
        f"{version.folder} on {task.config.data}, {split}: "
        f"{counted(len(getattr(splits, split)), 'example')}"
    )
    for name, value in metrics.items():
        if isinstance(value, dict):
            click.echo(f"  {name}")
            for key, number in value.items():
                if key in unknown:
                    continue
                click.echo(f"    {key:<30} {_number(number)}")
        else:
            click.echo(f"  {name:<32} {_number(value)}")


def _number(value: float) -> str:
    """Returns a score with four digits after the point, and a count without."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _unknown_labels(known: Sequence[str], labels: Sequence[str], data: str) -> list[str]:
    """Returns the labels that the model does not know.

    Raises:
        DataError: If it knows none of them.
    """
    unknown = [label for label in labels if label not in known]
    if unknown and len(unknown) == len(labels):
        raise DataError(
            f"{data}: the model knows none of the {len(labels)} labels ({_listed(labels)}), but "
            f"{_listed(known) or 'none'}.",
            "Train a model on this data, or evaluate on data with the same labels.",
        )
    return unknown


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels[:NAMED]) + (", ..." if len(labels) > NAMED else "")
