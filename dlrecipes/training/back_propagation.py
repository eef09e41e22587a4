"""Back-propagation written out: the delta rule for networks of fully connected layers."""

import keras
import tensorflow as tf

from dlrecipes.training._engine import optimizer_step
from dlrecipes.training._engine.layer_chains import (
    ExplicitRule,
    chain,
    format_targets,
    unpack_examples,
    update_per_example,
)
from dlrecipes.training.trainer import batch_size
from dlrecipes.training.weight_decay import check_error_share, decayed_error

MODES = ("standard", "accumulated")
# Derivatives of activations as functions of the output, so that only outputs are stored.
DERIVATIVES = {
    "linear": tf.ones_like,
    "sigmoid": lambda b: b * (1 - b),
    "tanh": lambda b: 1 - b * b,
    "relu": lambda b: tf.cast(b > 0, b.dtype),
    "elu": lambda b: tf.where(b < 0, b + 1, tf.ones_like(b)),
    "softplus": lambda b: 1 - tf.exp(-b),
}


@keras.saving.register_keras_serializable(package="dlrecipes")
class BackPropagation(ExplicitRule):
    """Trains a multilayer perceptron by the delta rule, without automatic differentiation.

    The error of an example is half the squared distance from its target. The forward pass stores
    the activations, and the backward pass computes the deltas; `f'` is the derivative of the
    activation, which is `b * (1 - b)` for sigmoid units:

        E_k  = 1/2 sum_j (y_hat_j - y_j)^2
        g_j  = f'(y_hat_j) * (y_j - y_hat_j)            delta of an output
        e_h  = f'(b_h) * sum_j w_hj g_j                 delta of the layer below, and so on
        dw_hj = rate * g_j * b_h                        for a bias, rate * g_j

    Mode `"standard"` updates the weights after each example, in the batch's order: the result
    depends on the order but not on the batch size. Mode `"accumulated"` updates them once per
    batch, by the mean over its examples. With the whole data set as one batch (`batch_size=len(x)`)
    it is the book's algorithm, which makes one update per pass; with smaller batches it is
    mini-batch gradient descent. `fit` shuffles unless `shuffle=False`.

    `compile` takes any optimizer for `"accumulated"`, and only `keras.optimizers.SGD(rate)` for
    `"standard"`; the default is SGD with a rate of 0.1. `fit` logs `loss`, the mean of the
    minimized quantity before each update, and `gradient_norm`, its mean over the updates.

    Under several replicas an accumulated step is divided among them, and in `"standard"` mode every
    replica processes the whole batch. All arithmetic has the weights' own precision.

    Args:
        network: Chain of `Dense` layers, such as `models.mlp` without dropout, optionally after one
            `Flatten`. Activations may be sigmoid, tanh, linear, relu, elu and softplus.
        mode: `"standard"` or `"accumulated"`. Defaults to `"standard"`.
        error_share: Weight of the error in `decayed_error`, above 0 and at most 1; the squares of
            all trained weights and biases have the remaining weight. Defaults to 1.0, no decay.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Inputs of the network. `fit` expects targets of shape `(batch, outputs)`, or
            `(batch,)` for one output.
        training: Ignored.

    Returns:
        The network's outputs, of shape `(batch, outputs)`.

    Raises:
        ValueError: If `mode` or `error_share` is invalid, or if the rule does not support one of
            the network's layers, activations, regularizers or constraints.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.models import mlp
    >>> from dlrecipes.training import BackPropagation
    >>> network = mlp((2,), 1, (3,), activation="sigmoid", output_activation="sigmoid")
    >>> model = BackPropagation(network, mode="accumulated")
    >>> x, y = tf.constant([[0.0, 1.0], [1.0, 1.0]]), tf.constant([[1.0], [0.0]])
    >>> with tf.GradientTape() as tape:
    ...     loss = model.compute_loss(x, y, network(x))
    >>> weights = [variable.value for variable in model.trainable_variables]
    >>> pairs = zip(model.gradients(x, y), tape.gradient(loss, weights))
    >>> all(bool(tf.reduce_all(abs(ours - theirs) < 1e-6)) for ours, theirs in pairs)
    True

    Reference:
        Rumelhart, Hinton and Williams, 1986, "Learning representations by back-propagating errors",
        equations 4 to 7. https://doi.org/10.1038/323533a0
        Zhou, 2016, "Machine learning" (in Chinese), equations 5.3 to 5.17 and figure 5.8.
    """

    serializable_arguments = ("network",)
    default_rate = 0.1

    def __init__(
        self,
        network: keras.Model,
        mode: str = "standard",
        error_share: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}.")
        check_error_share(error_share)
        for position, layer in enumerate(chain(network)):
            _check_layer(layer, first=position == 0)
        self.network = network
        self.mode = mode
        self.error_share = error_share
        if not self.dense or not any(v.trainable for v in network.weights):
            raise ValueError(f"{network.name} has no weights to train.")
        self.built = True

    @property
    def each_example(self) -> bool:
        """Whether the weights are updated after each example: in standard mode."""
        return self.mode == "standard"

    @property
    def dense(self) -> list[keras.layers.Dense]:
        """The layers with weights, from the inputs up."""
        return [layer for layer in self.network.layers if isinstance(layer, keras.layers.Dense)]

    def call(self, inputs, training=False):
        return self.network(inputs)

    def gradients(self, x, y) -> list[tf.Tensor]:
        """Returns the gradient of the mean loss, by the delta rule.

        Args:
            x: Inputs, of the network's shape.
            y: Targets, of shape `(batch, outputs)`.

        Returns:
            A gradient for each of `trainable_variables`.
        """
        values = [variable.value for variable in self._weights()]
        gradients, _, _ = self._delta_rule(values, *self._examples((x, y)))
        pairs = zip(self._weights(), gradients, strict=True)
        by_variable = {id(variable): gradient for variable, gradient in pairs}
        return [by_variable[id(variable)] for variable in self.trainable_variables]

    def train_step(self, data):
        x, y = self._examples(data)
        weights = self._weights()
        gradients, outputs, loss = self._delta_rule([v.value for v in weights], x, y)
        if self.each_example:
            loss, _, norm = update_per_example(self._rule, self.optimizer, weights, x, y)
        else:
            scale = self.optimizer.scale_loss
            scaled = [None if gradient is None else scale(gradient) for gradient in gradients]
            norm = optimizer_step.apply(self.optimizer, scaled, weights)
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x))
        logs = self.compute_metrics(x, y, outputs)
        self.gradient_norm.update_state(norm)
        return {**logs, "gradient_norm": self.gradient_norm.result()}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the mean error of this replica's examples, with weight decay."""
        if sample_weight is not None:
            raise ValueError("The rule takes inputs and targets, and no sample weights.")
        dense = self.dense
        y = format_targets(y, dense[-1].units, dense[-1].kernel.dtype)
        return self._loss([v.value for v in self._weights()], tf.cast(y_pred, y.dtype), y)

    def _rule(self, values, x, y):
        gradients, _, loss = self._delta_rule(values, x, y)
        return gradients, [loss, loss]

    def _delta_rule(self, values, x, y):
        """Returns the gradients of the mean loss by weight, the outputs, and the loss."""
        activations, kernels, rest = [x], [], list(values)
        for layer in self.dense:
            kernels.append(rest.pop(0))
            potential = activations[-1] @ kernels[-1]
            potential = potential + rest.pop(0) if layer.use_bias else potential
            activations.append(layer.activation(potential))
        loss = self._loss(values, activations[-1], y)
        gradients = []
        error = (y - activations[-1]) / tf.cast(batch_size(x), y.dtype)
        for number, layer in reversed(list(enumerate(self.dense))):
            delta = error * _derivative(layer)(activations[number + 1])
            error = tf.matmul(delta, kernels[number], transpose_b=True)
            bias = [-tf.reduce_sum(delta, axis=0)] if layer.use_bias else []
            kernel = -tf.matmul(activations[number], delta, transpose_a=True)
            gradients = [kernel, *bias, *gradients]
        decayed = [
            self.error_share * gradient + 2 * (1 - self.error_share) * value
            if variable.trainable
            else None
            for variable, value, gradient in zip(self._weights(), values, gradients, strict=True)
        ]
        return decayed, activations[-1], loss

    def _loss(self, values, outputs, y):
        error = tf.reduce_mean(tf.reduce_sum(tf.square(outputs - y), axis=1)) / 2
        pairs = zip(self._weights(), values, strict=True)
        trained = [value for variable, value in pairs if variable.trainable]
        return decayed_error(error, trained, self.error_share)

    def _weights(self):
        return [variable for layer in self.dense for variable in layer.weights]

    def _examples(self, data):
        first, last = self.dense[0], self.dense[-1]
        x, y = unpack_examples(data, last.units, last.kernel.dtype)
        return tf.reshape(x, [-1, first.kernel.shape[0]]), y

    def get_config(self):
        return {**super().get_config(), "mode": self.mode, "error_share": self.error_share}


