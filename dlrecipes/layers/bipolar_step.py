"""The step function from -1 to 1."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class BipolarStep(keras.layers.Layer):
    """Outputs 1 for activations at or above a threshold and -1 below it.

    Unlike `keras.ops.sign` it is never 0. The derivative is zero everywhere except at the
    threshold, where it is undefined: layers before a step receive no gradient and cannot be trained
    by an optimizer. Inputs may have any shape, and a mask is passed on. Under a 16-bit policy,
    inputs are compared before they are rounded. Training and inference behave the same.

    Args:
        threshold: Activation at which the output rises. Defaults to 0.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Activations of any shape.

    Returns:
        Values of -1 and 1, of the inputs' shape.

    Raises:
        ValueError: If `threshold` is not a finite number.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import BipolarStep
    >>> y = BipolarStep()(keras.ops.array([-0.5, 0.0, 0.5]))
    >>> keras.ops.convert_to_numpy(y).tolist()
    [-1.0, 1.0, 1.0]

    Reference:
        Widrow and Hoff, 1960, "Adaptive switching circuits", the quantizer of the weighted sum.
    """

    def __init__(self, threshold: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        number("threshold", threshold, "a finite number", lambda x: abs(x) < float("inf"))
        self.threshold = threshold
        self.supports_masking = True
        # Rounding could lift an activation from just below the threshold to it.
        self.autocast = False

    def call(self, inputs):
        return 2 * ops.cast(ops.greater_equal(inputs, self.threshold), self.compute_dtype) - 1

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}
