"""Normalisation by the activity of neighbouring channels."""

import keras
import numpy as np
from keras import ops

from dlrecipes.layers._arguments import integer, number


@keras.saving.register_keras_serializable(package="dlrecipes")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each activation by a power of the activity in neighbouring channels.

    With `a_i` the activation in channel `i` at some position, and the sum over the channels within
    `size // 2` of `i` at that position:

        b_i = a_i / (k + alpha * sum_j a_j^2) ** beta

    `alpha` multiplies the sum, as in the paper, not the mean: for a network that was defined with
    the mean, use `alpha / size` here. Channels are the last axis, and there may be any number of
    other axes; a mask is passed on. The sum is computed in float32 at least, under any dtype
    policy. Training and inference behave the same.

    Args:
        size: Number of channels in the sum (the paper's `n`), odd, at least 1. Defaults to 5.
        alpha: Weight of the sum of squares, at least 0. Defaults to 1e-4.
        beta: Exponent, at least 0. Defaults to 0.75.
        k: Constant term of the denominator, above 0. Defaults to 2.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Activations of shape `(batch, ..., channels)`; all sizes except the number of
            channels may be unknown.

    Returns:
        Normalised activations, of the inputs' shape.

    Raises:
        ValueError: If `size` is not an odd integer of at least 1, `alpha` or `beta` is below
            0, `k` is not above 0, or the number of channels is unknown.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import LocalResponseNormalization
    >>> layer = LocalResponseNormalization(size=3, alpha=1.0, beta=0.5, k=2.0)
    >>> keras.ops.convert_to_numpy(layer(keras.ops.array([[1.0, 1.0, 0.0, 0.0]]))).tolist()
    [[0.5, 0.5, 0.0, 0.0]]

    Reference:
        Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep convolutional
        neural networks", section 3.3.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("size", size)
        if size % 2 == 0:
            raise ValueError(f"size must be odd, not {size!r}.")
        for name, value in (("alpha", alpha), ("beta", beta)):
            number(name, value, "at least 0", lambda x: x >= 0)
        number("k", k, "above 0", lambda x: x > 0)
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k
        self.supports_masking = True

    def build(self, input_shape):
        if input_shape[-1] is None:
            raise ValueError("inputs must have a known number of channels, not None.")

    def call(self, inputs):
        # Squares exceed the range of float16, and alpha's term would be lost in bfloat16.
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        # A matrix product with ones near the diagonal sums neighbours. Adding shifted copies
        # gives the same result, but its gradient takes ten times as long. The exp of a log is
        # several times faster than a power.
        channels = np.arange(inputs.shape[-1])
        near = np.abs(channels[:, None] - channels) <= self.size // 2
        total = ops.matmul(ops.square(x), ops.convert_to_tensor(near, dtype=x.dtype))
        y = x * ops.exp(-self.beta * ops.log(self.k + self.alpha * total))
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "k": self.k,
        }
