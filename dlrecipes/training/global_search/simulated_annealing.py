"""Random steps that go uphill less and less often."""

import math

import numpy as np

from dlrecipes.layers._arguments import number
from dlrecipes.training.global_search.base import GlobalSearch, Objective


class SimulatedAnnealing(GlobalSearch):
    """Takes random steps, and accepts worse weights with a probability that falls over time.

    A step adds normal noise to all weights. A step that raises the loss by `d` is accepted with
    probability `exp(-d / T)`. The temperature `T` falls geometrically from the first evaluation to
    the last, between two values. No gradients are needed.

    Args:
        start_temperature: Initial temperature in units of the loss, above 0: about the height of
            the barriers to cross. Defaults to 1.0.
        end_temperature: Final temperature, above 0 and at most the initial one: about the
            differences in loss that matter at the end. Defaults to 0.001.
        step: Standard deviation of a step in each weight, above 0. Defaults to 0.1.

    Raises:
        ValueError: If a number is out of bounds.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from dlrecipes.training import SimulatedAnnealing
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[1.0], [-1.0]])
    >>> result = SimulatedAnnealing().minimize(model, x, y, evaluations=60, seed=0)
    >>> result.history.shape, bool(result.loss <= result.history[0])
    ((60,), True)

    Reference:
        Kirkpatrick, Gelatt and Vecchi, 1983, "Optimization by simulated annealing".
        https://doi.org/10.1126/science.220.4598.671
        Metropolis, Rosenbluth, Rosenbluth, Teller and Teller, 1953, "Equation of state calculations
        by fast computing machines" (the rule of acceptance). https://doi.org/10.1063/1.1699114
    """

    def __init__(
        self, start_temperature: float = 1.0, end_temperature: float = 1e-3, step: float = 0.1
    ):
        bounds = "a finite number above 0"
        number("start_temperature", start_temperature, bounds, lambda t: 0 < t < math.inf)
        number("step", step, bounds, lambda size: 0 < size < math.inf)
        bounds = "a number above 0, at most start_temperature"
        number("end_temperature", end_temperature, bounds, lambda t: 0 < t <= start_temperature)
        self.start_temperature = start_temperature
        self.end_temperature = end_temperature
        self.step = step

    def search(self, objective: Objective, rng: np.random.Generator) -> None:
        """Takes steps until the evaluations are used up."""
        weights, loss = objective.best, objective.best_loss
        while True:
            candidate = weights + self.step * rng.standard_normal(weights.size)
            candidate_loss = objective(candidate)
            ratio = self.end_temperature / self.start_temperature
            temperature = self.start_temperature * ratio**objective.progress
            if accepts(candidate_loss - loss, temperature, rng):
                weights, loss = candidate, candidate_loss


def accepts(rise: float, temperature: float, rng: np.random.Generator) -> bool:
    """Decides whether to accept a step, by the Metropolis rule.

    Args:
        rise: Increase of the loss.
        temperature: Temperature in units of the loss, above 0.
        rng: Random generator.

    Returns:
        `True` to accept the step.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.training.global_search.simulated_annealing import accepts
    >>> rng = np.random.default_rng(0)
    >>> accepts(-1.0, 0.1, rng), accepts(1000.0, 0.1, rng)
    (True, False)
    """
    # Infinity minus infinity is NaN: from an infinite loss, any step is accepted.
    return not rise > 0 or rng.random() < math.exp(-rise / temperature)
