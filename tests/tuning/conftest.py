"""A small recipe to search: a line fitted to points."""

import pytest

RECIPE = '''"""A search's recipe: a line fitted to points."""

import os

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.recipe import Recipe, Splits

from .config import Config


class Line(Recipe):
    """Fits a line."""

    Config = Config
    objective = ("error", "min")

    def load_data(self):
        x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
        return Splits(x, x, x)

    def build(self, splits):
        if self.config.rate > 0.9:
            raise MemoryError("too large")
        if self.config.rate > 0.8:
            os._exit(9)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(self.config.rate), "mse")
        return model

    def dataset(self, model, examples, start_epoch=None):
        data = tf.data.Dataset.from_tensors((examples, 3 * examples))
        return (data if start_epoch is None else data.repeat()), 1

    def evaluate(self, model, splits, part):
        examples = getattr(splits, part)
        # Ending a process at a certain epoch is how a kill is tried.
        if self.config.kill and not os.path.exists(self.config.kill):
            open(self.config.kill, "w").close()
            os.kill(os.getppid(), 9)
        found = model(examples).numpy()
        return {"error": float(np.mean((found - 3 * examples) ** 2))}

'''

CONFIG = '''"""Settings."""

from dlrecipes.recipe import RecipeConfig, Search, setting


class Config(RecipeConfig):
    """Settings of the line."""

    epochs: int = setting(4, "Epochs.", ge=1)
    rate: float = setting(0.01, "SGD's step.", gt=0, le=1, search=Search(0.001, 1.0, "log"))
    kill: str = setting("", "A file that is made when the parent is killed.")
'''


@pytest.fixture
def line(tmp_path):
    folder = tmp_path / "line"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Fits a line."""\n')
    (folder / "recipe.py").write_text(RECIPE)
    (folder / "config.py").write_text(CONFIG)
    return folder
