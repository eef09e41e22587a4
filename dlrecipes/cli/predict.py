"""`dlrecipes predict RECIPE INPUT...`: what the published model says."""

from __future__ import annotations

from pathlib import Path

import click

from dlrecipes.cli.options import model_version, models_dir
from dlrecipes.errors import DataError, UsageError
from dlrecipes.registry import find


@click.command(name="predict")
@click.argument("recipe")
@click.argument("inputs", nargs=-1)
@model_version
@models_dir
def command(recipe: str, inputs: tuple[str, ...], model_version, models_dir: Path) -> None:
    """Ask the published model of RECIPE; INPUT '-' reads one input a line from standard input.

    \b
    Examples:
      dlrecipes predict slot_filling "leave Beijing on November 2nd"
      dlrecipes predict slot_filling - < sentences.txt
    """
    from dlrecipes import published

    source = find(recipe)
    if not inputs:
        raise UsageError("There is nothing to predict.", "Type an input in quotes, or '-'.")
    if inputs == ("-",):
        inputs = _lines()
    if not inputs:
        raise UsageError("Standard input is empty.", "Give one input a line.")
    for number, text in enumerate(inputs, start=1):
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise UsageError(f"Input {number} is not UTF-8.")
    version = published.find(models_dir, source.name, model_version, typed=recipe)
    config = source.config()
    settings = config.parse(config.from_yaml(version.config_file), str(version.config_file))

    from dlrecipes.quiet import load_tensorflow

    load_tensorflow()
    task = source.recipe()(settings, source.name)
    for text in task.predict(version.function(), inputs):
        click.echo(text)


def _lines() -> tuple[str, ...]:
    """Returns the lines of standard input; blank ones ask nothing."""
    found = []
    for number, line in enumerate(click.get_binary_stream("stdin"), start=1):
        try:
            found.append(line.decode("utf-8").rstrip("\r\n"))
        except UnicodeDecodeError:
            raise DataError(f"Standard input, line {number}: this is not UTF-8.") from None
    return tuple(line for line in found if line.strip())
