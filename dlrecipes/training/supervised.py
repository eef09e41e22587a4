"""Training of any network by the loss that `compile` names."""

from typing import Any

import keras
import tensorflow as tf

from dlrecipes.training._engine.checks import members, refuse_unbuilt
from dlrecipes.training.trainer import Trainer


@keras.saving.register_keras_serializable(package="dlrecipes")
class SupervisedTrainer(Trainer):
    """Trains a network as `fit` of `keras.Model` does: faster, on several workers, with its norm.

    Loss, metrics and optimizer are what `compile` says. The trained network is `network`. Each
    member of a `models.ensemble` is trained against the targets for itself.

    Args:
        network: Any model whose weights are made: a functional one, or one that was called.

    Call arguments:
        inputs: What the network takes.
        training: Whether dropout and the like are on.

    Returns:
        The network's outputs.

    Raises:
        TypeError: If the network is no `keras.Model`.
        ValueError: If it has no weights yet.

    Example:

    >>> x = keras.Input((2,))
    >>> model = SupervisedTrainer(keras.Model(x, keras.layers.Dense(1)(x)))
    >>> model.compile(keras.optimizers.Adam(0.01, global_clipnorm=1.0), "mse")
    >>> history = model.fit(keras.ops.ones((8, 2)), keras.ops.ones((8, 1)), verbose=0).history
    >>> sorted(history)
    ['gradient_norm', 'loss']

    Reference:
        Rumelhart, Hinton and Williams, 1986, "Learning representations by back-propagating
        errors".
    """

    serializable_arguments = ("network",)

    def __init__(self, network: keras.Model, **kwargs):
        super().__init__(**kwargs)
        refuse_unbuilt(network)
        self.network = network
        self.built = True

    def call(self, inputs, training=False):
        """Returns the network's outputs."""
        return self.network(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns what `compile` says: the mean over this replica's examples, and over members."""
        y, sample_weight = self._each_member((y, sample_weight), y_pred)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the running metrics: in training those of an ensemble's members."""
        y, sample_weight = self._each_member((y, sample_weight), y_pred)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _each_member(self, targets: Any, outputs: Any) -> Any:
        """Returns targets as often as an ensemble's members stand one below the other."""
        if members(self.network) == 1:
            return targets
        rows = tf.shape(tf.nest.flatten(outputs)[0])[0]

        def repeated(values: tf.Tensor | None) -> tf.Tensor | None:
            if values is None:
                return None
            times = rows // tf.shape(values)[0]
            return tf.tile(values, tf.pad([times], [[0, values.shape.rank - 1]], constant_values=1))

        return tf.nest.map_structure(repeated, targets)
