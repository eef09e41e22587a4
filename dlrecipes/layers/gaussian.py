"""The Gaussian function as an activation."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class Gaussian(keras.layers.Layer):
    """Applies a Gaussian to each activation: 1 at the centre, and less on both sides.

        f(x) = exp(-(x - center)^2 / (2 width^2))

    Its derivative is `-(x - center) / width^2 * f`: zero at the centre and nearly zero far away, so
    that a unit far from all its inputs does not learn. With a width of `sqrt(1/2)` it is
    `exp(-x^2)`. Inputs may have any shape, and a mask is passed on. Training and inference behave
    the same.

    Args:
        center: Activation at which the output is 1. Defaults to 0.
        width: Standard deviation of the Gaussian, above 0, in the inputs' units. Defaults to 1.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Activations of any shape.

    Returns:
        Values between 0 and 1, of the inputs' shape.

    Raises:
        ValueError: If `center` is not a finite number, or `width` is not a finite number above 0.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import Gaussian
    >>> y = Gaussian(center=1.0)(keras.ops.array([0.0, 1.0, 2.0]))
    >>> [round(float(value), 4) for value in y]
    [0.6065, 1.0, 0.6065]

    Reference:
        Broomhead and Lowe, 1988, "Multivariable functional interpolation and adaptive networks".
    """

    def __init__(self, center: float = 0.0, width: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        number("center", center, "a finite number", lambda x: abs(x) < float("inf"))
        number("width", width, "a finite number above 0", lambda x: 0 < x < float("inf"))
        self.center = center
        self.width = width
        self.supports_masking = True

    def call(self, inputs):
        return ops.exp(-0.5 * ops.square((inputs - self.center) / self.width))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "center": self.center, "width": self.width}
