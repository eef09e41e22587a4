"""The interface of searches that can leave a local minimum, and their shared parts."""

from __future__ import annotations

import abc
import math
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.layers._arguments import integer
from dlrecipes.training._engine.values import check_finite
from dlrecipes.training.trainer import batch_size as count_of


class SearchResult(NamedTuple):
    """Result of a search, whose best weights are in the model.

    Args:
        loss: Lowest loss; infinity if every loss was NaN or infinite.
        history: Lowest loss so far after each evaluation, of shape `(evaluations,)`, beginning with
            the loss of the initial weights.
    """

    loss: float
    history: np.ndarray


class GlobalSearch(abc.ABC):
    """Searches for the lowest loss of a model where gradient descent gets stuck.

    The methods are `Restarts`, `SimulatedAnnealing`, `RandomPerturbation` and `EvolutionarySearch`;
    a subclass decides in `search` which weights to try. The loss is the one given to `compile`,
    with regularizers, over all the data and with the model in inference mode. Computing it once is
    one evaluation, with or without its gradient. The methods keep several copies of all weights,
    and are meant for small networks.

    Example:

    >>> import keras
    >>> from dlrecipes.training import GlobalSearch
    >>> class RandomSearch(GlobalSearch):
    ...     def search(self, objective, rng):
    ...         while True:
    ...             objective(rng.normal(size=objective.start.size))
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = keras.ops.ones((1, 1))
    >>> result = RandomSearch().minimize(model, x, x, evaluations=20, seed=0)
    >>> result.history.shape
    (20,)
    """

    def minimize(
        self,
        model: keras.Model,
        x: Any,
        y: Any = None,
        *,
        evaluations: int,
        seed: int,
        batch_size: int | None = None,
    ) -> SearchResult:
        """Searches from the model's weights, and leaves the model with the best weights.

        Only the trainable weights are searched. The result is a function of the arguments and the
        initial weights, and is never worse than these. If an exception ends the search early, such
        as Ctrl-C, it is propagated, and the model gets the best weights so far.

        Args:
            model: Compiled and built model, in one process and on one device.
            x: Inputs: arrays in any structure, with the examples along the first axis.
            y: Targets, in the same form. Defaults to `None`.
            evaluations: Number of evaluations of the loss, at least 1; the first is at the initial
                weights.
            seed: Seed of the random choices, at least 0.
            batch_size: Number of examples to process at a time, which saves memory. Defaults to all
                of them.

        Returns:
            The lowest loss and its history.

        Raises:
            ValueError: If the model is not compiled, has no trainable weights or runs on several
                replicas, if there are no examples, if they contain NaN or infinity, or if a number
                is out of bounds.
        """
        integer("evaluations", evaluations)
        integer("seed", seed, least=0)
        if batch_size is not None:
            integer("batch_size", batch_size)
        check_finite("x", x)
        check_finite("y", y)
        objective = Objective(model, x, y, evaluations, batch_size)
        try:
            objective(objective.start)
            self.search(objective, np.random.default_rng(seed))
        except BudgetSpent:
            pass
        finally:
            objective.restore_best()
        return SearchResult(objective.best_loss, np.array(objective.history))

    @abc.abstractmethod
    def search(self, objective: Objective, rng: np.random.Generator) -> None:
        """Tries weights until the objective raises `BudgetSpent`.

        Args:
            objective: Function of weights that returns their loss, and keeps the best ones.
            rng: Generator of all random choices.
        """


class BudgetSpent(Exception):  # noqa: N818
    """Ends a search whose number of evaluations is used up."""


