"""Several descents from different initial weights."""

import keras
import numpy as np

from dlrecipes.layers._arguments import integer
from dlrecipes.training.global_search.base import GlobalSearch, Objective


class Restarts(GlobalSearch):
    """Descends from the model's weights, then repeatedly from new random weights.

    Each descent is gradient descent over all the data, with a new optimizer like the model's. New
    weights are random if they have at least two axes; those with one axis, such as biases and
    scales, begin with their initial values.

    Args:
        steps: Evaluations per descent, at least 2. A quarter of the evaluations of the whole search
            gives four descents. Defaults to 200.
        initializer: Random Keras initializer of the new weights, or its name. Defaults to
            `"glorot_uniform"`.

    Raises:
        ValueError: If `steps` is not an integer of at least 2, or if the initializer is not random.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from dlrecipes.training import Restarts
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
        self.steps = steps
        self.initializer = keras.initializers.get(initializer)
        if "seed" not in getattr(self.initializer, "get_config", dict)():
            raise ValueError(f"initializer must be a random one of Keras', not {initializer!r}.")

    def search(self, objective: Objective, rng: np.random.Generator) -> None:
        """Descends repeatedly until the evaluations are used up."""
        weights = objective.start
        while True:
            objective.descend(weights, self.steps)
            weights = self._random_weights(objective, rng)

    def _random_weights(self, objective, rng):
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
