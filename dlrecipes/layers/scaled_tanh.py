"""The squashing function of LeNet-5."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class ScaledTanh(keras.layers.Layer):
    """Squashes each activation with a hyperbolic tangent that passes through (1, 1).

        f(a) = amplitude * tanh(slope * a)

    With the defaults `f(1)` is 1 and `f(-1)` is -1, so that targets of 1 and -1 lie where the
    curvature is largest and not at the asymptotes, which only large weights would reach. Inputs may
    have any shape, and a mask is passed on. Training and inference behave the same.

    Args:
        amplitude: Bound of the outputs (the paper's `A`), above 0. Defaults to 1.7159.
        slope: Factor of the inputs (the paper's `S`), above 0; the derivative at 0 is
            `amplitude * slope`. Defaults to 2 / 3.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Activations of any shape.

    Returns:
        Values between -`amplitude` and `amplitude`, of the inputs' shape.

    Raises:
        ValueError: If `amplitude` or `slope` is not above 0.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import ScaledTanh
    >>> y = ScaledTanh()(keras.ops.array([-1.0, 0.0, 1.0, 100.0]))
    >>> [round(float(value), 4) for value in y]
    [-1.0, 0.0, 1.0, 1.7159]

    Reference:
        LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document
        recognition", section II.B, equation 6, and appendix A. https://doi.org/10.1109/5.726791
    """

    def __init__(self, amplitude: float = 1.7159, slope: float = 2 / 3, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("amplitude", amplitude), ("slope", slope)):
            number(name, value, "above 0", lambda x: x > 0)
        self.amplitude = amplitude
        self.slope = slope
        self.supports_masking = True

    def call(self, inputs):
        return self.amplitude * ops.tanh(self.slope * inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "amplitude": self.amplitude, "slope": self.slope}
