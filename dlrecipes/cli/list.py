"""`dlrecipes list`: the recipes, one per line."""

import click

from dlrecipes.recipe.registry import sources


@click.command(name="list")
def command() -> None:
    """Show the recipes, one per line."""
    recipes = sources()
    width = max((len(source.name) for source in recipes), default=0)
    for source in recipes:
        click.echo(f"{source.name:<{width}}  {source.summary}")
    click.echo("\nMore of one: dlrecipes info RECIPE    Train it: dlrecipes run RECIPE")