def _derivative(layer):
    return DERIVATIVES[keras.activations.serialize(layer.activation)]


def _check_layer(layer, first):
    """Raises an error for a layer that the rule does not support."""
    if type(layer) is keras.layers.Flatten and first:
        if layer.data_format != "channels_last" and len(layer.input.shape) > 2:
            raise ValueError(f"{layer.name} must be of data_format='channels_last'.")
        return
    if type(layer) is not keras.layers.Dense:
        raise ValueError(
            "The network must be Dense layers, perhaps after a Flatten, without dropout: "
            f"{layer.name} is a {type(layer).__name__}."
        )
    if len(layer.input.shape) != 2:
        raise ValueError(f"{layer.name} must read one vector per example: flatten first.")
    name = keras.activations.serialize(layer.activation)
    known = isinstance(name, str) and name in DERIVATIVES
    if not known or layer.activation is not keras.activations.get(name):
        raise ValueError(
            f"The activation of {layer.name} must be one of {', '.join(DERIVATIVES)}, not {name!r}."
        )
    special = ("kernel_regularizer", "bias_regularizer", "activity_regularizer",
               "kernel_constraint", "bias_constraint")  # fmt: skip
    unsupported = [argument for argument in special if getattr(layer, argument) is not None]
    if unsupported:
        raise ValueError(
            f"{layer.name} uses {', '.join(unsupported)}, which the delta rule does not support: "
            "use error_share for weight decay."
        )
