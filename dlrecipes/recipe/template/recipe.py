"""My task: data, model and batches."""

import keras
import numpy as np

from dlrecipes.data.batches import array_batches
from dlrecipes.data.sources import load_source
from dlrecipes.errors import DataError
from dlrecipes.recipe import Recipe, Splits

from .config import Config


class MyTask(Recipe):
    """Classifies points in the plane."""

    Config = Config

    def load_data(self) -> Splits:
        """Returns rows of x, y and class."""
        rows = load_source(self.config.data, builtin=self._two_moons, folder=self._read)
        return Splits(*np.split(rows, [int(0.7 * len(rows)), int(0.85 * len(rows))]))

    def _two_moons(self):
        random = np.random.default_rng(self.config.seed)
        angle, label = random.uniform(0, np.pi, 2000), random.integers(0, 2, 2000)
        x, y = np.cos(angle) * (1 - 2 * label) + label, np.sin(angle) * (1 - 2 * label) + label / 2
        return np.column_stack([x, y, label]) + random.normal(0, 0.1, (2000, 3)) * [1, 1, 0]

    def _read(self, path):
        try:
            rows = np.loadtxt(path, delimiter=",", ndmin=2, converters={2: np.uint8})
            return np.random.default_rng(0).permutation(np.asarray_chkfinite(rows))
        except (OSError, ValueError):
            raise DataError(f"{path}: expected a CSV file with lines x,y,class from 0.") from None

    def build(self, splits: Splits) -> keras.Model:
        """Returns a network with one hidden layer."""
        hidden = keras.layers.Dense(self.config.units, "relu")
        output = keras.layers.Dense(int(splits.train[:, 2].max()) + 1, "softmax", name="classes")
        model = keras.Sequential([keras.Input((2,), name="points"), hidden, output])
        adam = keras.optimizers.Adam(self.config.learning_rate)
        model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def dataset(self, model, examples, start_epoch=None):
        """Returns batches of points and classes."""
        points, classes = examples[:, :2].astype("float32"), examples[:, 2].astype("int32")
        return array_batches(points, classes, self.config.batch_size, self.config.seed, start_epoch)
