"""Rounds a layer's kernel as an int8 file does, while the layer is trained."""

import keras
from keras import ops

from dlrecipes.layers.fake_quantize import check_bits


@keras.saving.register_keras_serializable(package="dlrecipes")
class FakeQuantizedKernel(keras.layers.Wrapper):
    """Runs a layer with its kernel rounded, per output channel, to the steps of an integer type.

    The steps are symmetric: from -127 to 127 times a scale with 8 bits, and the scale of a channel
    is its largest magnitude divided by 127. Gradients pass through the rounding. The layer keeps
    its own weights, so that it can be used without the wrapper at any time.

    A batch normalization that follows may be folded into the kernel afterwards: it multiplies each
    channel by a number, which multiplies the channel's scale as well: the rounded values are
    the same.

    Args:
        layer: Convolution, depthwise or transposed convolution, or dense layer, with a `kernel`.
        bits: Number of bits, from 2 to 16. Defaults to 8.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Inputs of the layer.

    Returns:
        The layer's outputs.

    Raises:
        ValueError: If `bits` is out of bounds.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from dlrecipes.layers import FakeQuantizedKernel
    >>> dense = keras.layers.Dense(1, use_bias=False)
    >>> layer = FakeQuantizedKernel(dense, bits=2)
    >>> layer.build((None, 3))
    >>> dense.set_weights([np.array([[1.0], [0.4], [-0.6]])])
    >>> [float(value) for value in layer(keras.ops.eye(3))[:, 0]]
    [1.0, 0.0, -1.0]

    Reference:
        Jacob et al., 2018, "Quantization and training of neural networks for efficient
        integer-arithmetic-only inference", section 3. https://arxiv.org/abs/1712.05877
        Krishnamoorthi, 2018, "Quantizing deep convolutional networks for efficient inference: a
        whitepaper", section 2.3 (per channel). https://arxiv.org/abs/1806.08342
    """

    def __init__(self, layer: keras.layers.Layer, bits: int = 8, **kwargs):
        # The kernel is rounded in float32; the layer computes in its own precision.
        kwargs.setdefault("dtype", "float32")
        super().__init__(layer, **kwargs)
        check_bits(bits)
        self.bits = bits

    def call(self, inputs):
        kernel = self.layer.kernel
        # Nested scopes do not see one another's values.
        values = [(v, v.value) for v in self.layer.variables if v is not kernel]
        with keras.StatelessScope(state_mapping=[*values, (kernel, self._rounded(kernel))]):
            return self.layer(inputs)

    def _rounded(self, kernel):
        weights = ops.cast(ops.convert_to_tensor(kernel), "float32")
        channels = {len(kernel.shape) - 1}
        if isinstance(self.layer, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)):
            channels.add(len(kernel.shape) - 2)
        elif "Transpose" in type(self.layer).__name__:
            channels = {len(kernel.shape) - 2}
        axes = [axis for axis in range(len(kernel.shape)) if axis not in channels]
        largest = ops.max(ops.abs(weights), axis=axes, keepdims=True)
        scale = ops.where(largest > 0, largest / (2 ** (self.bits - 1) - 1), 1.0)
        rounded = ops.round(weights / scale) * scale
        return weights + ops.stop_gradient(rounded - weights)

    def get_config(self):
        return {**super().get_config(), "bits": self.bits}
