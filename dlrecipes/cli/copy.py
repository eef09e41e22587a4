"""`dlrecipes copy RECIPE FOLDER`: a recipe of one's own."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from dlrecipes.recipe.registry import find
from dlrecipes.recipe.scaffold import copy_recipe


@click.command(name="copy")
@click.argument("recipe")
@click.argument("folder", type=click.Path(path_type=Path))
def command(recipe: str, folder: Path) -> None:
    """Copy RECIPE into FOLDER, to change it; it runs the same way from there.

    \b
    Example:
      dlrecipes copy slot_filling my_slots && dlrecipes run ./my_slots
    """
    source = find(recipe)
    copy_recipe(source, folder)
    click.echo(f"Copied {source.name} to {folder}. Next:")
    click.echo(next_commands(folder))


def next_commands(folder: Path) -> str:
    """Returns the commands to type after a recipe's folder was made."""
    path = shlex.quote(str(folder if folder.is_absolute() else f"./{folder}"))
    return f"  dlrecipes validate {path}\n  dlrecipes run {path}"
