"""`dlrecipes predict RECIPE INPUT...`: what the published model says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dlrecipes.cli.options import (
    RecipeCommands,
    model_version,
    models_dir,
    setting_options,
    typed_settings,
)
from dlrecipes.errors import DataError, UsageError
from dlrecipes.recipe.registry import Source

HELP = """Ask the published model of RECIPE; INPUT '-' reads one input a line from standard input.

'dlrecipes predict RECIPE --help' shows what else the recipe's predictions can be told.

\b
Examples:
  dlrecipes predict slot_filling "leave Beijing on November 2nd"
  dlrecipes predict slot_filling - < sentences.txt
  dlrecipes predict poem_generation "明月" --seed 7
"""


def make(source: Source) -> click.Command:
    """Returns the command that asks one recipe's model."""
    options = source.predict_options()

    def callback(inputs: tuple[str, ...], model_version, models_dir: Path, **values: Any) -> None:
        told = typed_settings(values, ())
        found = options.parse(told, source.name) if options else None
        _predict(source, inputs, found, bool(told), model_version, models_dir)

    command = click.Command(
        source.name,
        callback=callback,
        help=f"Ask the published model of {source.name}; INPUT '-' reads one input a line from "
        "standard input.",
        short_help=source.summary,
        params=[
            click.Argument(["inputs"], nargs=-1),
            *(setting_options(options) if options else []),
        ],
    )
    return models_dir(model_version(command))


command = RecipeCommands(name="predict", help=HELP, make=make, no_args_is_help=False)


def _predict(
    source: Source,
    inputs: tuple[str, ...],
    options: Any,
    told: bool,
    model_version: int | None,
    models: Path,
) -> None:
    from dlrecipes.export.version import find_version

    if not inputs and not told:
        raise UsageError("There is nothing to predict.", "Type an input in quotes, or '-'.")
    if inputs == ("-",):
        inputs = _lines()
        if not inputs:
            raise UsageError("Standard input is empty.", "Give one input a line.")
    for number, text in enumerate(inputs, start=1):
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise UsageError(f"Input {number} is not UTF-8.")
    typed = click.get_current_context().info_name
    version = find_version(models, source.name, model_version, typed=typed)
    config = source.config()
    settings = config.parse(config.from_yaml(version.config_file), str(version.config_file))

    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    task = source.recipe()(settings, source.name)
    for text in task.answer(version, inputs, options):
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
