"""Rosenblatt's rule for units that fire or do not."""

import keras
import tensorflow as tf

from dlrecipes.layers import ThresholdUnit
from dlrecipes.training._engine import uneven_batches
from dlrecipes.training._engine.checks import refuse_unless
from dlrecipes.training._engine.layer_chains import WrittenOut, chain, examples_of, in_turn
from dlrecipes.training.trainer import batch_size


@keras.saving.register_keras_serializable(package="dlrecipes")
class PerceptronRule(WrittenOut):
    """Trains threshold units by Rosenblatt's rule: only a mistake changes the weights.

        w <- w + rate * (y - y_hat) * x        t <- t - rate * (y - y_hat)

    The rule is applied example after example, in the batch's order, each at the weights that
    the one before left: what is learnt depends on the order, and not on the batch size. `fit`
    shuffles examples unless `shuffle=False`. If the classes can be separated by a plane, with
    margin `g`, and no input with a -1 appended is longer than `r`, then from zero weights there
    are at most `(r / g)^2` mistakes, whatever the order; if they cannot, the weights never
    settle.

    `compile` takes `keras.optimizers.SGD(rate)` and nothing else, by default with a rate of 1.
    From zero weights the rate only scales them. `fit` logs `errors`, the share of the
    examples that were answered wrongly when their turn came; `loss`, the perceptron criterion
    `(y_hat - y) * (w x - t)`, summed over the units and averaged over the examples, whose
    gradient the rule follows; and `gradient_norm`, the mean over the examples. `evaluate`
    changes no weight and logs the first two.

    Under several replicas every one goes through the whole batch: the result is that of one
    process, and takes as long. All is computed in the weights' own precision.

    Args:
        network: `models.perceptron`, a chain of layers that ends in a `ThresholdUnit`, or that
            layer alone, built. Only the units learn: layers before them have no weights or are
            not trainable, like the association units of Rosenblatt's machine.

    Call arguments:
        inputs: What the network takes. `fit` wants targets of what the units can say: 0 and 1,
            or -1 and 1, of shape `(batch, units)`, or `(batch,)` for one unit.
        training: Does nothing.

    Returns:
        Which units fire, of shape `(batch, units)`.

    Raises:
        ValueError: If the network does not end in a trainable `ThresholdUnit`, is not built, or
            has other trainable layers.

    Example:

    >>> from dlrecipes.models import perceptron
    >>> x = tf.constant([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> model = PerceptronRule(perceptron(2))
    >>> model.compile()
    >>> history = model.fit(x, tf.constant([0, 0, 0, 1]), epochs=10, verbose=0).history
    >>> model(x).numpy().ravel().tolist(), history["errors"][-1]
    ([0.0, 0.0, 0.0, 1.0], 0.0)

    Reference:
        Rosenblatt, 1958, "The perceptron: a probabilistic model for information storage and
        organization in the brain"; Rosenblatt, 1962, "Principles of neurodynamics"; Novikoff,
        1962, "On convergence proofs on perceptrons" (the bound).
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
                    f"{layer.name} comes before the units, which alone learn: "
                    "set its trainable = False."
                )
        self.network = network
        self.errors = keras.metrics.Mean(name="errors")
        self.built = True

    @property
    def unit(self) -> ThresholdUnit:
        """The units that learn."""
        return self._layers_in_order()[-1]

    def call(self, inputs, training=False):
        """Returns which units fire."""
        return self.network(inputs)

    def train_step(self, data):
        """Returns the metrics of a batch, each of whose examples had its turn."""
        x, y, potential = self._examples(data)
        variables = [self.unit.kernel, self.unit.thresholds]
        loss, errors, norm = in_turn(self._rule, self.optimizer, variables, x, y)
        self.errors.update_state(errors, sample_weight=batch_size(y))
        self.gradient_norm.update_state(norm)
        logs = self._logs(loss, x, y, potential)
        return {**logs, "gradient_norm": self.gradient_norm.result()}

    def test_step(self, data):
        """Returns the metrics of a batch; no weight changes."""
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
        # A potential that is no number times an error of 0 is none either: training ends.
        return gradients, [tf.reduce_sum(-error * potential), tf.reduce_any(error != 0)]

    def _examples(self, data):
        unit = self.unit
        x, y = examples_of(data, unit.units, unit.kernel.dtype)
        for layer in self._layers_in_order()[:-1]:
            x = layer(x)
        if x.shape.rank != 2:
            raise ValueError(f"Units read one vector an example, not shape {tuple(x.shape)}.")
        lowest = 0 if unit.output_kind == "binary" else -1
        # Under several replicas an example of zeros may stand in for none.
        real = y[: uneven_batches.examples()]
        fine = tf.reduce_all((real == 1) | (real == lowest))
        refuse_unless(fine, f"Targets must be 1 or {lowest}.")
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
        """Returns the running loss and the metrics that `compile` names."""
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        return {name: value for name, value in logs.items() if name != self.errors.name}
