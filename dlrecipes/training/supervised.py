"""Training of any network by the loss that `compile` names."""

import keras

from dlrecipes.training._networks import refuse_unbuilt
from dlrecipes.training.trainer import Trainer


@keras.saving.register_keras_serializable(package="dlrecipes")
class SupervisedTrainer(Trainer):
    """Trains a network as `fit` of `keras.Model` does: faster, on several workers, with its norm.

    Loss, metrics and optimizer are what `compile` says. The trained network is `network`.

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

    objects = ("network",)

    def __init__(self, network: keras.Model, **kwargs):
        super().__init__(**kwargs)
        refuse_unbuilt(network)
        self.network = network
        self.built = True

    def call(self, inputs, training=False):
        """Returns the network's outputs."""
        return self.network(inputs, training=training)
