"""Keras' simple recurrent network, trained faster on a CPU."""

import keras

from dlrecipes.layers._fast_rnn import FastRNN


@keras.saving.register_keras_serializable(package="dlrecipes")
class SimpleRNN(FastRNN, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`, Elman's network, but with faster training on a CPU.

    One step is `h_t = tanh(x_t W + h_{t-1} U + b)`. In training under TensorFlow without a GPU it
    runs a recurrence whose steps are unrolled in the graph and whose gradient is written by hand.
    Its output and gradient agree with Keras' layer up to rounding. Keras' own code runs in
    inference (and so in exported models), on other backends, on a GPU, and with
    `recurrent_dropout`, `unroll` or another activation.

    `get_weights` and `set_weights` transfer weights between the two layers. Masks, states and
    `go_backwards` mean the same; `keras.layers.Bidirectional` can wrap it.

    Args:
        units: Size of the hidden layer and of the output, at least 1.
        **kwargs: Other arguments of `keras.layers.SimpleRNN`, with the same defaults:
            `return_sequences`, `dropout` (from 0 to 1, which Keras does not check), `stateful`,
            initializers, regularizers, constraints.

    Call arguments:
        sequences: Inputs of shape `(batch, time, features)`; batch and time may be unknown.
        initial_state: List of `h`, of shape `(batch, units)`, or `None` for zeros. Defaults to
            `None`.
        mask: Boolean of shape `(batch, time)`, or `None`; steps where it is false leave the state
            unchanged and repeat the output. Defaults to `None`.
        training: Whether to apply `dropout` and to use the fast recurrence. Defaults to `False`.

    Returns:
        The last output, of shape `(batch, units)`, or with `return_sequences` all outputs, of shape
        `(batch, time, units)`; with `return_state` also the last `h`.

    Raises:
        ValueError: If `units` is not above 0, or the inputs do not have three axes.
        TypeError: If `units` is not a number.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import SimpleRNN
    >>> layer = keras.layers.Bidirectional(SimpleRNN(4, return_sequences=True))
    >>> tuple(layer(keras.ops.ones((2, 7, 3))).shape)
    (2, 7, 8)

    Reference:
        Elman, 1990, "Finding structure in time". https://doi.org/10.1207/s15516709cog1402_1
    """

    _recurrence = "ELMAN"
    _cell_type = keras.layers.SimpleRNNCell

    def get_config(self):
        return {**super().get_config(), "seed": self.cell.seed}

    def _is_standard(self) -> bool:
        return (
            self.activation is keras.activations.tanh
            and not self.recurrent_dropout
            and not self.unroll
        )
