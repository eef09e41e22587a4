"""The logistic function with a slope."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class Logistic(keras.layers.Layer):
    """Squashes each activation between 0 and 1, more steeply for a larger slope.

        f(x) = 1 / (1 + exp(-slope * x))

    Its derivative is `slope * f * (1 - f)`, at most `slope / 4`, at 0. With a slope of 1 it is
    `keras.activations.sigmoid`; as the slope grows it approaches `Step`, except for the value of
    1/2 at 0. It is exact to the dtype's precision for inputs of any size, and never overflows.
    Inputs may have any shape, and a mask is passed on. Training and inference behave the same.

    Args:
        slope: Factor of the inputs, above 0. Defaults to 1.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Activations of any shape.

    Returns:
        Values between 0 and 1, of the inputs' shape.

    Raises:
        ValueError: If `slope` is not a finite number above 0.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import Logistic
    >>> y = Logistic(slope=2.0)(keras.ops.array([-1000.0, 0.0, 0.5, 1000.0]))
    >>> [round(float(value), 4) for value in y]
    [0.0, 0.5, 0.7311, 1.0]

    Reference:
        Rumelhart, Hinton and Williams, 1986, "Learning representations by back-propagating errors",
        equation 2. https://doi.org/10.1038/323533a0
    """

    def __init__(self, slope: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        number("slope", slope, "a finite number above 0", lambda x: 0 < x < float("inf"))
        self.slope = slope
        self.supports_masking = True

    def call(self, inputs):
        return ops.sigmoid(self.slope * inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "slope": self.slope}
