"""Descents from where the best one ended, shaken."""

import math

import numpy as np

from dlrecipes.layers._arguments import integer, number
from dlrecipes.training.global_search.base import GlobalSearch, Objective


class RandomPerturbation(GlobalSearch):
    """Descends, shakes the weights where that ended, descends again; keeps the lower end.

    A descent follows the gradient by a fresh optimizer like the model's, over all the data. A
    shake adds normal noise to all weights, each time from the lowest end that was found.

    Args:
        noise: Standard deviation of a shake in each weight, above 0: about the distance
            between neighbouring minima.
        steps: Evaluations a descent, at least 2.

    Raises:
        ValueError: If `noise` is not a finite number above 0, or `steps` not an integer of at
            least 2.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[1.0], [-1.0]])
    >>> search = RandomPerturbation(steps=20)
    >>> result = search.minimize(model, x, y, evaluations=60, seed=0)
    >>> result.history.shape, bool(result.loss <= result.history[0])
    ((60,), True)

    Reference:
        Wales and Doye, 1997, "Global optimization by basin-hopping and the lowest energy
        structures of Lennard-Jones clusters containing up to 110 atoms", section 2; Leary,
        2000, "Global optimization on funneling landscapes" (no step uphill is kept).
    """

    def __init__(self, noise: float = 1.0, steps: int = 50):
        wanted = "a finite number above 0"
        number("noise", noise, wanted, lambda size: 0 < size < math.inf)
        integer("steps", steps, least=2)
        self.noise = noise
        self.steps = steps

    def search(self, objective: Objective, rng: np.random.Generator) -> None:
        """Descends until the evaluations are used up."""
        lowest, loss = objective.descend(objective.start, self.steps)
        while True:
            shaken = lowest + self.noise * rng.standard_normal(lowest.size)
            end, found = objective.descend(shaken, self.steps)
            if found < loss or math.isinf(loss):
                lowest, loss = end, found
