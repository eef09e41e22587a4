"""`dlrecipes copy RECIPE FOLDER`: a recipe of one's own."""

from __future__ import annotations

import shlex
import shutil
import uuid
from pathlib import Path

import click

from dlrecipes.errors import UsageError
from dlrecipes.recipe.registry import find


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
    if folder.exists():
        raise UsageError(f"{folder}: this exists already.", "Name a new folder.")
    if not folder.parent.is_dir():
        raise UsageError(f"{folder.parent}: there is no such folder.", "Make it first.")
    part = folder.parent / f".copying-{uuid.uuid4().hex}"
    try:
        shutil.copytree(
            source.folder, part, ignore=shutil.ignore_patterns("__pycache__", ".*"), symlinks=False
        )
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    where = shlex.quote(str(folder if folder.is_absolute() else f"./{folder}"))
    click.echo(f"Copied {source.name} to {folder}. Next:")
    click.echo(f"  dlrecipes validate {where}\n  dlrecipes run {where}")
