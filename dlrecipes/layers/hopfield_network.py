"""The Hopfield network: a content-addressable memory."""

import keras
import numpy as np
from keras import ops

from dlrecipes.layers._arguments import integer
from dlrecipes.layers._precision import exact

RULES = ("hebbian", "projection")
UPDATES = ("asynchronous", "synchronous")


@keras.saving.register_keras_serializable(package="dlrecipes")
class HopfieldNetwork(keras.layers.Layer):
    """Recalls the stored pattern that is nearest to a corrupted one.

    Units are -1 or 1. Every two units are connected by a symmetric weight in `kernel`, of shape
    `(units, units)` with a diagonal of zero. Each unit takes the sign of the weighted sum of the
    others,

        s_i = sign(sum_j w_ij s_j),   unchanged where the sum is zero,

    until no unit changes. Asynchronous updates, one unit at a time, never raise the energy
    `E = -1/2 sum_ij w_ij s_i s_j`, so that recall ends in a local minimum. Synchronous updates, all
    units at once, are faster and may oscillate between two states. `max_sweeps` bounds both.

    `store` sets the weights from patterns `x_1 ... x_m`, by one of two rules:

    - Hebbian: `w_ij = sum_m x_mi x_mj`. About `0.15 * units` random patterns can be stored; with
      more patterns, or patterns that resemble each other, recall degrades.
    - projection: `W` projects onto the space that the patterns span. Up to `units - 1` linearly
      independent patterns are fixed points; the more there are, the smaller the basin of attraction
      of each.

    The weights are not trained by gradients, and no gradient flows through the layer. Everything is
    computed in float32 at least, under any dtype policy. Training and inference behave the same.

    Args:
        units: Number of units, at least 1.
        rule: Learning rule of `store`, `"hebbian"` or `"projection"`. Defaults to `"hebbian"`.
        update: `"asynchronous"`, one unit after another in order, or `"synchronous"`, all at once.
            Defaults to `"asynchronous"`.
        max_sweeps: Maximum number of updates per unit, at least 1. Defaults to 100.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: States of shape `(batch, units)`; other numbers than -1 and 1 are replaced by their
            sign, and 0 by 1.

    Returns:
        Recalled states of -1 and 1, of shape `(batch, units)`.

    Raises:
        ValueError: If `units` or `max_sweeps` is not an integer of at least 1, `rule` or `update`
            is not one of the names above, or the states are not of shape `(batch, units)`.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import HopfieldNetwork
    >>> layer = HopfieldNetwork(6)
    >>> layer.store([[1, 1, 1, -1, -1, -1], [1, -1, 1, -1, 1, -1]])
    >>> y = layer(keras.ops.array([[-1.0, 1, 1, -1, -1, -1]]))
    >>> keras.ops.convert_to_numpy(y).tolist()
    [[1.0, 1.0, 1.0, -1.0, -1.0, -1.0]]

    Reference:
        Hopfield, 1982, "Neural networks and physical systems with emergent collective computational
        abilities", equations 1, 2 and 7 (with states 0 and 1).
        https://doi.org/10.1073/pnas.79.8.2554
        Personnaz, Guyon and Dreyfus, 1985, "Information storage and retrieval in spin-glass like
        neural networks", for the projection rule.
        Kanter and Sompolinsky, 1987, "Associative recall of memory without errors", for the
        projection rule with a zero diagonal. https://doi.org/10.1103/PhysRevA.35.380
    """

    def __init__(
        self,
        units: int,
        rule: str = "hebbian",
        update: str = "asynchronous",
        max_sweeps: int = 100,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (("units", units), ("max_sweeps", max_sweeps)):
            integer(name, value)
        for name, value, known in (("rule", rule, RULES), ("update", update, UPDATES)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}.")
        self.units = units
        self.rule = rule
        self.update = update
        self.max_sweeps = max_sweeps
        # Hebbian sums are integers, which float32 represents exactly, so that ties are detected.
        self.autocast = False

    def build(self, input_shape):
        self._check(input_shape)
        self.kernel = self.add_weight(
            (self.units, self.units), "zeros", trainable=False, autocast=False, name="kernel"
        )

    def call(self, inputs):
        states = self._bipolar(inputs)
        sweep = self.sweep if self.update == "asynchronous" else self.step

        def repeat(states, changing):
            new = sweep(states)
            return new, ops.any(ops.not_equal(new, states))

        states, _ = ops.while_loop(
            lambda states, changing: changing,
            repeat,
            (states, ops.convert_to_tensor(True)),
            maximum_iterations=self.max_sweeps,
        )
        return ops.cast(states, self.compute_dtype)

    def store(self, patterns):
        """Sets the weights to store these patterns, replacing all earlier ones.

        Args:
            patterns: Patterns of -1 and 1, of shape `(patterns, units)`.

        Raises:
            ValueError: If the patterns have another shape or other values.
        """
        x = np.asarray(ops.convert_to_numpy(patterns), "float64")
        if x.ndim != 2 or x.shape[1] != self.units or not np.all(np.abs(x) == 1):
            values = f"values from {x.min()} to {x.max()}" if x.size else "no values"
            raise ValueError(
                f"patterns must be -1 and 1 and of shape (patterns, {self.units}), "
                f"not of shape {x.shape} with {values}."
            )
        weights = x.T @ x if self.rule == "hebbian" else np.linalg.pinv(x) @ x
        np.fill_diagonal(weights, 0)
        if not self.built:
            self.build((None, self.units))
        # Rounding must not make the matrix asymmetric.
        self.kernel.assign((weights + weights.T) / 2)

    def energy(self, states):
        """Returns the energy of states, which asynchronous updates never raise.

        Args:
            states: States of -1 and 1, of shape `(batch, units)`.

        Returns:
            Energies of shape `(batch,)`.
        """
        states = self._bipolar(states)
        field = ops.matmul(states, exact(self, self.kernel))
        return -0.5 * ops.sum(field * states, axis=-1)

    def step(self, states):
        """Updates all units at once.

        Args:
            states: States of -1 and 1, of shape `(batch, units)`.

        Returns:
            The new states, of the same shape.
        """
        states = self._bipolar(states)
        return _decide(ops.matmul(states, exact(self, self.kernel)), states)

    def sweep(self, states, order=None):
        """Updates the units one after the other.

        Args:
            states: States of -1 and 1, of shape `(batch, units)`.
            order: Units to update, integers of shape `(updates,)`, or `None` for each unit once,
                from the first to the last. Defaults to `None`.

        Returns:
            The new states, of the same shape.
        """
        units = ops.arange(self.units, dtype="int32")
        kernel = exact(self, self.kernel)
        order = units if order is None else ops.convert_to_tensor(order, dtype="int32")

        def visit(index, states):
            unit = ops.take(order, index, axis=0)
            terms = states * ops.take(kernel, unit, axis=0)
            new = _decide(ops.sum(terms, axis=-1, keepdims=True), states)
            return ops.where(ops.equal(units, unit), new, states)

        return ops.fori_loop(0, order.shape[0], visit, self._bipolar(states))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "rule": self.rule,
            "update": self.update,
            "max_sweeps": self.max_sweeps,
        }

    def _check(self, shape):
        if len(shape) != 2 or shape[-1] not in (None, self.units):
            raise ValueError(
                f"states must be of shape (batch, units) with units = {self.units}, "
                f"not {tuple(shape)}."
            )

    def _bipolar(self, x):
        x = ops.convert_to_tensor(x)
        self._check(x.shape)
        if not self.built:
            self.build(x.shape)
        return 2 * exact(self, x >= 0) - 1


def _decide(field, states):
    """Returns the sign of each unit's input, or its own state where the input is zero."""
    return ops.where(ops.equal(field, 0), states, ops.sign(field))
