"""Keras' LSTM, trained faster on a CPU."""

import keras

from dlrecipes.layers._fast_rnn import FastRNN


@keras.saving.register_keras_serializable(package="dlrecipes")
class LSTM(FastRNN, keras.layers.LSTM):
    """Is `keras.layers.LSTM`, with the same weights and results, trained faster on a CPU.

    In training under TensorFlow without a GPU it runs a recurrence whose steps are laid
    out in the graph and whose gradient is written by hand. It agrees with Keras' layer in
    output and gradient up to rounding; in bfloat16 its gates and memory are float32, and
    so nearer to the exact ones. In inference (and so in what is exported), on another
    backend, on a GPU, and with `recurrent_dropout`, `unroll` or other activations than the
    defaults, it is Keras' own code that runs.

    Weights go from one layer to the other with `get_weights` and `set_weights`. Masks,
    states and `go_backwards` mean the same; `keras.layers.Bidirectional` wraps it.

    Args:
        units: Size of the memory and of the output, at least 1.
        **kwargs: Whatever `keras.layers.LSTM` takes: `return_sequences`, `dropout`
            (from 0 to 1, which Keras does not check), `stateful`, initializers,
            regularizers, constraints.

    Call arguments:
        sequence: Inputs of shape `(batch, time, features)`; batch and time may be unknown.
        initial_state: A list of `h` and `c`, each of shape `(batch, units)`, or `None`
            for zeros.
        mask: Boolean, of shape `(batch, time)`: a step at which it is false leaves the
            state as it was and repeats the output.
        training: Whether to leave inputs out (`dropout`), and to be fast.

    Returns:
        The last output, of shape `(batch, units)`, or with `return_sequences` all of them,
        of shape `(batch, time, units)`; with `return_state` also the last `h` and `c`.

    Raises:
        ValueError: If `units` is not above 0, or the inputs have not three axes, as
            `keras.layers.LSTM` does.
        TypeError: If `units` is not a number.

    Example:

    >>> ours = LSTM(4, return_sequences=True)
    >>> keras_own = keras.layers.LSTM(4, return_sequences=True)
    >>> x = keras.random.normal((2, 7, 3), seed=1)
    >>> expected = keras_own(x)
    >>> ours.build(x.shape)
    >>> ours.set_weights(keras_own.get_weights())
    >>> float(keras.ops.max(keras.ops.abs(ours(x, training=True) - expected))) < 1e-6
    True

    Reference:
        Hochreiter and Schmidhuber, 1997, "Long short-term memory".
        Gers, Schmidhuber and Cummins, 2000, "Learning to forget" (the forget gate).
    """

    _recurrence = "LSTM"
    _cell_type = keras.layers.LSTMCell

    def get_config(self):
        """Returns the constructor's arguments; Keras' own leave out two."""
        return {**super().get_config(), "seed": self.cell.seed, "use_cudnn": self.use_cudnn}

    def _is_standard(self) -> bool:
        return (
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and not self.recurrent_dropout
            and not self.unroll
        )
