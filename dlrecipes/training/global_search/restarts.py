"""Several descents from different weights, of which the lowest counts."""

import keras
import numpy as np

from dlrecipes.layers._arguments import integer
from dlrecipes.training.global_search.base import GlobalSearch, Objective


class Restarts(GlobalSearch):
    """Descends from the model's weights, then from fresh random ones, again and again.

    Each descent follows the gradient by an optimizer like the model's, over all the data. Of
    the fresh weights those with two axes and more are drawn; those with one, biases and
    scales, are as at the start.

    Args:
        steps: Evaluations of the loss in one descent, at least 2. With a quarter of the evaluations
            that the whole search has, there are four descents.
        initializer: What draws fresh weights, as Keras takes it; one that is random.

    Raises:
        ValueError: If `steps` is not an integer of at least 2, or the initializer draws
            nothing.

    Example:

    >>> layer = keras.layers.Dense(1, activation="tanh")
    >>> model = keras.Sequential([keras.Input((2,)), layer])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> x, y = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[1.0], [-1.0]])
    >>> result = Restarts(steps=20).minimize(model, x, y, evaluations=60, seed=0)
    >>> result.history.shape, bool(result.loss <= result.history[0])
    ((60,), True)

    Reference:
        Zhou, 2016, "Machine learning" (in Chinese), section 5.4; Rinnooy Kan and Timmer, 1987,
        "Stochastic global optimization methods, part I: clustering methods", section 2
        (multistart).
    """

    def __init__(self, steps: int = 200, initializer="glorot_uniform"):
        integer("steps", steps, least=2)
        found = keras.initializers.get(initializer)
        if "seed" not in getattr(found, "get_config", dict)():
            raise ValueError(f"initializer must be a random one of Keras', not {initializer!r}.")
        self.steps = steps
        self.initializer = found

    def search(self, objective: Objective, rng: np.random.Generator) -> None:
        """Descends until the evaluations are used up."""
        weights = objective.start
        while True:
            objective.descend(weights, self.steps)
            weights = self._fresh(objective, rng)

    def _fresh(self, objective, rng):
        parts, first = [], 0
        for shape in objective.shapes:
            size = int(np.prod(shape))
            part = objective.start[first : first + size]
            if len(shape) > 1:
                config = {**self.initializer.get_config(), "seed": int(rng.integers(2**31))}
                part = np.ravel(type(self.initializer).from_config(config)(shape))
            parts.append(part)
            first += size
        return np.concatenate(parts)
