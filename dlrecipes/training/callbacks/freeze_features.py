"""Training of the last layers alone, before all layers are trained."""

from collections.abc import Callable

import keras

from dlrecipes.layers._arguments import integer


class FreezeFeatures(keras.callbacks.Callback):
    """Trains the new layers of a network alone in the first epochs, and all layers thereafter.

    It suits a network whose other layers begin with the weights of another task: large gradients
    of the new layers would destroy them. Frozen layers keep their weights and, as in Keras, the
    moving statistics of batch normalisation.

    Layers that were frozen before stay frozen. All others are trainable again after each epoch, and
    when the training of a `Trainer` fails.

    Args:
        epochs: Number of first epochs in which the features are frozen, at least 1.
        is_head: Function that returns whether a layer is trained from the start.

    Raises:
        ValueError: If `epochs` is not a positive integer. In `fit`: if no layer is trained from the
            start.

    Example:

    >>> import keras
    >>> from dlrecipes.training import FreezeFeatures, SupervisedTrainer
    >>> x = keras.Input((2,))
    >>> features = keras.layers.Dense(3, "relu", name="features")
    >>> network = keras.Model(x, keras.layers.Dense(1, name="head")(features(x)))
    >>> model = SupervisedTrainer(network)
    >>> model.compile("adam", "mse")
    >>> before = features.kernel.numpy()
    >>> freeze = FreezeFeatures(1, lambda layer: layer.name == "head")
    >>> ones = keras.ops.ones((4, 2))
    >>> _ = model.fit(ones, keras.ops.ones((4, 1)), epochs=1, verbose=0, callbacks=[freeze])
    >>> bool((features.kernel.numpy() == before).all())
    True

    Reference:
        Yosinski, Clune, Bengio and Lipson, 2014, "How transferable are features in deep neural
        networks?". https://arxiv.org/abs/1411.1792
    """

    def __init__(self, epochs: int, is_head: Callable[[keras.layers.Layer], bool]):
        super().__init__()
        integer("epochs", epochs, least=1)
        self.epochs = epochs
        self.is_head = is_head
        self._frozen: list[keras.layers.Layer] = []
        # Whether the training function was traced with frozen layers.
        self._is_traced = False

    def on_train_begin(self, logs=None):
        # The slots of all variables, while all are trainable.
        build = getattr(self.model, "build_optimizers", None)
        if build:
            build()
        else:
            self.model.optimizer.build(self.model.trainable_variables)

    def on_epoch_begin(self, epoch, logs=None):
        is_frozen = epoch < self.epochs
        if is_frozen:
            self._freeze()
        if is_frozen != self._is_traced:
            self.model.make_train_function(force=True)
            self._is_traced = is_frozen

    def on_epoch_end(self, epoch, logs=None):
        # Keras sets all trainable variables to their averages after the last epoch.
        self._unfreeze()

    def on_train_end(self, logs=None):
        self.on_train_error()

    def on_train_error(self) -> None:
        """Makes the layers trainable again; a `Trainer` calls it when training fails."""
        self._unfreeze()
        if self._is_traced:
            self.model.train_function = None
            self._is_traced = False

    def _freeze(self) -> None:
        leaves = [
            layer
            for layer in self.model._flatten_layers(include_self=False)
            if not list(layer._flatten_layers(include_self=False, recursive=False))
            and layer.weights
            and not isinstance(layer, keras.metrics.Metric)
        ]
        heads = [layer for layer in leaves if self.is_head(layer)]
        if not heads:
            raise ValueError(
                f"{self.model.name} has no layer that is trained from the start: check is_head."
            )
        self._frozen = [layer for layer in leaves if layer not in heads and layer.trainable]
        for layer in self._frozen:
            layer.trainable = False

    def _unfreeze(self) -> None:
        for layer in self._frozen:
            layer.trainable = True
        self._frozen = []
