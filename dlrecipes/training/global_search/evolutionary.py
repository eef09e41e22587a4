"""A population of weights that is recombined, mutated and selected."""

import math

import numpy as np

from dlrecipes.layers._arguments import integer, number
from dlrecipes.training.global_search.base import GlobalSearch, Objective


class EvolutionarySearch(GlobalSearch):
    """Searches weights with an evolution strategy, which keeps the best of parents and children.

    Each weight of a child comes from one of two parents at random (discrete recombination). Normal
    noise is then added. Its standard deviation is inherited too: it is the geometric mean of the
    parents' times a log-normal factor, so that a good step size survives together with good weights
    (self-adaptation). The first parents are the model's weights and copies of them with noise. No
    gradients are needed.

    Args:
        parents: Number of individuals that survive a generation (mu), at least 2. Defaults to 10.
        children: Number of children per generation (lambda), at least 1. Defaults to 40.
        step: Standard deviation of the initial noise of each weight, above 0: the distance from
            the model's weights at which the search begins. Defaults to 1.0.

    Raises:
        ValueError: If a number is out of bounds.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from dlrecipes.training import EvolutionarySearch
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[1.0], [-1.0]])
    >>> result = EvolutionarySearch().minimize(model, x, y, evaluations=60, seed=0)
    >>> result.history.shape, bool(result.loss <= result.history[0])
    ((60,), True)

    Reference:
        Beyer and Schwefel, 2002, "Evolution strategies: a comprehensive introduction", algorithm 1
        (the (mu/2 + lambda) strategy) and section 4.2 (self-adaptation).
        https://doi.org/10.1023/A:1015059928466
        Rechenberg, 1973, "Evolutionsstrategie".
    """

    def __init__(self, parents: int = 10, children: int = 40, step: float = 1.0):
        integer("parents", parents, least=2)
        integer("children", children)
        number("step", step, "a finite number above 0", lambda size: 0 < size < math.inf)
        self.parents = parents
        self.children = children
        self.step = step

    def search(self, objective: Objective, rng: np.random.Generator) -> None:
        """Breeds generations until the evaluations are used up."""
        size = objective.start.size
        # Each individual: its loss, its weights and the logarithm of its standard deviation.
        population = [(objective.best_loss, objective.start, math.log(self.step))]
        for _ in range(self.parents - 1):
            weights = objective.start + self.step * rng.standard_normal(size)
            population.append((objective(weights), weights, math.log(self.step)))
        while True:
            for _ in range(self.children):
                first, second = rng.choice(self.parents, 2, replace=False)
                _, mother, mother_noise = population[first]
                _, father, father_noise = population[second]
                noise = (mother_noise + father_noise) / 2 + rng.standard_normal() / math.sqrt(size)
                weights = np.where(rng.random(size) < 0.5, mother, father)
                weights = weights + math.exp(noise) * rng.standard_normal(size)
                population.append((objective(weights), weights, noise))
            population = sorted(population, key=lambda member: member[0])[: self.parents]
