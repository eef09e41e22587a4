"""Random steps, of which some go uphill, ever fewer."""

import math

import numpy as np

from dlrecipes.layers._arguments import number
from dlrecipes.training.global_search.base import GlobalSearch, Objective


class SimulatedAnnealing(GlobalSearch):
    """Takes random steps: a better one always, a worse one by a chance that falls.

    A step adds normal noise to all weights. One that raises the loss by `d` is taken with
    probability `exp(-d / T)`; the temperature `T` falls geometrically, from the first
    evaluation to the last, between two values. It takes no gradient.

    Args:
        start_temperature: The first temperature, in units of the loss, above 0: about the
            height of the hills that are to be crossed.
        end_temperature: The last, above 0, at most the first: about the difference in loss that
            shall matter at the end.
        step: Standard deviation of a step in each weight, above 0.

    Raises:
        ValueError: If a number is out of these bounds.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[1.0], [-1.0]])
    >>> result = SimulatedAnnealing().minimize(model, x, y, evaluations=60, seed=0)
    >>> result.history.shape, bool(result.loss <= result.history[0])
    ((60,), True)

    Reference:
        Kirkpatrick, Gelatt and Vecchi, 1983, "Optimization by simulated annealing";
        Metropolis, Rosenbluth, Rosenbluth, Teller and Teller, 1953, "Equation of state
        calculations by fast computing machines" (the rule of acceptance).
    """

    def __init__(
        self, start_temperature: float = 1.0, end_temperature: float = 1e-3, step: float = 0.1
    ):
        wanted = "a finite number above 0"
        number("start_temperature", start_temperature, wanted, lambda t: 0 < t < math.inf)
        number("step", step, wanted, lambda size: 0 < size < math.inf)
        wanted = "a number above 0, at most start_temperature"
        number("end_temperature", end_temperature, wanted, lambda t: 0 < t <= start_temperature)
        self.start_temperature = start_temperature
        self.end_temperature = end_temperature
        self.step = step

    def search(self, objective: Objective, rng: np.random.Generator) -> None:
        """Walks until the evaluations are used up."""
        weights, loss = objective.best, objective.best_loss
        while True:
            moved = weights + self.step * rng.standard_normal(weights.size)
            found = objective(moved)
            ratio = self.end_temperature / self.start_temperature
            temperature = self.start_temperature * ratio**objective.progress
            if accepts(found - loss, temperature, rng):
                weights, loss = moved, found


def accepts(rise: float, temperature: float, rng: np.random.Generator) -> bool:
    """Returns whether a step is taken, by the rule of Metropolis.

    Args:
        rise: By how much the step raises the loss.
        temperature: Above 0, in the loss's units.
        rng: Draws the chance.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> accepts(-1.0, 0.1, rng), accepts(1000.0, 0.1, rng)
    (True, False)
    """
    # Infinity less infinity is no number: from nowhere any step will do.
    return not rise > 0 or rng.random() < math.exp(-rise / temperature)
