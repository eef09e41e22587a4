"""The McCulloch-Pitts unit: a weighted sum and a threshold."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from dlrecipes.layers._arguments import integer
from dlrecipes.layers._precision import exact

OUTPUTS = ("binary", "bipolar")


@keras.saving.register_keras_serializable(package="dlrecipes")
class ThresholdUnit(keras.layers.Layer):
    """Units that fire when the weighted sum of their inputs reaches a threshold.

        y_j = 1 if sum_i w_ij x_i >= t_j, else 0   (or -1, if bipolar)

    Positive weights excite and negative ones inhibit. The weights `kernel`, of shape
    `(features, units)`, and `thresholds`, of shape `(units,)`, are variables that start at the
    values given here. A learning rule assigns them, such as Rosenblatt's, which adds
    `rate * (target - y) * x` to the weights and subtracts `rate * (target - y)` from the threshold;
    `trainable=False` fixes them, as in any layer.

    A step has derivative zero: neither the weights nor the inputs receive a gradient, and an
    optimizer cannot train such units. `potential` has a gradient, and is the quantity for
    gradient-based rules. The sum is computed in float32 at least, under any dtype policy. Training
    and inference behave the same.

    Args:
        units: Number of units, at least 1. Defaults to 1.
        weights: Initial weights, of shape `(features, units)`, or `(features,)` for a single unit,
            or `None` for zeros. Defaults to `None`.
        threshold: Initial threshold: one number for all units, or one for each. Defaults to 0.
        output: `"binary"` for 0 and 1, or `"bipolar"` for -1 and 1. Defaults to `"binary"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Numbers, of shape `(..., features)`.

    Returns:
        The units' outputs, of shape `(..., units)`.

    Raises:
        ValueError: If `units` is not an integer of at least 1, `output` is not one of the names
            above, or `weights` or `threshold` has another shape or contains anything except finite
            numbers.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import ThresholdUnit
    >>> both = ThresholdUnit(weights=[1, 1], threshold=2)
    >>> y = both(keras.ops.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
    >>> keras.ops.convert_to_numpy(y).ravel().tolist()
    [0.0, 0.0, 0.0, 1.0]

    Reference:
        McCulloch and Pitts, 1943, "A logical calculus of the ideas immanent in nervous activity".
        https://doi.org/10.1007/BF02478259
        Rosenblatt, 1958, "The perceptron: a probabilistic model for information storage and
        organization in the brain". https://doi.org/10.1037/h0042519
    """

    def __init__(
        self,
        units: int = 1,
        weights: Sequence | None = None,
        threshold: float | Sequence[float] = 0.0,
        output: str = "binary",
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("units", units)
        if output not in OUTPUTS:
            raise ValueError(f"output must be one of {', '.join(OUTPUTS)}, not {output!r}.")
        expected = f"threshold must be a number or {units} of them"
        self._thresholds = _finite(threshold, expected)
        if self._thresholds.shape not in ((), (units,)):
            raise ValueError(f"{expected}, not of shape {self._thresholds.shape}.")
        self.units = units
        # `weights` is Keras' property for a layer's variables.
        self.given_weights = weights
        self.threshold = threshold
        self.output_kind = output
        # A rounded sum may miss the threshold.
        self.autocast = False
        self._initial = None if weights is None else self._columns(weights)

    def build(self, input_shape):
        features = input_shape[-1]
        initial = np.zeros((features, self.units)) if self._initial is None else self._initial
        if len(initial) != features:
            raise ValueError(f"weights must be for {features} inputs, not {len(initial)}.")
        thresholds = np.broadcast_to(self._thresholds, (self.units,))
        for name, value in {"kernel": initial, "thresholds": thresholds}.items():
            weight = self.add_weight(value.shape, _constant(value), autocast=False, name=name)
            setattr(self, name, weight)

    def call(self, inputs):
        fires = ops.cast(self.potential(inputs) >= 0, self.compute_dtype)
        return fires if self.output_kind == "binary" else 2 * fires - 1

    def potential(self, inputs):
        """Returns the weighted sums minus the thresholds; units fire from 0 on.

        Args:
            inputs: Numbers, of shape `(..., features)`.

        Returns:
            Numbers of shape `(..., units)`.
        """
        if not self.built:
            self.build(inputs.shape)
        drive = ops.matmul(exact(self, inputs), exact(self, self.kernel))
        return drive - exact(self, self.thresholds)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        weights = self.given_weights
        return {
            **super().get_config(),
            "units": self.units,
            "weights": None if weights is None else np.asarray(weights).tolist(),
            "threshold": np.asarray(self.threshold).tolist(),
            "output": self.output_kind,
        }

    def _columns(self, weights):
        expected = f"weights must be of shape (features, {self.units})"
        columns = _finite(weights, f"{expected} and finite numbers")
        if columns.ndim == 1 and self.units == 1:
            columns = columns[:, np.newaxis]
        if columns.ndim != 2 or columns.shape[1] != self.units:
            raise ValueError(f"{expected}, not {columns.shape}.")
        return columns


def _finite(values, expected: str) -> np.ndarray:
    """Returns numbers as float64; raises a ValueError unless they form a finite array."""
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.asarray(None)
    # Strings that look like numbers, and None, would be converted.
    if array.dtype.kind not in "iuf" or not np.all(np.isfinite(array)):
        raise ValueError(f"{expected}, not {values!r}.")
    return array.astype("float64")


def _constant(value):
    return lambda shape, dtype=None: ops.convert_to_tensor(value, dtype=dtype)
