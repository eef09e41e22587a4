"""Pooling by the Euclidean norm."""

import keras
from keras import ops

from dlrecipes.layers._arguments import padding_mode, pair, sizes_after


@keras.saving.register_keras_serializable(package="dlrecipes")
class L2Pooling2D(keras.layers.Layer):
    """Replaces each window by its Euclidean norm, channel by channel.

    The output is `sqrt(sum(x ** 2))` over the window's positions: the sum, not the mean. At a
    window of zeros, where the norm has no derivative, the gradient is zero. Squares are summed in
    float32 at least, under any dtype policy. Channels are the last axis. Training and inference
    behave the same.

    Windows overlap if `strides` is less than `pool_size`. For the maximum instead of the norm, use
    Keras' layer: the overlapping pooling of AlexNet is `keras.layers.MaxPooling2D(3, strides=2)`.

    Args:
        pool_size: Height and width of the window, one integer or two, at least 1. Defaults to 2.
        strides: Steps between windows, one integer or two, at least 1; `None` for `pool_size`.
            Defaults to `None`.
        padding: `"valid"`, whole windows only, or `"same"`, also windows that extend beyond the
            border, where nothing is added. Defaults to `"valid"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Maps of shape `(batch, height, width, channels)`; height and width may be
            unknown.

    Returns:
        Norms, at least 0, of shape `(batch, new_height, new_width, channels)`, with the sizes of
        `keras.layers.AveragePooling2D`.

    Raises:
        ValueError: If `pool_size` or `strides` is not one or two integers of at least 1, `padding`
            is neither `"valid"` nor `"same"`, or the images are smaller than a window without
            padding.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import L2Pooling2D
    >>> x = keras.ops.reshape(keras.ops.array([3.0, 4.0, 0.0, -2.0]), (1, 1, 4, 1))
    >>> keras.ops.convert_to_numpy(L2Pooling2D((1, 2))(x))[0, 0, :, 0].tolist()
    [5.0, 2.0]

    Reference:
        Goodfellow, Bengio and Courville, 2016, "Deep learning", section 9.3, which lists it among
        the pooling functions. https://www.deeplearningbook.org
    """

    def __init__(self, pool_size=2, strides=None, padding: str = "valid", **kwargs):
        super().__init__(**kwargs)
        self._window = pair("pool_size", pool_size)
        self._steps = self._window if strides is None else pair("strides", strides)
        self.pool_size = pool_size
        self.strides = strides
        self.padding = padding_mode(padding)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)  # raises if images are smaller than the window
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        means = ops.average_pool(
            ops.square(x), self._window, self._steps, self.padding, data_format="channels_last"
        )
        squares = means * self._positions(x)
        zero = ops.equal(squares, 0)
        # The root of 1 in place of 0, since an infinite derivative times zero would be NaN.
        roots = ops.sqrt(ops.where(zero, ops.ones_like(squares), squares))
        return ops.cast(ops.where(zero, squares, roots), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        sizes = sizes_after(input_shape[1:3], self._window, self._steps, self.padding)
        return (input_shape[0], *sizes, input_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
        }

    def _positions(self, x):
        """Returns the number of positions of each window that lie within the image."""
        if self.padding == "valid":
            return self._window[0] * self._window[1]
        # Keras averages over the positions within the image; convolving ones counts them.
        image = ops.ones_like(x[:1, :, :, :1])
        ones = ops.ones((*self._window, 1, 1), dtype=x.dtype)
        return ops.conv(image, ones, self._steps, "same", data_format="channels_last")
