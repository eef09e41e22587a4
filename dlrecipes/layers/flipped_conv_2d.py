"""Convolution as mathematics defines it."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlrecipes")
class FlippedConv2D(keras.layers.Conv2D):
    """Convolves with the kernel flipped, as the mathematical convolution does.

    What networks call convolution, and `keras.layers.Conv2D` computes, is the
    cross-correlation. The convolution turns the kernel upside down and left to right:

        cross-correlation  y[i, j] = sum_pq x[i + p, j + q] * w[p, q]
        convolution        y[i, j] = sum_pq x[i - p, j - q] * w[p, q]

    For learning it makes no difference: the trained kernel comes out flipped. But only the
    convolution is commutative and associative, so that two kernels applied in turn equal one,
    and only it agrees with the filters of signal processing. With `padding="valid"` the
    output holds the positions where the whole kernel lies within the input; with
    `"same"` the zeros are placed as Keras places them, for a kernel of even size one more
    behind than before. Training and inference do the same.

    Args:
        filters: Number of output maps, as are all other arguments those of
            `keras.layers.Conv2D`.
        kernel_size: Height and width of the kernel, one integer or two.

    Call arguments:
        inputs: Maps of shape `(batch, height, width, channels)`, unless `data_format` says
            otherwise.

    Returns:
        Maps of shape `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: If an argument is out of the bounds of `keras.layers.Conv2D`.

    Example:

    >>> impulse = keras.ops.reshape(keras.ops.array([0.0, 0, 1, 0, 0]), (1, 1, 5, 1))
    >>> layer = FlippedConv2D(1, (1, 3))
    >>> layer.build(impulse.shape)
    >>> _ = layer.kernel.assign(keras.ops.reshape(keras.ops.array([1.0, 2, 3]), (1, 3, 1, 1)))
    >>> keras.ops.convert_to_numpy(layer(impulse))[0, 0, :, 0].tolist()
    [1.0, 2.0, 3.0]

    Reference:
        Goodfellow, Bengio and Courville, 2016, "Deep learning", section 9.1, equations 9.4 to
        9.6.
    """

    def convolution_op(self, inputs, kernel):
        """Returns the convolution of the inputs with the kernel."""
        return super().convolution_op(inputs, ops.flip(kernel, axis=(0, 1)))
