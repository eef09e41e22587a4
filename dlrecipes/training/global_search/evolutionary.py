"""A population of weights: recombined, mutated and selected."""

import math

import numpy as np

from dlrecipes.layers._arguments import integer, number
from dlrecipes.training.global_search.base import GlobalSearch, Objective


class EvolutionarySearch(GlobalSearch):
    """Breeds weights by an evolution strategy: the best of parents and children live on.

    A child has each weight from one of two parents, by chance (discrete recombination). Then
    normal noise is added, whose size the child inherits, the parents' geometric mean times a
    log-normal factor: sizes that make good children live on with them (self-adaptation). The
    first parents are the model's weights and copies of them with noise. It takes no gradient.

    Args:
        parents: How many live on, at least 2 (mu).
        children: How many are bred a generation, at least 1 (lambda).
        step: Standard deviation of the first noise in each weight, above 0: how far from the
            model's weights the search begins.

    Raises:
        ValueError: If a number is out of these bounds.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[1.0], [-1.0]])
    >>> result = EvolutionarySearch().minimize(model, x, y, evaluations=60, seed=0)
    >>> result.history.shape, bool(result.loss <= result.history[0])
    ((60,), True)

    Reference:
        Beyer and Schwefel, 2002, "Evolution strategies: a comprehensive introduction",
        algorithm 1 (the (mu/2 + lambda) strategy) and section 4.2 (self-adaptation); Rechenberg,
        1973, "Evolutionsstrategie".
    """

    def __init__(self, parents: int = 10, children: int = 40, step: float = 1.0):
        integer("parents", parents, least=2)
        integer("children", children)
        wanted = "a finite number above 0"
        number("step", step, wanted, lambda size: 0 < size < math.inf)
        self.parents = parents
        self.children = children
        self.step = step

    def search(self, objective: Objective, rng: np.random.Generator) -> None:
        """Breeds until the evaluations are used up."""
        size = objective.start.size
        # Each is its loss, its weights and the logarithm of its noise.
        population = [(objective.best_loss, objective.start, math.log(self.step))]
        for _ in range(self.parents - 1):
            weights = objective.start + self.step * rng.standard_normal(size)
            population.append((objective(weights), weights, math.log(self.step)))
        while True:
            for _ in range(self.children):
                first, second = rng.choice(self.parents, 2, replace=False)
                _, one, one_noise = population[first]
                _, other, other_noise = population[second]
                noise = (one_noise + other_noise) / 2 + rng.standard_normal() / math.sqrt(size)
                weights = np.where(rng.random(size) < 0.5, one, other)
                weights = weights + math.exp(noise) * rng.standard_normal(size)
                population.append((objective(weights), weights, noise))
            population = sorted(population, key=lambda one: one[0])[: self.parents]
