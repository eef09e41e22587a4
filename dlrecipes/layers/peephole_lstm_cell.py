"""An LSTM cell whose gates see the memory itself."""

import keras
from keras import ops

from dlrecipes.layers._arguments import fresh, integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class PeepholeLSTMCell(keras.layers.Layer):
    """An LSTM cell whose gates also see the memory, through one weight per unit.

    One step, with `s` the recurrent activation, `f` the activation, `*` element by element, and
    `z_i, z_f, z_c, z_o` the four parts of `x_t W + h_{t-1} U + b`:

        i   = s(z_i + p_i * c_{t-1})
        f   = s(z_f + p_f * c_{t-1})
        c_t = f * c_{t-1} + i * f(z_c)
        o   = s(z_o + p_o * c_t)
        h_t = o * f(c_t)

    A closed output gate hides the memory from the gates of a plain LSTM; peepholes keep it visible,
    so that the cell can learn to count and to keep time. `kernel`, `recurrent_kernel` and `bias`
    have the layout of `keras.layers.LSTM` and may be copied from it; with peepholes of zero both
    compute the same. Inside `keras.layers.RNN` a masked step leaves the state unchanged. Training
    and inference behave the same.

    Args:
        units: Size of the memory and of the output, at least 1.
        activation: Activation of the memory's input and output. Defaults to `"tanh"`.
        recurrent_activation: Activation of the gates. Defaults to `"sigmoid"`.
        kernel_initializer: Initializer of `W`, of shape `(features, 4 * units)`. Defaults to
            `"glorot_uniform"`.
        recurrent_initializer: Initializer of `U`, of shape `(units, 4 * units)`. Defaults to
            `"orthogonal"`.
        peephole_initializer: Initializer of the peepholes `p_i, p_f, p_o`, the rows of a weight of
            shape `(3, units)`. Defaults to `"zeros"`.
        bias_initializer: Initializer of `b`, of shape `(4 * units,)`. Defaults to `"zeros"`.
        unit_forget_bias: Whether the forget gate's bias starts at 1 instead, so that the memory is
            kept until the cell learns to forget. Defaults to `True`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: One time step, of shape `(batch, features)`.
        states: List of `h` and `c`, each of shape `(batch, units)`.

    Returns:
        The output `h`, of shape `(batch, units)`, and a list of the new `h` and `c`.

    Raises:
        ValueError: If `units` is not an integer of at least 1.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import PeepholeLSTMCell
    >>> layer = keras.layers.RNN(PeepholeLSTMCell(4), return_sequences=True)
    >>> tuple(layer(keras.ops.ones((2, 7, 3))).shape)
    (2, 7, 4)

    Reference:
        Gers and Schmidhuber, 2000, "Recurrent nets that time and count".
        https://doi.org/10.1109/IJCNN.2000.861302
        Gers, Schraudolph and Schmidhuber, 2002, "Learning precise timing with LSTM recurrent
        networks", the section on peephole connections.
    """

    def __init__(
        self,
        units: int,
        activation="tanh",
        recurrent_activation="sigmoid",
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        peephole_initializer="zeros",
        bias_initializer="zeros",
        unit_forget_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("units", units)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.peephole_initializer = keras.initializers.get(peephole_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [units, units]
        self.output_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(
            (input_shape[-1], 4 * self.units), self.kernel_initializer, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            (self.units, 4 * self.units), self.recurrent_initializer, name="recurrent_kernel"
        )
        self.peepholes = self.add_weight(
            (3, self.units), self.peephole_initializer, name="peepholes"
        )
        self.bias = self.add_weight((4 * self.units,), self._initial_bias, name="bias")

    def call(self, inputs, states):
        h, c = states
        z = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias
        z_input, z_forget, z_memory, z_output = ops.split(z, 4, axis=-1)
        peepholes = ops.convert_to_tensor(self.peepholes)
        input_gate = self.recurrent_activation(z_input + peepholes[0] * c)
        forget_gate = self.recurrent_activation(z_forget + peepholes[1] * c)
        c = forget_gate * c + input_gate * self.activation(z_memory)
        output_gate = self.recurrent_activation(z_output + peepholes[2] * c)
        h = output_gate * self.activation(c)
        return h, [h, c]

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "recurrent_activation": keras.activations.serialize(self.recurrent_activation),
            "kernel_initializer": serialize(self.kernel_initializer),
            "recurrent_initializer": serialize(self.recurrent_initializer),
            "peephole_initializer": serialize(self.peephole_initializer),
            "bias_initializer": serialize(self.bias_initializer),
            "unit_forget_bias": self.unit_forget_bias,
        }

    def _initial_bias(self, shape, dtype=None):
        if not self.unit_forget_bias:
            return self.bias_initializer(shape, dtype=dtype)
        return ops.concatenate(
            [
                self.bias_initializer((self.units,), dtype=dtype),
                ops.ones((self.units,), dtype=dtype),
                fresh(self.bias_initializer)((2 * self.units,), dtype=dtype),
            ]
        )
