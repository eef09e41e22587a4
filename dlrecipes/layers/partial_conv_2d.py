"""A convolution whose output maps see only some of the input maps."""

import keras
import numpy as np
from keras import ops

from dlrecipes.layers._arguments import integer, padding_mode, pair, sizes_after


@keras.saving.register_keras_serializable(package="dlrecipes")
class PartialConv2D(keras.layers.Layer):
    """Convolves each output map from those input maps that a table lists for it.

    It computes the same as `keras.layers.Conv2D` with zeros in the kernel wherever the table has no
    connection, but has weights only for present connections: `kernel` has the shape
    `(height, width, connections)`, where the table's connections are counted row by row. Maps that
    see different parts of the input have to find different features. Grouped convolution is the
    special case of a block-diagonal table. (The partial convolutions of inpainting, which ignore
    masked pixels, are unrelated.)

    Each output map is initialised for its actual number of inputs. Like Keras' layer it computes
    the cross-correlation, that is, without flipping the kernel. Channels are the last axis.
    Training and inference behave the same.

    Args:
        filters: Number of output maps, at least 1.
        kernel_size: Height and width of the kernel, one integer or two, at least 1.
        connections: Boolean table of shape `(input maps, filters)`, true where an output map
            (column) sees an input map (row). Every column has a true entry.
        strides: Steps of the kernel, one integer or two, at least 1. Defaults to 1.
        padding: `"valid"`, only where the kernel fits, or `"same"`, with zeros beyond the border.
            Defaults to `"valid"`.
        activation: Activation of the outputs, or `None` for linear outputs. Defaults to `None`.
        use_bias: Whether each output map has a bias. Defaults to `True`.
        kernel_initializer: Initializer of the kernel, called with the shape
            `(height, width, inputs of a map, filters)`. Defaults to `"glorot_uniform"`.
        bias_initializer: Initializer of the biases, of shape `(filters,)`. Defaults to `"zeros"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Maps of shape `(batch, height, width, input maps)`; height and width may be
            unknown.

    Returns:
        Maps of shape `(batch, new_height, new_width, filters)`, with the sizes of Keras' `Conv2D`.

    Raises:
        ValueError: If `filters`, `kernel_size`, `strides` or `padding` is out of bounds, the table
            does not have `filters` columns with a true entry each, or the number of input maps
            differs from the number of rows of the table.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import PartialConv2D
    >>> layer = PartialConv2D(2, 1, [[1, 0], [1, 0], [0, 1]], kernel_initializer="ones")
    >>> x = keras.ops.reshape(keras.ops.array([1.0, 2.0, 5.0]), (1, 1, 1, 3))
    >>> keras.ops.convert_to_numpy(layer(x))[0, 0, 0].tolist()
    [3.0, 5.0]
    >>> layer.count_params()
    5

    Reference:
        LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document
        recognition", section II.B, layer C3 and table I. https://doi.org/10.1109/5.726791
    """

    def __init__(
        self,
        filters: int,
        kernel_size,
        connections,
        strides=1,
        padding: str = "valid",
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("filters", filters)
        self._table = np.asarray(connections).astype(bool)
        if self._table.ndim != 2 or self._table.shape[1] != filters:
            raise ValueError(
                f"connections must be a table of filters = {filters} columns, "
                f"not of shape {self._table.shape}."
            )
        if not self._table.any(axis=0).all():
            blind = np.flatnonzero(~self._table.any(axis=0)).tolist()
            raise ValueError(
                f"connections must have a true entry in each column, but columns {blind} have none."
            )
        self._window = pair("kernel_size", kernel_size)
        self._steps = pair("strides", strides)
        self.filters = filters
        self.kernel_size = kernel_size
        self.connections = connections
        self.strides = strides
        self.padding = padding_mode(padding)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        if input_shape[-1] != len(self._table):
            raise ValueError(
                f"inputs must have as many maps as the table has rows, {len(self._table)}, "
                f"not {input_shape[-1]}."
            )
        shape = (*self._window, int(self._table.sum()))
        self.kernel = self.add_weight(shape, self._initial_kernel, name="kernel")
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight((self.filters,), self.bias_initializer, name="bias")

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)  # raises if maps are smaller than the kernel
        y = ops.conv(
            inputs, self._dense_kernel(), self._steps, self.padding, data_format="channels_last"
        )
        return self.activation(y if self.bias is None else y + self.bias)

    def compute_output_shape(self, input_shape):
        sizes = sizes_after(input_shape[1:3], self._window, self._steps, self.padding)
        return (input_shape[0], *sizes, self.filters)

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "connections": np.asarray(self.connections).tolist(),
            "strides": self.strides,
            "padding": self.padding,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": serialize(self.kernel_initializer),
            "bias_initializer": serialize(self.bias_initializer),
        }

    def _dense_kernel(self):
        """Returns the kernel with zeros in place of absent connections."""
        positions = np.where(self._table, np.cumsum(self._table).reshape(self._table.shape) - 1, 0)
        kernel = ops.take(self.kernel, positions.ravel().astype("int32"), axis=-1)
        kernel = ops.reshape(kernel, (*self._window, *self._table.shape))
        return kernel * ops.cast(self._table, kernel.dtype)

    def _initial_kernel(self, shape, dtype=None):
        """Returns the initial kernel, scaled for each map's number of inputs."""
        rows, columns = np.nonzero(self._table)
        inputs = self._table.sum(axis=0)
        # The position of a connection among the connections of its output map.
        places = np.cumsum(self._table, axis=0)[rows, columns] - 1
        parts, order = [], []
        for count in np.unique(inputs).tolist():
            whole = self.kernel_initializer((*self._window, count, self.filters), dtype=dtype)
            here = np.flatnonzero(inputs[columns] == count)
            indices = places[here] * self.filters + columns[here]
            flat = ops.reshape(whole, (*self._window, count * self.filters))
            parts.append(ops.take(flat, indices.astype("int32"), axis=-1))
            order.append(here)
        back = np.argsort(np.concatenate(order)).astype("int32")
        return ops.take(ops.concatenate(parts, axis=-1), back, axis=-1)
