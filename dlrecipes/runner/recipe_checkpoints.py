"""The checkpoints of a run, with the recipe's choice of the best epoch."""

from pathlib import Path

from dlrecipes.recipe.base import Recipe
from dlrecipes.training.callbacks.checkpoints import Checkpoints


def recipe_checkpoints(recipe: Recipe, folder: Path) -> Checkpoints:
    """Returns the checkpoints of a run.

    Args:
        recipe: The recipe.
        folder: The run's folder.
    """
    return Checkpoints(
        folder / "checkpoints",
        recipe.monitor,
        recipe.mode,
        start_from_epoch=recipe.start_from_epoch,
    )
