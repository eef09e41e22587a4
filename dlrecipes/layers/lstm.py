"""Keras' LSTM, trained faster on a CPU."""

import keras

from dlrecipes.layers._fast_rnn import FastRNN


@keras.saving.register_keras_serializable(package="dlrecipes")
class LSTM(FastRNN, keras.layers.LSTM):
    """`keras.layers.LSTM`, with the same weights and results, but faster training on a CPU.

    In training under TensorFlow without a GPU it runs a recurrence whose steps are unrolled in the
    graph and whose gradient is written by hand. Its output and gradient agree with Keras' layer up
    to rounding; in bfloat16 its gates and memory are float32, and therefore more exact. Keras' own
    code runs in inference (and so in exported models), on other backends, on a GPU, and with
    `recurrent_dropout`, `unroll` or other activations than the defaults.

    `get_weights` and `set_weights` transfer weights between the two layers. Masks, states and
    `go_backwards` mean the same; `keras.layers.Bidirectional` can wrap it.

    Args:
        units: Size of the memory and of the output, at least 1.
        **kwargs: Other arguments of `keras.layers.LSTM`, with the same defaults:
            `return_sequences`, `dropout` (from 0 to 1, which Keras does not check), `stateful`,
            initializers, regularizers, constraints.

    Call arguments:
        sequences: Inputs of shape `(batch, time, features)`; batch and time may be unknown.
        initial_state: List of `h` and `c`, each of shape `(batch, units)`, or `None` for zeros.
            Defaults to `None`.
        mask: Boolean of shape `(batch, time)`, or `None`; steps where it is false leave the state
            unchanged and repeat the output. Defaults to `None`.
        training: Whether to apply `dropout` and to use the fast recurrence. Defaults to `False`.

    Returns:
        The last output, of shape `(batch, units)`, or with `return_sequences` all outputs, of shape
        `(batch, time, units)`; with `return_state` also the last `h` and `c`.

    Raises:
        ValueError: If `units` is not above 0, or the inputs do not have three axes.
        TypeError: If `units` is not a number.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import LSTM
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
        https://doi.org/10.1162/neco.1997.9.8.1735
        Gers, Schmidhuber and Cummins, 2000, "Learning to forget", for the forget gate.
        https://doi.org/10.1162/089976600300015015
    """

    _recurrence = "LSTM"
    _cell_type = keras.layers.LSTMCell

    def get_config(self):
        return {**super().get_config(), "seed": self.cell.seed, "use_cudnn": self.use_cudnn}

    def _is_standard(self) -> bool:
        return (
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and not self.recurrent_dropout
            and not self.unroll
        )
