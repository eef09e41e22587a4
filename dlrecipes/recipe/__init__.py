"""The contract of a recipe: its settings, data, model, metrics, figures and exports."""

from typing import TYPE_CHECKING

from dlrecipes._utils.lazy import attach

if TYPE_CHECKING:
    from dlrecipes.export.signatures import Exports, Quantized, Reference, Signature
    from dlrecipes.recipe.base import Recipe, Splits
    from dlrecipes.recipe.config import Options, RecipeConfig, Search, setting
    from dlrecipes.recipe.example_files import ExampleFile

__all__ = [
    "ExampleFile",
    "Exports",
    "Options",
    "Quantized",
    "Recipe",
    "RecipeConfig",
    "Reference",
    "Search",
    "Signature",
    "Splits",
    "setting",
]

attach(
    __name__,
    {
        "ExampleFile": "example_files",
        "Exports": "dlrecipes.export.signatures",
        "Options": "config",
        "Quantized": "dlrecipes.export.signatures",
        "Recipe": "base",
        "RecipeConfig": "config",
        "Reference": "dlrecipes.export.signatures",
        "Search": "config",
        "Signature": "dlrecipes.export.signatures",
        "Splits": "base",
        "setting": "config",
    },
)
