"""A peephole LSTM over time, trained fast on a CPU."""

import keras

from dlrecipes.layers._fast_rnn import FastRNN
from dlrecipes.layers.peephole_lstm_cell import PeepholeLSTMCell


@keras.saving.register_keras_serializable(package="dlrecipes")
class PeepholeLSTM(FastRNN, keras.layers.RNN):
    """Runs a `PeepholeLSTMCell` over time, in training faster than `keras.layers.RNN` does.

    The equations are those of `PeepholeLSTMCell`. In training under TensorFlow without a
    GPU it runs a recurrence whose steps are laid out in the graph and whose gradient is
    written by hand; in bfloat16 its gates and memory are float32. It agrees with
    `keras.layers.RNN(PeepholeLSTMCell(units))`, which it is otherwise, in output and
    gradient up to rounding, and takes the same weights.

    Args:
        units: Size of the memory and of the output, at least 1.
        activation: Activation of the memory's input and output.
        recurrent_activation: Activation of the gates.
        kernel_initializer: Initializer of the inputs' kernel.
        recurrent_initializer: Initializer of the recurrent kernel.
        peephole_initializer: Initializer of the peepholes.
        bias_initializer: Initializer of the bias.
        unit_forget_bias: Whether the forget gate's bias starts at 1 instead.
        **kwargs: Whatever `keras.layers.RNN` takes: `return_sequences`, `return_state`,
            `go_backwards`, `stateful`, `unroll`, `zero_output_for_mask`.

    Call arguments:
        sequence: Inputs of shape `(batch, time, features)`; batch and time may be unknown.
        initial_state: A list of `h` and `c`, each of shape `(batch, units)`, or `None`
            for zeros.
        mask: Boolean, of shape `(batch, time)`: a step at which it is false leaves the
            state as it was and repeats the output.
        training: Whether to be fast.

    Returns:
        The last output, of shape `(batch, units)`, or with `return_sequences` all of them,
        of shape `(batch, time, units)`; with `return_state` also the last `h` and `c`.

    Raises:
        ValueError: If `units` is not an integer of at least 1, or the inputs have not three axes.

    Example:

    >>> layer = keras.layers.Bidirectional(PeepholeLSTM(4, return_sequences=True))
    >>> tuple(layer(keras.ops.ones((2, 7, 3))).shape)
    (2, 7, 8)

    Reference:
        Gers and Schmidhuber, 2000, "Recurrent nets that time and count".
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
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
        )
        super().__init__(cell, **kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    @property
    def units(self) -> int:
        """Size of the memory and of the output."""
        return self.cell.units

    def get_config(self):
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["cell"]
        cell = self.cell.get_config()
        return {**config, **{k: v for k, v in cell.items() if k not in config}}

    @classmethod
    def from_config(cls, config):
        """Builds the layer from its constructor's arguments."""
        return cls(**config)

    def _is_standard(self) -> bool:
        return (
            self.cell.activation is keras.activations.tanh
            and self.cell.recurrent_activation is keras.activations.sigmoid
            and not self.unroll
        )
