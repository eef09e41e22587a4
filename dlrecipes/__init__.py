"""Deep-learning recipes: Keras layers, models and training loops, and tasks made of them.

Importing this package loads no TensorFlow: what is used of it is imported then.
"""

from typing import TYPE_CHECKING

from dlrecipes._utils import keras_registry
from dlrecipes._utils.lazy import attach

if TYPE_CHECKING:
    from dlrecipes.api import Model, list_recipes, load, load_recipe, publish, run
    from dlrecipes.tuning.hypermodel import HyperModel

__version__ = "0.2.0"

__all__ = ["HyperModel", "Model", "list_recipes", "load", "load_recipe", "publish", "run"]

attach(
    __name__,
    {
        **dict.fromkeys(__all__, "api"),
        "HyperModel": "dlrecipes.tuning.hypermodel",
    },
    packages=("data", "export", "layers", "losses", "metrics", "models", "recipe", "training"),
)
# `keras.saving.load_model` finds the classes of this package.
keras_registry.install()
