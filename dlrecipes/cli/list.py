"""`dlrecipes list`: the recipes, a line each."""

import click

from dlrecipes.recipe.registry import sources


@click.command(name="list")
def command() -> None:
    """Show the recipes, a line each."""
    found = sources()
    width = max((len(source.name) for source in found), default=0)
    for source in found:
        click.echo(f"{source.name:<{width}}  {source.summary}")
    click.echo("\nMore of one: dlrecipes info RECIPE    Train it: dlrecipes run RECIPE")
