"""Evaluation and checkpoints with the moving average of the weights."""

from collections.abc import Callable

import keras
import tensorflow as tf

# Attribute of the model that holds the weights, where `tf.train.Checkpoint` finds them.
ATTRIBUTE = "weights_without_average"


class AveragedWeights(keras.callbacks.Callback):
    """Validates, saves and keeps the moving average of the weights, for an optimizer with one.

    The optimizer of `compile` has `use_ema=True`. From the first validation of an epoch to the
    next epoch, the model has the averages; while it trains, the weights. A model that is saved or
    restored at the end of an epoch, by `dlrecipes.training.Checkpoints` or Keras' callbacks, has
    the averages, and training resumes with the weights. List it before those callbacks.
    (`keras.callbacks.SwapEMAWeights` does either one or the other, and a resumed training begins
    with the averages.)

    Raises:
        ValueError: In `fit`, if the optimizer keeps no average.

    Example:

    >>> import keras
    >>> from dlrecipes.training import AveragedWeights
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), "mse")
    >>> x, y = keras.ops.ones((4, 2)), keras.ops.ones((4, 1))
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[AveragedWeights()])

    Reference:
        Polyak and Juditsky, 1992, "Acceleration of stochastic approximation by averaging".
        https://doi.org/10.1137/0330046
    """

    def set_model(self, model):
        super().set_model(model)
        optimizer = self._optimizer()
        if not getattr(optimizer, "use_ema", False):
            raise ValueError(f"{model.name}: the optimizer keeps no average: give it use_ema=True.")
        with model.distribute_strategy.scope():
            if not optimizer.built:
                optimizer.build(model.trainable_variables)
            state = tf.Module()
            state.weights = [
                tf.Variable(variable.value, trainable=False)
                for variable in optimizer._trainable_variables
            ]
            state.has_averages = tf.Variable(False, trainable=False)
        self._state = state
        # Traced once per training.
        self._average, self._restore = map(tf.function, (self._set_averages, self._set_weights))
        # Restored at once, if the model was restored from a checkpoint with it.
        setattr(model, ATTRIBUTE, state)

    def on_epoch_begin(self, epoch, logs=None):
        if self._has_averages():
            self._run(self._restore)

    def on_test_begin(self, logs=None):
        """Sets the model to the averages, for the validation of an epoch."""
        self.on_epoch_end(0)

    def on_epoch_end(self, epoch, logs=None):
        if not self._has_averages():
            self._run(self._average)

    def on_train_end(self, logs=None):
        # Keras has set the weights to the averages.
        if hasattr(self.model, ATTRIBUTE):
            delattr(self.model, ATTRIBUTE)

    def _optimizer(self) -> keras.optimizers.Optimizer:
        optimizer = self.model.optimizer
        return getattr(optimizer, "inner_optimizer", optimizer)

    def _has_averages(self) -> bool:
        return bool(self._state.has_averages.numpy())

    def _run(self, function: Callable[[], None]) -> None:
        self.model.distribute_strategy.run(function)

    def _set_averages(self) -> None:
        """Keeps the weights, and sets the model to the averages."""
        optimizer = self._optimizer()
        for kept, variable, average in zip(
            self._state.weights,
            optimizer._trainable_variables,
            optimizer._model_variables_moving_average,
            strict=True,
        ):
            kept.assign(variable.value)
            variable.assign(average.value)
        self._state.has_averages.assign(True)

    def _set_weights(self) -> None:
        """Sets the model to the weights that were kept."""
        for kept, variable in zip(
            self._state.weights, self._optimizer()._trainable_variables, strict=True
        ):
            variable.assign(kept)
        self._state.has_averages.assign(False)
