"""Normalisation of the contrast around each position."""

import keras
import numpy as np
from keras import ops

from dlrecipes.layers._arguments import integer, number


@keras.saving.register_keras_serializable(package="dlrecipes")
class LocalContrastNormalization(keras.layers.Layer):
    """Subtracts the local mean, then divides by the local standard deviation.

    With `w` a Gaussian window of sum 1 over space and all maps, `x_i` map `i`, and `j, k` a
    position:

        v_ijk    = x_ijk - sum_ipq w_pq * x_i,j+p,k+q
        sigma_jk = sqrt(sum_ipq w_pq * v_i,j+p,k+q ** 2)
        y_ijk    = v_ijk / max(mean(sigma), sigma_jk)

    `mean(sigma)` is taken over the image, so that flat regions are not amplified to the contrast of
    the rest. At the borders only the part of the window within the image is used, and its weights
    are divided by their sum: a constant image becomes zero up to its corners. Everything is
    computed in float32 at least, under any dtype policy. Channels are the last axis. Training and
    inference behave the same.

    Args:
        size: Height and width of the window, odd, at least 1. Defaults to 9, as in the paper.
        deviation: Standard deviation of the Gaussian in pixels, above 0; `None` for a quarter of
            `size`, since the paper gives no value. Defaults to `None`.
        epsilon: Lower bound of `sigma`, above 0, so that rounding errors in an image without
            contrast are not amplified. Defaults to 1e-4.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Maps of shape `(batch, height, width, channels)`; height and width may be
            unknown.

    Returns:
        Normalised maps, of the inputs' shape.

    Raises:
        ValueError: If `size` is not an odd integer of at least 1, or `deviation` or `epsilon` is
            not above 0.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import LocalContrastNormalization
    >>> layer = LocalContrastNormalization(size=3)
    >>> x = keras.ops.reshape(keras.ops.array([1.0, 1.0, 1.0, 3.0]), (1, 1, 4, 1))
    >>> y = layer(x)
    >>> bool(keras.ops.all(keras.ops.abs(y - layer(10 * x + 5)) < 1e-4))
    True

    Reference:
        Jarrett, Kavukcuoglu, Ranzato and LeCun, 2009, "What is the best multi-stage architecture
        for object recognition?", section 2.1, local contrast normalization layer.
        https://doi.org/10.1109/ICCV.2009.5459469
    """

    def __init__(
        self,
        size: int = 9,
        deviation: float | None = None,
        epsilon: float = 1e-4,
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("size", size)
        if size % 2 == 0:
            raise ValueError(f"size must be odd, not {size!r}.")
        if deviation is not None:
            number("deviation", deviation, "above 0", lambda x: x > 0)
        number("epsilon", epsilon, "above 0", lambda x: x > 0)
        self.size = size
        self.deviation = deviation
        self.epsilon = epsilon
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        inside = self._blur(ops.ones_like(x[:1, :, :, :1]))
        v = x - self._mean(x, inside)
        variance = self._mean(ops.square(v), inside)
        # Bounded before the root, whose derivative at zero is infinite.
        sigma = ops.sqrt(ops.maximum(variance, self.epsilon**2))
        average = ops.mean(sigma, axis=(1, 2, 3), keepdims=True)
        return ops.cast(v / ops.maximum(average, sigma), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "deviation": self.deviation,
            "epsilon": self.epsilon,
        }

    def _mean(self, x, inside):
        """Returns the mean over the window and all maps, of shape (batch, height, width, 1)."""
        return self._blur(ops.mean(x, axis=-1, keepdims=True)) / inside

    def _blur(self, x):
        """Returns one map convolved with the window, with zeros beyond its borders."""
        deviation = self.size / 4 if self.deviation is None else self.deviation
        window = np.exp(-0.5 * ((np.arange(self.size) - self.size // 2) / deviation) ** 2)
        window = ops.convert_to_tensor(window / window.sum(), dtype=x.dtype)
        # A two-dimensional Gaussian is the product of one per axis.
        for shape in ((self.size, 1, 1, 1), (1, self.size, 1, 1)):
            kernel = ops.reshape(window, shape)
            x = ops.conv(x, kernel, 1, "same", data_format="channels_last")
        return x
