"""Repeated descents, each from a perturbation of the best end point."""

import math

import numpy as np

from dlrecipes.layers._arguments import integer, number
from dlrecipes.training.global_search.base import GlobalSearch, Objective


class RandomPerturbation(GlobalSearch):
    """Descends, perturbs the weights at the end and descends again, keeping the lower end point.

    A descent is gradient descent over all the data with a new optimizer like the model's. A
    perturbation adds normal noise to all weights of the lowest end point so far.

    Args:
        noise: Standard deviation of the perturbation of each weight, above 0: about the distance
            between neighbouring minima. Defaults to 1.0.
        steps: Evaluations per descent, at least 2. Defaults to 50.

    Raises:
        ValueError: If `noise` is not a finite number above 0, or if `steps` is not an integer of
            at least 2.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from dlrecipes.training import RandomPerturbation
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[1.0], [-1.0]])
    >>> search = RandomPerturbation(steps=20)
    >>> result = search.minimize(model, x, y, evaluations=60, seed=0)
    >>> result.history.shape, bool(result.loss <= result.history[0])
    ((60,), True)

    Reference:
        Wales and Doye, 1997, "Global optimization by basin-hopping and the lowest energy structures
        of Lennard-Jones clusters containing up to 110 atoms", section 2.
        https://doi.org/10.1021/jp970984n
        Leary, 2000, "Global optimization on funneling landscapes" (uphill steps are never
        accepted).
    """

    def __init__(self, noise: float = 1.0, steps: int = 50):
        number("noise", noise, "a finite number above 0", lambda size: 0 < size < math.inf)
        integer("steps", steps, least=2)
        self.noise = noise
        self.steps = steps

    def search(self, objective: Objective, rng: np.random.Generator) -> None:
        """Descends repeatedly until the evaluations are used up."""
        lowest, loss = objective.descend(objective.start, self.steps)
        while True:
            perturbed = lowest + self.noise * rng.standard_normal(lowest.size)
            end, end_loss = objective.descend(perturbed, self.steps)
            if end_loss < loss or math.isinf(loss):
                lowest, loss = end, end_loss
