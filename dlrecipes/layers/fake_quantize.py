"""Rounds activations as an int8 file does, while a network is trained."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer, number


@keras.saving.register_keras_serializable(package="dlrecipes")
class FakeQuantize(keras.layers.Layer):
    """Rounds a tensor to the steps of an integer type, and passes gradients through.

    The range is one pair of numbers for the whole tensor, and contains 0, which is a step of its
    own. It widens at once to the smallest and the largest value of a training batch, as a file's
    range does when it is calibrated, and narrows to them by a moving average. Values outside of the
    range are clipped, and have no gradient; all others have the gradient of the identity. Until it
    has seen a batch in training, the layer is the identity.

    Args:
        bits: Number of bits, from 2 to 16. Defaults to 8.
        momentum: Momentum with which the range narrows, in [0, 1). Defaults to 0.99.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Tensor of floats, of any shape.
        training: Whether to update the range. Defaults to `False`.

    Returns:
        A tensor of the same shape and type.

    Raises:
        ValueError: If an argument is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import FakeQuantize
    >>> layer = FakeQuantize(bits=2)
    >>> outputs = layer(keras.ops.array([[0.0, 0.4, 0.6, 3.0]]), training=True)
    >>> [float(value) for value in outputs[0]]
    [0.0, 0.0, 1.0, 3.0]

    Reference:
        Jacob et al., 2018, "Quantization and training of neural networks for efficient
        integer-arithmetic-only inference", sections 3.1 and 3.3. https://arxiv.org/abs/1712.05877
        Bengio, Leonard and Courville, 2013, "Estimating or propagating gradients through stochastic
        neurons for conditional computation" (the gradient). https://arxiv.org/abs/1308.3432
    """

    def __init__(self, bits: int = 8, momentum: float = 0.99, **kwargs):
        super().__init__(**kwargs)
        check_bits(bits)
        number("momentum", momentum, "a number in [0, 1)", lambda value: 0 <= value < 1)
        self.bits = bits
        self.momentum = momentum
        self.supports_masking = True

    def build(self, input_shape):
        arguments = {"shape": (), "initializer": "zeros", "trainable": False, "autocast": False}
        self.low = self.add_weight(name="low", **arguments)
        self.high = self.add_weight(name="high", **arguments)

    def call(self, inputs, training=False):
        x = ops.cast(inputs, "float32")
        if training:
            self._follow(ops.stop_gradient(x))
        low, high = ops.convert_to_tensor(self.low), ops.convert_to_tensor(self.high)
        is_known = high > low
        levels = 2**self.bits - 1
        scale = ops.where(is_known, (high - low) / levels, 1.0)
        # Zero is a step: padding and pruned weights stay exact.
        zero = ops.round(-low / scale)
        clipped = ops.clip(x, -zero * scale, (levels - zero) * scale)
        rounded = ops.round(clipped / scale) * scale
        quantized = clipped + ops.stop_gradient(rounded - clipped)
        return ops.cast(ops.where(is_known, quantized, x), inputs.dtype)

    def _follow(self, x):
        for variable, extreme, wider in (
            (self.low, ops.minimum(ops.min(x), 0.0), ops.minimum),
            (self.high, ops.maximum(ops.max(x), 0.0), ops.maximum),
        ):
            average = variable * self.momentum + extreme * (1 - self.momentum)
            variable.assign(wider(average, extreme))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "bits": self.bits, "momentum": self.momentum}


def check_bits(bits: int) -> None:
    """Raises an error unless a number of bits is an integer from 2 to 16."""
    integer("bits", bits, least=2)
    number("bits", bits, "at most 16", lambda value: value <= 16)
