"""LeNet-5's pooling with trainable weights."""

import keras
from keras import ops

from dlrecipes.layers._arguments import pair, sizes_after


@keras.saving.register_keras_serializable(package="dlrecipes")
class TrainableSubsampling2D(keras.layers.Layer):
    """Sums each window, multiplies the sum by a coefficient and adds a bias.

    Each map has one trainable coefficient `w_c` and one trainable bias `b_c`; `f` is the
    activation, and the sum is over the window's positions:

        y_c = f(w_c * sum(x_c) + b_c)

    It is the sum, as in the paper, not the mean. By default the coefficients start at one over the
    window's area, so that the layer begins as average pooling; the paper initialises them like all
    other weights, uniformly in [-2.4, 2.4] divided by the number of a unit's inputs. Incomplete
    windows at the border are dropped. Channels are the last axis. Training and inference behave the
    same.

    Args:
        pool_size: Height and width of the window, one integer or two, at least 1. Defaults to 2.
        strides: Steps between windows, one integer or two, at least 1; `None` for `pool_size`, so
            that windows touch and do not overlap. Defaults to `None`.
        activation: Activation `f`, or `None` for linear outputs. Defaults to `None`.
        coefficient_initializer: Initializer of the coefficients, of shape `(channels,)`, or `None`
            for one over the window's area. Defaults to `None`.
        bias_initializer: Initializer of the biases, of shape `(channels,)`. Defaults to `"zeros"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Maps of shape `(batch, height, width, channels)`; height and width may be unknown
            and are at least the window's.

    Returns:
        Smaller maps, of shape `(batch, new_height, new_width, channels)`, where
        `new_height = (height - pool_size) // strides + 1`, and likewise for the width.

    Raises:
        ValueError: If `pool_size` or `strides` is not one or two integers of at least 1, or
            the maps are smaller than a window.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import TrainableSubsampling2D
    >>> layer = TrainableSubsampling2D(2)
    >>> x = keras.ops.reshape(keras.ops.arange(8, dtype="float32"), (1, 2, 4, 1))
    >>> keras.ops.convert_to_numpy(layer(x))[0, :, :, 0].tolist()
    [[2.5, 4.5]]
    >>> layer.count_params()
    2

    Reference:
        LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document
        recognition", section II.B, layers S2 and S4. https://doi.org/10.1109/5.726791
    """

    def __init__(
        self,
        pool_size=2,
        strides=None,
        activation=None,
        coefficient_initializer=None,
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._window = pair("pool_size", pool_size)
        self._steps = self._window if strides is None else pair("strides", strides)
        self.pool_size = pool_size
        self.strides = strides
        self.activation = keras.activations.get(activation)
        self.coefficient_initializer = keras.initializers.get(coefficient_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        shape = (input_shape[-1],)
        area = self._window[0] * self._window[1]
        initial = self.coefficient_initializer or keras.initializers.Constant(1 / area)
        self.coefficient = self.add_weight(shape, initial, name="coefficient")
        self.bias = self.add_weight(shape, self.bias_initializer, name="bias")

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)  # raises if maps are smaller than the window
        means = ops.average_pool(
            inputs, self._window, self._steps, padding="valid", data_format="channels_last"
        )
        area = self._window[0] * self._window[1]
        return self.activation(means * (area * self.coefficient) + self.bias)

    def compute_output_shape(self, input_shape):
        sizes = sizes_after(input_shape[1:3], self._window, self._steps, "valid")
        return (input_shape[0], *sizes, input_shape[-1])

    def get_config(self):
        serialize = keras.initializers.serialize
        initial = self.coefficient_initializer
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "activation": keras.activations.serialize(self.activation),
            "coefficient_initializer": None if initial is None else serialize(initial),
            "bias_initializer": serialize(self.bias_initializer),
        }
