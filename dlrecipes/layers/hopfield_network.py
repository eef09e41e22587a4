"""The Hopfield network: a memory that is addressed by content."""

import keras
import numpy as np
from keras import ops

from dlrecipes.layers._arguments import integer
from dlrecipes.layers._precision import exact

RULES = ("hebbian", "projection")
UPDATES = ("asynchronous", "synchronous")


@keras.saving.register_keras_serializable(package="dlrecipes")
class HopfieldNetwork(keras.layers.Layer):
    """Recalls the stored pattern that a corrupted one is nearest to.

    Units are -1 or 1, and each is tied to each by a symmetric weight `kernel`, of shape
    `(units, units)` with a diagonal of zero. A unit takes the sign of what the others tell it,

        s_i = sign(sum_j w_ij s_j),   unchanged where the sum is zero,

    until nothing changes. One unit at a time, that never raises the energy
    `E = -1/2 sum_ij w_ij s_i s_j`, so that recall ends in a local minimum. All at once it is
    faster and may end up swinging between two states. `max_sweeps` bounds both.

    `store` sets the weights from patterns `x_1 ... x_m`, by one of two rules:

    - Hebbian: `w_ij = sum_m x_mi x_mj`. About `0.15 * units` random patterns can be stored;
      beyond that, and where patterns resemble each other, memories blur.
    - projection: `W` projects onto the space that the patterns span. Any linearly independent
      patterns, fewer than `units`, stay as they are; the more, the less each attracts.

    The weights are not trained by gradients, and none passes the layer. Everything is computed
    in float32 at least, whatever the dtype policy. Training and inference do the same.

    Args:
        units: Number of units, at least 1.
        rule: `"hebbian"` or `"projection"`: how `store` sets the weights.
        update: `"asynchronous"`, one unit after the other in their order, or
            `"synchronous"`, all at once.
        max_sweeps: How often each unit is updated at most, at least 1.

    Call arguments:
        inputs: States of shape `(batch, units)`; numbers other than -1 and 1 count by their
            sign, 0 as 1.

    Returns:
        The states recalled, of -1 and 1 and of shape `(batch, units)`.

    Raises:
        ValueError: If `units` or `max_sweeps` is not an integer of at least 1, `rule` or
            `update` is not one of those named, or the states are not of shape `(batch, units)`.

    Example:

    >>> layer = HopfieldNetwork(6)
    >>> layer.store([[1, 1, 1, -1, -1, -1], [1, -1, 1, -1, 1, -1]])
    >>> y = layer(keras.ops.array([[-1.0, 1, 1, -1, -1, -1]]))
    >>> keras.ops.convert_to_numpy(y).tolist()
    [[1.0, 1.0, 1.0, -1.0, -1.0, -1.0]]

    Reference:
        Hopfield, 1982, "Neural networks and physical systems with emergent collective
        computational abilities", equations 1, 2 and 7 (there states are 0 and 1).
        Personnaz, Guyon and Dreyfus, 1985, "Information storage and retrieval in spin-glass
        like neural networks", and Kanter and Sompolinsky, 1987, "Associative recall of memory
        without errors", for the projection rule and its zero diagonal.
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
        # Hebbian sums are whole numbers, exact in float32; ties between them matter.
        self.autocast = False

    def build(self, input_shape):
        """Creates the weights: nothing is stored yet."""
        self._check(input_shape)
        self.kernel = self.add_weight(
            (self.units, self.units), "zeros", trainable=False, autocast=False, name="kernel"
        )

    def call(self, inputs):
        """Returns the states that recall ends in."""
        states = self._bipolar(inputs)
        sweep = self.sweep if self.update == "asynchronous" else self.step

        def once_more(states, changing):
            new = sweep(states)
            return new, ops.any(ops.not_equal(new, states))

        states, _ = ops.while_loop(
            lambda states, changing: changing,
            once_more,
            (states, ops.convert_to_tensor(True)),
            maximum_iterations=self.max_sweeps,
        )
        return ops.cast(states, self.compute_dtype)

    def store(self, patterns):
        """Sets the weights, so that these patterns are stored and none that were before.

        Args:
            patterns: Patterns of -1 and 1, of shape `(patterns, units)`.

        Raises:
            ValueError: If they have another shape or other values.
        """
        x = np.asarray(ops.convert_to_numpy(patterns), "float64")
        if x.ndim != 2 or x.shape[1] != self.units or not np.all(np.abs(x) == 1):
            values = f"values from {x.min()} to {x.max()}" if x.size else "no values"
            raise ValueError(
                f"patterns must be -1 and 1 and of shape (patterns, {self.units}); "
                f"these are of shape {x.shape} with {values}."
            )
        weights = x.T @ x if self.rule == "hebbian" else np.linalg.pinv(x) @ x
        np.fill_diagonal(weights, 0)
        if not self.built:
            self.build((None, self.units))
        # Rounding must not make one direction differ from the other.
        self.kernel.assign((weights + weights.T) / 2)

    def energy(self, states):
        """Returns the energy of states, which asynchronous updates never raise.

        Args:
            states: States of -1 and 1, of shape `(batch, units)`.

        Returns:
            Energies of shape `(batch,)`.
        """
        states = self._bipolar(states)
        heard = ops.matmul(states, exact(self, self.kernel))
        return -0.5 * ops.sum(heard * states, axis=-1)

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
            order: The units to update, integers of shape `(updates,)`; each once, from the
                first to the last, by default.

        Returns:
            The new states, of the same shape.
        """
        units = ops.arange(self.units, dtype="int32")
        kernel = exact(self, self.kernel)
        order = units if order is None else ops.convert_to_tensor(order, dtype="int32")

        def visit(index, states):
            unit = ops.take(order, index, axis=0)
            heard = states * ops.take(kernel, unit, axis=0)
            new = _decide(ops.sum(heard, axis=-1, keepdims=True), states)
            return ops.where(ops.equal(units, unit), new, states)

        return ops.fori_loop(0, order.shape[0], visit, self._bipolar(states))

    def compute_output_shape(self, input_shape):
        """Returns the input's shape."""
        return input_shape

    def get_config(self):
        """Returns the constructor's arguments."""
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


def _decide(heard, states):
    """Returns the sign of what units hear, and their own state where that is zero."""
    return ops.where(ops.equal(heard, 0), states, ops.sign(heard))
