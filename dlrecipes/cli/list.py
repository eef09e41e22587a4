"""`dlrecipes list`: the recipes, or the published models, one per line."""

from pathlib import Path

import click

from dlrecipes.cli.options import models_dir
from dlrecipes.recipe.published import published_models
from dlrecipes.recipe.registry import sources


@click.command(name="list")
@click.option("--published", is_flag=True, help="Show the published models instead.")
@models_dir
def command(published: bool, models_dir: Path) -> None:
    """Show the recipes, or with --published the latest versions of models, one per line."""
    if published:
        _list_published(models_dir)
        return
    recipes = sources()
    width = max((len(source.name) for source in recipes), default=0)
    for source in recipes:
        click.echo(f"{source.name:<{width}}  {source.summary}")
    click.echo("\nMore of one: dlrecipes info RECIPE    Train it: dlrecipes run RECIPE")


def _list_published(models: Path) -> None:
    found = published_models(models)
    if not found:
        click.echo(f"{models}: no model is published there. Publish one: dlrecipes run RECIPE")
        return
    rows = [("model", "version", "published", "test score", "trained on")]
    rows += [(x.name, x.version, x.date, x.score or "-", x.data or "-") for x in found]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for *cells, data in rows:
        start = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        click.echo(f"{start}  {data}")
