"""The contract of a recipe: its settings, data, model, metrics, figures and exports."""

from typing import TYPE_CHECKING

from dlrecipes._utils.lazy import attach

if TYPE_CHECKING:
    from dlrecipes.export.signatures import Exports, Quantized, Reference, Signature
    from dlrecipes.recipe.base import Recipe, Splits
    from dlrecipes.recipe.config import RecipeConfig
    from dlrecipes.recipe.example_files import ExampleFile
    from dlrecipes.recipe.options import Options, Search, setting

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
        "Options": "options",
        "Quantized": "dlrecipes.export.signatures",
        "Recipe": "base",
        "RecipeConfig": "config",
        "Reference": "dlrecipes.export.signatures",
        "Search": "options",
        "Signature": "dlrecipes.export.signatures",
        "Splits": "base",
        "setting": "options",
    },
)
