"""Rosenblatt's learning rule for threshold units."""

import keras
import tensorflow as tf

from dlrecipes.layers import ThresholdUnit
from dlrecipes.training._engine import uneven_batches
from dlrecipes.training._engine.checks import runtime_check
from dlrecipes.training._engine.layer_chains import (
    ExplicitRule,
    chain,
    unpack_examples,
    update_per_example,
)
from dlrecipes.training.trainer import batch_size


@keras.saving.register_keras_serializable(package="dlrecipes")
class PerceptronRule(ExplicitRule):
    """Trains threshold units by Rosenblatt's rule, which changes weights only after a mistake.

        w <- w + rate * (y - y_hat) * x        t <- t - rate * (y - y_hat)

    The rule is applied to one example after the other, in the batch's order, each time with the
    updated weights: the result depends on the order but not on the batch size. `fit` shuffles
    examples unless `shuffle=False`. If a plane separates the classes with margin `g`, and no input
    with a -1 appended is longer than `r`, training from zero weights makes at most `(r / g)^2`
    mistakes in any order. If no plane separates them, the weights never converge.

    `compile` takes only `keras.optimizers.SGD(rate)`, by default with a rate of 1. From zero
    weights the rate only scales the weights. `fit` logs `errors`, the fraction of examples that
    were misclassified at their turn; `loss`, the perceptron criterion `(y_hat - y) * (w x - t)`,
    summed over the units and averaged over the examples, whose gradient the rule follows; and
    `gradient_norm`, the mean over the examples. `evaluate` changes no weights and logs the first
    two.

    Under several replicas every replica processes the whole batch: the result equals one on a
    single device, and takes as long. All arithmetic has the weights' own precision.

    Args:
        network: `models.perceptron`, another chain of layers that ends in a `ThresholdUnit`, or
            such a layer alone, built. Only the units are trained: layers before them have no
            weights or are not trainable, like the association units of Rosenblatt's machine.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Inputs of the network. `fit` expects targets among the units' outputs: 0 and 1, or
            -1 and 1, of shape `(batch, units)`, or `(batch,)` for one unit.
        training: Ignored.

    Returns:
        The units' outputs, of shape `(batch, units)`.

    Raises:
        ValueError: If the network does not end in a trainable `ThresholdUnit`, is not built, or has
            other trainable layers.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.models import perceptron
    >>> from dlrecipes.training import PerceptronRule
    >>> x = tf.constant([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> model = PerceptronRule(perceptron(2))
    >>> model.compile()
    >>> history = model.fit(x, tf.constant([0, 0, 0, 1]), epochs=10, verbose=0).history
    >>> model(x).numpy().ravel().tolist(), history["errors"][-1]
    ([0.0, 0.0, 0.0, 1.0], 0.0)

    Reference:
        Rosenblatt, 1958, "The perceptron: a probabilistic model for information storage and
        organization in the brain". https://doi.org/10.1037/h0042519
        Rosenblatt, 1962, "Principles of neurodynamics"; Novikoff, 1962, "On convergence proofs on
        perceptrons" (the bound).
    """

    serializable_arguments = ("network",)
    default_rate = 1.0

    def __init__(self, network: keras.Model | ThresholdUnit, **kwargs):
        super().__init__(**kwargs)
        layers = [network] if isinstance(network, ThresholdUnit) else chain(network)
        unit = layers[-1]
        if not isinstance(unit, ThresholdUnit):
            raise ValueError(f"The network must end in a ThresholdUnit, not in {unit.name}.")
        if not unit.built:
            raise ValueError(f"{unit.name} has no weights yet: call it on a batch first.")
        if not unit.trainable:
            raise ValueError(f"{unit.name} is not trainable: the rule would change nothing.")
        for layer in layers[:-1]:
            if layer.trainable_variables:
                raise ValueError(
                    f"{layer.name} has trainable weights, but the rule trains only the units at "
                    "the end: set its trainable = False."
                )
        self.network = network
        self.errors = keras.metrics.Mean(name="errors")
        self.built = True

    @property
    def unit(self) -> ThresholdUnit:
        """The trained units."""
        return self._layers_in_order()[-1]

    def call(self, inputs, training=False):
        return self.network(inputs)

    def train_step(self, data):
        x, y, potential = self._examples(data)
        variables = [self.unit.kernel, self.unit.thresholds]
        loss, errors, norm = update_per_example(self._rule, self.optimizer, variables, x, y)
        self.errors.update_state(errors, sample_weight=batch_size(y))
        self.gradient_norm.update_state(norm)
        logs = self._logs(loss, x, y, potential)
        return {**logs, "gradient_norm": self.gradient_norm.result()}

    def test_step(self, data):
        x, y, potential = self._examples(data)
        error = y - self._fires(potential)
        wrong = tf.reduce_any(error != 0, axis=1)
        self.errors.update_state(tf.cast(wrong, tf.float32))
        loss = tf.reduce_mean(tf.reduce_sum(-error * potential, axis=1))
        return self._logs(loss, x, y, potential)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the perceptron criterion, averaged over this replica's examples."""
        _, y, potential = self._examples((x, y, sample_weight))
        error = y - self._fires(potential)
        return tf.reduce_mean(tf.reduce_sum(-error * potential, axis=1))

    def _rule(self, values, x, y):
        kernel, thresholds = values
        potential = x @ kernel - thresholds
        error = y - self._fires(potential)
        gradients = [-tf.matmul(x, error, transpose_a=True), error[0]]
        # A NaN potential times an error of 0 is NaN as well, so that training stops.
        return gradients, [tf.reduce_sum(-error * potential), tf.reduce_any(error != 0)]

    def _examples(self, data):
        unit = self.unit
        x, y = unpack_examples(data, unit.units, unit.kernel.dtype)
        for layer in self._layers_in_order()[:-1]:
            x = layer(x)
        if x.shape.rank != 2:
            raise ValueError(f"Units read one vector per example, not shape {tuple(x.shape)}.")
        lowest = 0 if unit.output_kind == "binary" else -1
        # Without the placeholder of a replica that has no examples.
        real = y[: uneven_batches.examples()]
        valid = tf.reduce_all((real == 1) | (real == lowest))
        runtime_check(valid, f"Targets must be 1 or {lowest}.")
        x = tf.cast(x, unit.kernel.dtype)
        return x, y, x @ unit.kernel.value - unit.thresholds.value

    def _fires(self, potential):
        fires = tf.cast(potential >= 0, potential.dtype)
        return fires if self.unit.output_kind == "binary" else 2 * fires - 1

    def _logs(self, loss, x, y, potential):
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x))
        logs = self.compute_metrics(x, y, self._fires(potential))
        return {**logs, "errors": self.errors.result()}

    def _layers_in_order(self):
        network = self.network
        return [network] if isinstance(network, ThresholdUnit) else chain(network)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the loss and the metrics of `compile`."""
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        return {name: value for name, value in logs.items() if name != self.errors.name}
