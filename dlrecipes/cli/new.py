"""`dlrecipes new FOLDER`: a recipe to fill in."""

from __future__ import annotations

from pathlib import Path

import click

from dlrecipes.cli.copy import next_commands
from dlrecipes.recipe.scaffold import new_recipe


@click.command(name="new")
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Write a small recipe of your own to FOLDER; it runs as it is.

    \b
    Example:
      dlrecipes new my_task && dlrecipes run ./my_task
    """
    new_recipe(folder)
    click.echo(f"Wrote {folder}: config.py has the settings, recipe.py data and model. Next:")
    click.echo(next_commands(folder))
