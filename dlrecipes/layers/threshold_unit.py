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
    `rate * (target - y) * x` to the weights and takes `rate * (target - y)` from the threshold;
    `trainable=False` fixes them, as in any layer.

    A step has slope zero: neither the weights nor the inputs receive a gradient, and no
    optimizer trains such units. `potential` has one, and is what a rule that follows a
    gradient looks at. The sum is computed in float32 at least, whatever the dtype policy.
    Training and inference do the same.

    Args:
        units: Number of units, at least 1.
        weights: Initial weights, of shape `(features, units)`, or `(features,)` for one unit;
            zero by default.
        threshold: Initial threshold: one number for all units, or one for each.
        output: `"binary"` for 0 and 1, or `"bipolar"` for -1 and 1.

    Call arguments:
        inputs: Numbers, of shape `(..., features)`.

    Returns:
        The units' outputs, of shape `(..., units)`.

    Raises:
        ValueError: If `units` is not an integer of at least 1, `output` is not one of those
            named, or `weights` or `threshold` has another shape or holds anything but finite
            numbers.

    Example:

    >>> both = ThresholdUnit(weights=[1, 1], threshold=2)
    >>> y = both(keras.ops.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
    >>> keras.ops.convert_to_numpy(y).ravel().tolist()
    [0.0, 0.0, 0.0, 1.0]

    Reference:
        McCulloch and Pitts, 1943, "A logical calculus of the ideas immanent in nervous
        activity".
        Rosenblatt, 1958, "The perceptron: a probabilistic model for information storage and
        organization in the brain".
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
        wanted = f"threshold must be a number or {units} of them"
        self._thresholds = _finite(threshold, wanted)
        if self._thresholds.shape not in ((), (units,)):
            raise ValueError(f"{wanted}, not of shape {self._thresholds.shape}.")
        self.units = units
        # `weights` is Keras' name for a layer's variables.
        self.given_weights = weights
        self.threshold = threshold
        self.output_kind = output
        # A sum that is rounded may miss the threshold.
        self.autocast = False
        self._initial = None if weights is None else self._columns(weights)

    def build(self, input_shape):
        """Creates the weights for inputs of shape `(..., features)`."""
        features = input_shape[-1]
        given = np.zeros((features, self.units)) if self._initial is None else self._initial
        if len(given) != features:
            raise ValueError(f"weights are for {len(given)} inputs, but {features} came.")
        thresholds = np.broadcast_to(self._thresholds, (self.units,))
        for name, value in {"kernel": given, "thresholds": thresholds}.items():
            weight = self.add_weight(value.shape, _constant(value), autocast=False, name=name)
            setattr(self, name, weight)

    def call(self, inputs):
        """Returns which units fire."""
        fires = ops.cast(self.potential(inputs) >= 0, self.compute_dtype)
        return fires if self.output_kind == "binary" else 2 * fires - 1

    def potential(self, inputs):
        """Returns the weighted sums less the thresholds: from 0 on, a unit fires.

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
        """Returns the input's shape with `units` as its last axis."""
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """Returns the constructor's arguments."""
        given = self.given_weights
        return {
            **super().get_config(),
            "units": self.units,
            "weights": None if given is None else np.asarray(given).tolist(),
            "threshold": np.asarray(self.threshold).tolist(),
            "output": self.output_kind,
        }

    def _columns(self, weights):
        wanted = f"weights must be of shape (features, {self.units})"
        columns = _finite(weights, f"{wanted} and finite numbers")
        if columns.ndim == 1 and self.units == 1:
            columns = columns[:, np.newaxis]
        if columns.ndim != 2 or columns.shape[1] != self.units:
            raise ValueError(f"{wanted}, not {columns.shape}.")
        return columns


def _finite(values, wanted: str) -> np.ndarray:
    """Returns finite numbers; refuses anything else, rows of several lengths among it."""
    try:
        found = np.asarray(values)
    except ValueError:
        found = np.asarray(None)
    # Strings that look like numbers, and None, would be converted.
    if found.dtype.kind not in "iuf" or not np.all(np.isfinite(found)):
        raise ValueError(f"{wanted}, not {values!r}.")
    return found.astype("float64")


def _constant(value):
    return lambda shape, dtype=None: ops.convert_to_tensor(value, dtype=dtype)
