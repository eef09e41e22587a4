"""A recurrent cell that receives its own output."""

import keras
from keras import ops

from dlrecipes.layers._arguments import fresh, integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class JordanCell(keras.layers.Layer):
    """Feeds its previous prediction, instead of its hidden layer, into the next step.

    One step of the network, with `f` the activation and `g` the feedback activation:

        h_t = f(x_t W + s_{t-1} U + b)
        y_t = h_t V + c
        s_t = g(y_t)

    The cell's output is `y_t`: scores, to which a loss or a `LinearChainCRF` is applied. It feeds
    back `s_t`, which is zero before the first step; with a softmax it is the predicted distribution
    of the previous label. Inside `keras.layers.RNN` a masked step leaves the states unchanged and
    repeats the output. Training and inference behave the same.

    Args:
        units: Size of the hidden layer, at least 1.
        output_units: Size of the output and of the state, at least 1; `None` for `units`. Defaults
            to `None`.
        activation: Activation of the hidden layer. Defaults to `"tanh"`.
        feedback_activation: Activation between the output and the state. Defaults to `"softmax"`.
        kernel_initializer: Initializer of `W`, of shape `(features, units)`. Defaults to
            `"glorot_uniform"`.
        recurrent_initializer: Initializer of `U`, of shape `(output_units, units)`. Defaults to
            `"orthogonal"`.
        output_initializer: Initializer of `V`, of shape `(units, output_units)`. Defaults to
            `"glorot_uniform"`.
        bias_initializer: Initializer of `b` and `c`. Defaults to `"zeros"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: One time step, of shape `(batch, features)`.
        states: List of the previous scores, which Keras outputs at masked steps, and the fed-back
            values, each of shape `(batch, output_units)`.

    Returns:
        The scores, of shape `(batch, output_units)`, and a list of the new states, both of the same
        shape.

    Raises:
        ValueError: If `units` or `output_units` is not an integer of at least 1.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import JordanCell
    >>> tagger = keras.layers.RNN(JordanCell(20, output_units=5), return_sequences=True)
    >>> tuple(tagger(keras.ops.ones((2, 7, 3))).shape)
    (2, 7, 5)

    Reference:
        Jordan, 1986, "Serial order: a parallel distributed processing approach".
        Mesnil, He, Deng and Bengio, 2013, "Investigation of recurrent-neural-network architectures
        and learning methods for spoken language understanding" (there the state is the distribution
        over the tags, as it is here by default).
    """

    def __init__(
        self,
        units: int,
        output_units: int | None = None,
        activation="tanh",
        feedback_activation="softmax",
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        output_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("units", units)
        if output_units is not None:
            integer("output_units", output_units)
        self.units = units
        self.output_units = output_units
        self.activation = keras.activations.get(activation)
        self.feedback_activation = keras.activations.get(feedback_activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.output_size = units if output_units is None else output_units
        self.state_size = [self.output_size, self.output_size]

    def build(self, input_shape):
        self.kernel = self.add_weight(
            (input_shape[-1], self.units), self.kernel_initializer, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            (self.output_size, self.units), self.recurrent_initializer, name="recurrent_kernel"
        )
        self.bias = self.add_weight((self.units,), self.bias_initializer, name="bias")
        self.output_kernel = self.add_weight(
            (self.units, self.output_size), self.output_initializer, name="output_kernel"
        )
        self.output_bias = self.add_weight(
            (self.output_size,), fresh(self.bias_initializer), name="output_bias"
        )

    def call(self, inputs, states):
        hidden = self.activation(
            ops.matmul(inputs, self.kernel)
            + ops.matmul(states[1], self.recurrent_kernel)
            + self.bias
        )
        scores = ops.matmul(hidden, self.output_kernel) + self.output_bias
        return scores, [scores, self.feedback_activation(scores)]

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "units": self.units,
            "output_units": self.output_units,
            "activation": keras.activations.serialize(self.activation),
            "feedback_activation": keras.activations.serialize(self.feedback_activation),
            "kernel_initializer": serialize(self.kernel_initializer),
            "recurrent_initializer": serialize(self.recurrent_initializer),
            "output_initializer": serialize(self.output_initializer),
            "bias_initializer": serialize(self.bias_initializer),
        }