class Objective:
    """The loss of a model as a function of its weights, with a limited number of evaluations.

    Args:
        model: Compiled model.
        x: Inputs.
        y: Targets.
        evaluations: Number of evaluations allowed.
        batch_size: Number of examples to process at a time, or `None` for all.

    Attributes:
        start: Initial trainable weights, as one vector.
        shapes: Shapes of the trainable weights.
        best: Best weights so far.
        best_loss: Loss of the best weights.
        history: Lowest loss so far after each evaluation.
    """

    def __init__(self, model, x, y, evaluations: int, batch_size: int | None = None):
        if not model.compiled or not model.built or not model.trainable_variables:
            raise ValueError(f"{model.name} must be compiled and have trainable weights.")
        strategy = getattr(model, "distribute_strategy", None)
        if strategy is not None and strategy.num_replicas_in_sync > 1:
            raise ValueError("A global search runs on one replica: build the model outside scope.")
        data = tf.nest.map_structure(tf.convert_to_tensor, (x, y) if y is not None else (x,))
        total = int(count_of(data))
        if not total:
            raise ValueError("x is empty: a search needs at least one example.")
        self.model = model
        self.variables = model.trainable_variables
        self.shapes = [tuple(variable.shape) for variable in self.variables]
        self.evaluations = evaluations
        self.history: list[float] = []
        self.best = self.start = self._weights()
        self.best_loss = math.inf
        size = batch_size or total
        self._parts = [
            tf.nest.map_structure(lambda a, n=first: a[n : n + size], data)
            for first in range(0, total, size)
        ]
        self._fractions = [int(count_of(part)) / total for part in self._parts]
        self._optimizer = None
        self._loss_of = tf.function(self._batch_loss)
        self._gradient_of = tf.function(self._batch_gradient)

    @property
    def progress(self) -> float:
        """Fraction of the evaluations that are done."""
        return len(self.history) / self.evaluations

    def __call__(self, weights: np.ndarray) -> float:
        """Returns the loss at given weights, or infinity if it is NaN.

        Args:
            weights: Trainable weights, as one vector.

        Raises:
            BudgetSpent: If no evaluation is left.
        """
        self._assign(weights)
        losses = [self._loss_of(part) for part in self._remaining()]
        return self._record(losses, lambda: np.array(weights))

    def descend(self, weights: np.ndarray, evaluations: int) -> tuple[np.ndarray, float]:
        """Runs gradient descent from given weights, with a new optimizer like the model's.

        Args:
            weights: Initial weights.
            evaluations: Number of evaluations; each but the last is followed by an update.

        Returns:
            The final weights and their loss.

        Raises:
            BudgetSpent: If no evaluation is left.
        """
        self._assign(weights)
        self._renew_optimizer()
        for _ in range(evaluations - 1):
            losses, gradients = zip(*map(self._gradient_of, self._remaining()), strict=True)
            loss = self._record(losses, self._weights)
            if math.isinf(loss):
                return self._weights(), loss
            by_variable = zip(*gradients, strict=True)
            self._update([_mean(parts, self._fractions) for parts in by_variable])
        end = self._weights()
        return end, self(end)

    def restore_best(self) -> None:
        """Assigns the best weights to the model."""
        self._assign(self.best)

    def _remaining(self):
        if len(self.history) >= self.evaluations:
            raise BudgetSpent
        return self._parts

    def _record(self, losses, weights) -> float:
        loss = float(_mean(losses, self._fractions))
        loss = loss if math.isfinite(loss) else math.inf
        if loss < self.best_loss:
            self.best_loss, self.best = loss, weights()
        self.history.append(self.best_loss)
        return loss

    def _batch_loss(self, part):
        y = part[1] if len(part) > 1 else None
        y_pred = self.model(part[0], training=False)
        return self.model.compute_loss(part[0], y, y_pred, training=False)

    def _batch_gradient(self, part):
        with tf.GradientTape() as tape:
            loss = self._batch_loss(part)
        values = [variable.value for variable in self.variables]
        gradients = tape.gradient(loss, values, unconnected_gradients="zero")
        return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]

    def _renew_optimizer(self) -> None:
        if self._optimizer is None:
            original = self.model.optimizer
            original = getattr(original, "inner_optimizer", original)
            self._optimizer = type(original).from_config(original.get_config())
            self._optimizer.build(self.variables)
            self._initial_state = [np.array(v) for v in self._optimizer.variables]
            self._update = tf.function(lambda g: self._optimizer.apply(g, self.variables))
        for variable, value in zip(self._optimizer.variables, self._initial_state, strict=True):
            variable.assign(value)

    def _weights(self) -> np.ndarray:
        return np.concatenate([np.ravel(variable.numpy()) for variable in self.variables])

    def _assign(self, weights: np.ndarray) -> None:
        first = 0
        for variable, shape in zip(self.variables, self.shapes, strict=True):
            size = math.prod(shape)
            variable.assign(weights[first : first + size].reshape(shape))
            first += size


def _mean(values, fractions):
    return sum(value * fraction for value, fraction in zip(values, fractions, strict=True))
