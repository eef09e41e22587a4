"""Training of any network with the loss given to `compile`."""

from typing import Any

import keras
import tensorflow as tf

from dlrecipes.training._engine.checks import check_built, ensemble_size
from dlrecipes.training.trainer import Trainer


@keras.saving.register_keras_serializable(package="dlrecipes")
class SupervisedTrainer(Trainer):
    """Trains any network with the loss given to `compile`, on one or several workers.

    It is faster than `keras.Model.fit`, and logs `gradient_norm` as well. Loss, metrics and
    optimizer are those of `compile`. Each member of a `models.ensemble` is trained independently
    against the targets.

    Args:
        network: Built model: a functional one, or one that was called on data.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Inputs of the network.
        training: Whether layers such as dropout are in training mode. Defaults to `False`.

    Returns:
        The network's outputs.

    Raises:
        TypeError: If the network is not a `keras.Model`.
        ValueError: If it has no weights yet.

    Example:

    >>> import keras
    >>> from dlrecipes.training import SupervisedTrainer
    >>> x = keras.Input((2,))
    >>> model = SupervisedTrainer(keras.Model(x, keras.layers.Dense(1)(x)))
    >>> model.compile(keras.optimizers.Adam(0.01, global_clipnorm=1.0), "mse")
    >>> history = model.fit(keras.ops.ones((8, 2)), keras.ops.ones((8, 1)), verbose=0).history
    >>> sorted(history)
    ['gradient_norm', 'loss']

    Reference:
        Rumelhart, Hinton and Williams, 1986, "Learning representations by back-propagating errors".
        https://doi.org/10.1038/323533a0
    """

    serializable_arguments = ("network",)

    def __init__(self, network: keras.Model, **kwargs):
        super().__init__(**kwargs)
        check_built(network)
        self.network = network
        self.built = True

    def call(self, inputs, training=False):
        return self.network(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the loss of `compile`, the mean over this replica's examples and the members."""
        y, sample_weight = self._repeat_for_members((y, sample_weight), y_pred)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the metrics of `compile`; in training, those of an ensemble's members."""
        y, sample_weight = self._repeat_for_members((y, sample_weight), y_pred)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _repeat_for_members(self, targets: Any, outputs: Any) -> Any:
        """Repeats targets for each ensemble member, as outputs are stacked along the batch axis."""
        if ensemble_size(self.network) == 1:
            return targets
        rows = tf.shape(tf.nest.flatten(outputs)[0])[0]

        def repeated(values: tf.Tensor | None) -> tf.Tensor | None:
            if values is None:
                return None
            times = rows // tf.shape(values)[0]
            return tf.tile(values, tf.pad([times], [[0, values.shape.rank - 1]], constant_values=1))

        return tf.nest.map_structure(repeated, targets)
