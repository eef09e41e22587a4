"""One interface for searches that can leave a local minimum, and what they share."""

from __future__ import annotations

import abc
import math
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.layers._arguments import integer
from dlrecipes.training.trainer import batch_size as count_of


class SearchResult(NamedTuple):
    """What a search found; the weights are in the model.

    Args:
        loss: The lowest loss found, infinite if none was a number.
        history: The lowest loss after each evaluation, shape `(evaluations,)`; the first is
            that of the weights at the start.
    """

    loss: float
    history: np.ndarray


class GlobalSearch(abc.ABC):
    """A search for the lowest loss of a model that goes on where gradient descent gets stuck.

    The methods are `Restarts`, `SimulatedAnnealing`, `RandomPerturbation` and
    `EvolutionarySearch`; a subclass says in `search` which weights to try. The loss is the one
    that `compile` names, with its regularizers, over all the data, of the model as in
    inference. An evaluation is that loss once; with its gradient, where a method descends, it
    counts once too. The methods hold several copies of all weights: they are for networks that
    are small.
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
        """Searches from the model's weights; leaves it with the best that were found.

        The trainable weights alone are searched, and the result is a function of the
        arguments and the weights at the start. The model is never left worse than it was.
        Whatever ends the search early, Ctrl-C too, passes through, and the model has the best
        weights found so far.

        Args:
            model: Compiled, its weights made, in one process and on one device.
            x: Inputs, as arrays in any structure, examples along the first axis.
            y: Targets, likewise.
            evaluations: How often the loss is computed, at least 1, the first time at the
                start; exactly so often.
            seed: Seed of the random choices, at least 0.
            batch_size: How many examples to take at once, which saves memory; all by default.

        Returns:
            The lowest loss and how it came down.

        Raises:
            ValueError: If the model is not compiled, has no trainable weights or runs on
                several replicas, there are no examples, or a number is out of bounds.
        """
        integer("evaluations", evaluations)
        integer("seed", seed, least=0)
        if batch_size is not None:
            integer("batch_size", batch_size)
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
            objective: Gives the loss of weights, and keeps the best.
            rng: The source of all random choices.
        """


class BudgetSpent(Exception):  # noqa: N818
    """Ends a search: as many evaluations are done as were allowed."""


class Objective:
    """The loss of a model as a function of its weights, which counts and keeps the best.

    Args:
        model: Compiled.
        x: Inputs.
        y: Targets.
        evaluations: How many are allowed.
        batch_size: How many examples are taken at once.

    Attributes:
        start: The trainable weights at the start, one vector; `shapes` has their shapes.
        best: The best weights; `best_loss` is their loss.
        history: The lowest loss after each evaluation.
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
            raise ValueError("There are no examples to search with.")
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
        self._shares = [int(count_of(part)) / total for part in self._parts]
        self._optimizer = None
        self._loss_of = tf.function(self._batch_loss)
        self._gradient_of = tf.function(self._batch_gradient)

    @property
    def progress(self) -> float:
        """Share of the evaluations that are done."""
        return len(self.history) / self.evaluations

    def __call__(self, weights: np.ndarray) -> float:
        """Returns the loss of weights, infinite where it is no number.

        Raises:
            BudgetSpent: If no evaluation is left.
        """
        self._assign(weights)
        losses = [self._loss_of(part) for part in self._remaining()]
        return self._note(losses, lambda: np.array(weights))

    def descend(self, weights: np.ndarray, evaluations: int) -> tuple[np.ndarray, float]:
        """Follows the gradient from weights, by a fresh optimizer like the model's.

        Args:
            weights: Where to begin.
            evaluations: How many losses to compute: an update after each but the last.

        Returns:
            The weights at the end, and their loss.

        Raises:
            BudgetSpent: If no evaluation is left.
        """
        self._assign(weights)
        self._renew_optimizer()
        for _ in range(evaluations - 1):
            found = [self._gradient_of(part) for part in self._remaining()]
            loss = self._note([one for one, _ in found], self._weights)
            if math.isinf(loss):
                return self._weights(), loss
            gradients = zip(*(each for _, each in found), strict=True)
            self._update([_mean(each, self._shares) for each in gradients])
        end = self._weights()
        return end, self(end)

    def restore_best(self) -> None:
        """Gives the model the best weights."""
        self._assign(self.best)

    def _remaining(self):
        if len(self.history) >= self.evaluations:
            raise BudgetSpent
        return self._parts

    def _note(self, losses, weights) -> float:
        loss = float(_mean(losses, self._shares))
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
            ours = self.model.optimizer
            ours = getattr(ours, "inner_optimizer", ours)
            self._optimizer = type(ours).from_config(ours.get_config())
            self._optimizer.build(self.variables)
            self._fresh = [np.array(v) for v in self._optimizer.variables]
            self._update = tf.function(lambda g: self._optimizer.apply(g, self.variables))
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)

    def _weights(self) -> np.ndarray:
        return np.concatenate([np.ravel(variable.numpy()) for variable in self.variables])

    def _assign(self, weights: np.ndarray) -> None:
        first = 0
        for variable, shape in zip(self.variables, self.shapes, strict=True):
            size = math.prod(shape)
            variable.assign(weights[first : first + size].reshape(shape))
            first += size


def _mean(values, shares):
    return sum(value * share for value, share in zip(values, shares, strict=True))
