"""Convolution as mathematics defines it."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlrecipes")
class FlippedConv2D(keras.layers.Conv2D):
    """Convolves with a flipped kernel, as the mathematical convolution does.

    `keras.layers.Conv2D`, like most neural network libraries, computes the cross-correlation. The
    convolution flips the kernel in both directions:

        cross-correlation  y[i, j] = sum_pq x[i + p, j + q] * w[p, q]
        convolution        y[i, j] = sum_pq x[i - p, j - q] * w[p, q]

    For learning it makes no difference: the trained kernel is simply flipped. But only the
    convolution is commutative and associative, so that two kernels applied in turn equal a single
    one, and only it agrees with the filters of signal processing. With `padding="valid"` the output
    contains the positions where the whole kernel lies within the input; with `"same"` zeros are
    placed as in Keras, with one more after than before for a kernel of even size. Training and
    inference behave the same.

    Args:
        filters: Number of output maps.
        kernel_size: Height and width of the kernel, one integer or two.
        **kwargs: Other arguments of `keras.layers.Conv2D`, with the same defaults.

    Call arguments:
        inputs: Maps of shape `(batch, height, width, channels)`, or with another order of axes if
            `data_format` asks for it.

    Returns:
        Maps of shape `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: If an argument is out of the bounds of `keras.layers.Conv2D`.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import FlippedConv2D
    >>> impulse = keras.ops.reshape(keras.ops.array([0.0, 0, 1, 0, 0]), (1, 1, 5, 1))
    >>> layer = FlippedConv2D(1, (1, 3))
    >>> layer.build(impulse.shape)
    >>> _ = layer.kernel.assign(keras.ops.reshape(keras.ops.array([1.0, 2, 3]), (1, 3, 1, 1)))
    >>> keras.ops.convert_to_numpy(layer(impulse))[0, 0, :, 0].tolist()
    [1.0, 2.0, 3.0]

    Reference:
        Goodfellow, Bengio and Courville, 2016, "Deep learning", section 9.1, equations 9.4 to 9.6.
        https://www.deeplearningbook.org
    """

    def convolution_op(self, inputs, kernel):
        """Returns the convolution of the inputs with the kernel."""
        return super().convolution_op(inputs, ops.flip(kernel, axis=(0, 1)))
