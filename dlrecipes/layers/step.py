"""The step from 0 to 1."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class Step(keras.layers.Layer):
    """Answers whether each activation reaches a threshold: 1 at the threshold and above, else 0.

    The slope is zero everywhere but at the threshold, where there is none: what lies before
    a step receives no gradient, and no optimizer trains it. Inputs may have any shape, and a
    mask is passed on. They are compared before they are rounded to a 16-bit policy's dtype.
    Training and inference do the same.

    Args:
        threshold: Where the output rises.

    Call arguments:
        inputs: Activations of any shape.

    Returns:
        Zeros and ones, of the inputs' shape.

    Raises:
        ValueError: If `threshold` is not a finite number.

    Example:

    >>> y = Step()(keras.ops.array([-0.5, 0.0, 0.5]))
    >>> keras.ops.convert_to_numpy(y).tolist()
    [0.0, 1.0, 1.0]

    Reference:
        McCulloch and Pitts, 1943, "A logical calculus of the ideas immanent in nervous
        activity": activity is all or none.
    """

    def __init__(self, threshold: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        number("threshold", threshold, "a finite number", lambda x: abs(x) < float("inf"))
        self.threshold = threshold
        self.supports_masking = True
        # Rounded, an activation just below the threshold would reach it.
        self.autocast = False

    def call(self, inputs):
        """Returns which activations reach the threshold."""
        return ops.cast(ops.greater_equal(inputs, self.threshold), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Returns the input's shape."""
        return input_shape

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "threshold": self.threshold}
