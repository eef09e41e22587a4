"""`dlrecipes info RECIPE`: what a recipe does and all its settings."""

from __future__ import annotations

import ast
from pathlib import Path

import click

from dlrecipes.cli.options import models_dir
from dlrecipes.errors import UsageError
from dlrecipes.export.version import ModelVersion
from dlrecipes.export.version_folders import versions
from dlrecipes.recipe.options import settings, spelled
from dlrecipes.recipe.published import facts, published_models, published_source
from dlrecipes.recipe.registry import find


@click.command(name="info")
@click.argument("recipe")
@models_dir
def command(recipe: str, models_dir: Path) -> None:
    """Show what RECIPE does, its settings and what is published of it.

    For a published model (its name, or its folder), show its recipe, data, date and score.
    """
    try:
        source = find(recipe)
    except UsageError:
        _, version = published_source(recipe, models_dir)
        _show_model(version)
        return
    config = source.config()
    text = (source.folder / "__init__.py").read_text(encoding="utf-8")
    click.echo(f"{source.name}: {ast.get_docstring(ast.parse(text)) or ''}\n")
    rows = [("setting", "default", "expected", "help")]
    rows += [
        (about.written, spelled(about.default), about.expected, about.help)
        for about in settings(config)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for option, default, expected, text in rows:
        click.echo(f"  {option:<{widths[0]}}  {default:<{widths[1]}}  {text}")
        if option != "setting" and expected not in ("a text", "true or false"):
            click.echo(f"  {'':<{widths[0]}}  {'':<{widths[1]}}  ({expected})")
    published = versions(models_dir / source.name)
    latest = (
        f"version {published[-1]} in {models_dir / source.name}" if published else "nothing yet"
    )
    click.echo(f"\nPublished: {latest}")
    for model in published_models(models_dir):
        if model.recipe == source.name:
            click.echo(f"  {model.name}, version {model.version}: {model}")
    readme = source.folder / "README.md"
    if readme.is_file():
        click.echo(f"README: {readme}")


def _show_model(version: ModelVersion) -> None:
    model = facts(version)
    rows = {
        "model": f"{model.name}, version {model.version}",
        "recipe": model.recipe or "none",
        "trained on": model.data or "unknown",
        "published": model.date,
        "test": model.score or "unknown",
        "versions": ", ".join(map(str, versions(version.folder.parent))),
        "folder": str(version.folder),
    }
    for name, value in rows.items():
        click.echo(f"{name:<10}  {value}")
