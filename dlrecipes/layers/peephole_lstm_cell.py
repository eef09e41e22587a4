"""An LSTM cell whose gates see the memory itself."""

import keras
from keras import ops

from dlrecipes.layers._arguments import fresh, integer, number


@keras.saving.register_keras_serializable(package="dlrecipes")
class PeepholeLSTMCell(keras.layers.LSTMCell):
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
    compute the same. Inside `keras.layers.RNN` a masked step leaves the state unchanged. Dropout
    works as in `keras.layers.LSTM`: the same inputs and outputs are dropped at every step of a
    sequence, and with `recurrent_dropout` each gate drops its own. Without dropout, training and
    inference behave the same.

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
        kernel_regularizer: Regularizer of `W`. Defaults to `None`.
        recurrent_regularizer: Regularizer of `U`. Defaults to `None`.
        peephole_regularizer: Regularizer of the peepholes. Defaults to `None`.
        bias_regularizer: Regularizer of `b`. Defaults to `None`.
        kernel_constraint: Constraint of `W`. Defaults to `None`.
        recurrent_constraint: Constraint of `U`. Defaults to `None`.
        peephole_constraint: Constraint of the peepholes. Defaults to `None`.
        bias_constraint: Constraint of `b`. Defaults to `None`.
        dropout: Fraction of the inputs to drop in training, at least 0 and below 1. Defaults to 0.
        recurrent_dropout: Fraction of the previous output to drop in training, at least 0 and below
            1. Defaults to 0.
        seed: Seed of the dropout. Defaults to `None`: random.
        use_bias: Whether there is a bias. Defaults to `True`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: One time step, of shape `(batch, features)`.
        states: List of `h` and `c`, each of shape `(batch, units)`.
        training: Whether to apply dropout. Defaults to `False`.

    Returns:
        The output `h`, of shape `(batch, units)`, and a list of the new `h` and `c`.

    Raises:
        ValueError: If `units` is not an integer of at least 1, or a dropout is outside its bounds.

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
        kernel_regularizer=None,
        recurrent_regularizer=None,
        peephole_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        peephole_constraint=None,
        bias_constraint=None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed=None,
        use_bias: bool = True,
        **kwargs,
    ):
        integer("units", units)
        for name, rate in {"dropout": dropout, "recurrent_dropout": recurrent_dropout}.items():
            number(name, rate, "at least 0 and below 1", lambda x: 0 <= x < 1)
        super().__init__(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            **kwargs,
        )
        self.peephole_initializer = keras.initializers.get(peephole_initializer)
        self.peephole_regularizer = keras.regularizers.get(peephole_regularizer)
        self.peephole_constraint = keras.constraints.get(peephole_constraint)

    def build(self, input_shape):
        self.kernel = self._add("kernel", (input_shape[-1], 4 * self.units))
        self.recurrent_kernel = self._add("recurrent_kernel", (self.units, 4 * self.units))
        self.peepholes = self._add("peepholes", (3, self.units))
        self.bias = self._add("bias", (4 * self.units,)) if self.use_bias else None

    def _add(self, name, shape):
        argument = {"recurrent_kernel": "recurrent", "peepholes": "peephole"}.get(name, name)
        initializer = getattr(self, f"{argument}_initializer")
        return self.add_weight(
            shape,
            self._initial_bias if name == "bias" else initializer,
            name=name,
            regularizer=getattr(self, f"{argument}_regularizer"),
            constraint=getattr(self, f"{argument}_constraint"),
        )

    def call(self, inputs, states, training=False):
        h, c = states
        masks = self.get_dropout_mask(inputs) if training else None
        recurrent_masks = self.get_recurrent_dropout_mask(h) if training else None
        z = _product(inputs, self.kernel, masks)
        z += _product(h, self.recurrent_kernel, recurrent_masks)
        if self.use_bias:
            z += self.bias
        z_input, z_forget, z_memory, z_output = ops.split(z, 4, axis=-1)
        peepholes = ops.convert_to_tensor(self.peepholes)
        input_gate = self.recurrent_activation(z_input + peepholes[0] * c)
        forget_gate = self.recurrent_activation(z_forget + peepholes[1] * c)
        c = forget_gate * c + input_gate * self.activation(z_memory)
        output_gate = self.recurrent_activation(z_output + peepholes[2] * c)
        h = output_gate * self.activation(c)
        return h, [h, c]

    def get_config(self):
        return {
            **super().get_config(),
            "peephole_initializer": keras.initializers.serialize(self.peephole_initializer),
            "peephole_regularizer": keras.regularizers.serialize(self.peephole_regularizer),
            "peephole_constraint": keras.constraints.serialize(self.peephole_constraint),
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


def _product(x, kernel, masks):
    """Returns `x @ kernel`, with `x` multiplied by a dropout mask, or by one for each gate."""
    if not isinstance(masks, list):
        return ops.matmul(x if masks is None else x * masks, kernel)
    parts = zip(masks, ops.split(kernel, 4, axis=-1), strict=True)
    return ops.concatenate([ops.matmul(x * mask, part) for mask, part in parts], axis=-1)
