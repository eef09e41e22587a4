"""Keras' simple recurrent network, trained faster on a CPU."""

import keras

from dlrecipes.layers._fast_rnn import FastRNN


@keras.saving.register_keras_serializable(package="dlrecipes")
class SimpleRNN(FastRNN, keras.layers.SimpleRNN):
    """Is `keras.layers.SimpleRNN`, Elman's network, trained faster on a CPU.

    One step is `h_t = tanh(x_t W + h_{t-1} U + b)`. In training under TensorFlow without a
    GPU it runs a recurrence whose steps are laid out in the graph and whose gradient is
    written by hand. It agrees with Keras' layer in output and gradient up to rounding. In
    inference (and so in what is exported), on another backend, on a GPU, and with
    `recurrent_dropout`, `unroll` or another activation, it is Keras' own code that runs.

    Weights go from one layer to the other with `get_weights` and `set_weights`. Masks,
    states and `go_backwards` mean the same; `keras.layers.Bidirectional` wraps it.

    Args:
        units: Size of the hidden layer and of the output, at least 1.
        **kwargs: Whatever `keras.layers.SimpleRNN` takes: `return_sequences`, `dropout`
            (from 0 to 1, which Keras does not check), `stateful`, initializers,
            regularizers, constraints.

    Call arguments:
        sequence: Inputs of shape `(batch, time, features)`; batch and time may be unknown.
        initial_state: A list of `h`, of shape `(batch, units)`, or `None` for zeros.
        mask: Boolean, of shape `(batch, time)`: a step at which it is false leaves the
            state as it was and repeats the output.
        training: Whether to leave inputs out (`dropout`), and to be fast.

    Returns:
        The last output, of shape `(batch, units)`, or with `return_sequences` all of them,
        of shape `(batch, time, units)`; with `return_state` also the last `h`.

    Raises:
        ValueError: If `units` is not above 0, or the inputs have not three axes, as
            `keras.layers.SimpleRNN` does.
        TypeError: If `units` is not a number.

    Example:

    >>> layer = keras.layers.Bidirectional(SimpleRNN(4, return_sequences=True))
    >>> tuple(layer(keras.ops.ones((2, 7, 3))).shape)
    (2, 7, 8)

    Reference:
        Elman, 1990, "Finding structure in time".
    """

    _recurrence = "ELMAN"
    _cell_type = keras.layers.SimpleRNNCell

    def get_config(self):
        """Returns the constructor's arguments; Keras' own leave out the seed."""
        return {**super().get_config(), "seed": self.cell.seed}

    def _is_standard(self) -> bool:
        return (
            self.activation is keras.activations.tanh
            and not self.recurrent_dropout
            and not self.unroll
        )
