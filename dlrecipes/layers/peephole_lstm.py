"""A peephole LSTM over time, with fast training on a CPU."""

import keras

from dlrecipes.layers._fast_rnn import FastRNN
from dlrecipes.layers.peephole_lstm_cell import PeepholeLSTMCell


@keras.saving.register_keras_serializable(package="dlrecipes")
class PeepholeLSTM(FastRNN, keras.layers.RNN):
    """Runs a `PeepholeLSTMCell` over time and trains faster than `keras.layers.RNN`.

    The equations are those of `PeepholeLSTMCell`. In training under TensorFlow without a GPU it
    runs a recurrence whose steps are unrolled in the graph and whose gradient is written by hand;
    in bfloat16 its gates and memory are float32. In all other cases, and with `recurrent_dropout`,
    it is `keras.layers.RNN(PeepholeLSTMCell(units))`, with which it shares the weights and agrees
    in output and gradient up to rounding. Dropout, regularizers and constraints are those of
    `keras.layers.LSTM`.

    Args:
        units: Size of the memory and of the output, at least 1.
        activation: Activation of the memory's input and output. Defaults to `"tanh"`.
        recurrent_activation: Activation of the gates. Defaults to `"sigmoid"`.
        kernel_initializer: Initializer of the inputs' kernel. Defaults to `"glorot_uniform"`.
        recurrent_initializer: Initializer of the recurrent kernel. Defaults to `"orthogonal"`.
        peephole_initializer: Initializer of the peepholes. Defaults to `"zeros"`.
        bias_initializer: Initializer of the bias. Defaults to `"zeros"`.
        unit_forget_bias: Whether the forget gate's bias starts at 1 instead. Defaults to `True`.
        kernel_regularizer: Regularizer of the inputs' kernel. Defaults to `None`.
        recurrent_regularizer: Regularizer of the recurrent kernel. Defaults to `None`.
        peephole_regularizer: Regularizer of the peepholes. Defaults to `None`.
        bias_regularizer: Regularizer of the bias. Defaults to `None`.
        kernel_constraint: Constraint of the inputs' kernel. Defaults to `None`.
        recurrent_constraint: Constraint of the recurrent kernel. Defaults to `None`.
        peephole_constraint: Constraint of the peepholes. Defaults to `None`.
        bias_constraint: Constraint of the bias. Defaults to `None`.
        dropout: Fraction of the inputs to drop in training, at least 0 and below 1. Defaults to 0.
        recurrent_dropout: Fraction of the previous output to drop in training, at least 0 and below
            1. Defaults to 0.
        seed: Seed of the dropout. Defaults to `None`: random.
        use_bias: Whether there is a bias. Defaults to `True`.
        **kwargs: Arguments of `keras.layers.RNN`, with the same defaults: `return_sequences`,
            `return_state`, `go_backwards`, `stateful`, `unroll`, `zero_output_for_mask`.

    Call arguments:
        sequences: Inputs of shape `(batch, time, features)`; batch and time may be unknown.
        initial_state: List of `h` and `c`, each of shape `(batch, units)`, or `None` for zeros.
            Defaults to `None`.
        mask: Boolean of shape `(batch, time)`, or `None`; steps where it is false leave the state
            unchanged and repeat the output. Defaults to `None`.
        training: Whether to apply dropout and to use the fast recurrence. Defaults to `False`.

    Returns:
        The last output, of shape `(batch, units)`, or with `return_sequences` all outputs, of shape
        `(batch, time, units)`; with `return_state` also the last `h` and `c`.

    Raises:
        ValueError: If `units` is not an integer of at least 1, a dropout is outside its bounds, or
            the inputs do not have three axes.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import PeepholeLSTM
    >>> layer = keras.layers.Bidirectional(PeepholeLSTM(4, return_sequences=True))
    >>> tuple(layer(keras.ops.ones((2, 7, 3))).shape)
    (2, 7, 8)

    Reference:
        Gers and Schmidhuber, 2000, "Recurrent nets that time and count".
        https://doi.org/10.1109/IJCNN.2000.861302
    """

    _recurrence = "PEEPHOLE_LSTM"
    _cell_type = PeepholeLSTMCell

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
        cell = PeepholeLSTMCell(
            units,
            activation,
            recurrent_activation,
            kernel_initializer,
            recurrent_initializer,
            peephole_initializer,
            bias_initializer,
            unit_forget_bias,
            kernel_regularizer,
            recurrent_regularizer,
            peephole_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            peephole_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            seed,
            use_bias,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
        )
        super().__init__(cell, **kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    @property
    def units(self) -> int:
        """The size of the memory and of the output."""
        return self.cell.units

    def get_config(self):
        config = super().get_config()
        del config["cell"]
        cell = self.cell.get_config()
        return {**config, **{k: v for k, v in cell.items() if k not in config}}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def _is_standard(self) -> bool:
        return (
            self.cell.activation is keras.activations.tanh
            and self.cell.recurrent_activation is keras.activations.sigmoid
            and not self.cell.recurrent_dropout
            and not self.unroll
        )
