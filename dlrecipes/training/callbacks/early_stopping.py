"""Early stopping by two rules: a generalization gap, or a plateau of the training error."""

import math

import keras

from dlrecipes.layers._arguments import integer, number
from dlrecipes.training.callbacks.checkpoints import Checkpoints


class StopOnGeneralizationGap(keras.callbacks.Callback):
    """Stops training when the training error falls while the validation error rises.

    Both errors are compared with those of the previous epoch, and `rounds` consecutive epochs must
    fulfil the condition. When training ends, early or not, the model gets the weights of the epoch
    with the lowest validation error, the first of equal ones.

    The decision is a function of the history: with `Checkpoints(replayed=[...])` a resumed run
    stops where an uninterrupted one does. The best weights are kept in memory, unless `checkpoints`
    stores them, which a resumable run needs.

    Args:
        training: Name of the training error in the logs. Defaults to `"loss"`.
        validation: Name of the validation error, where smaller is better. Defaults to
            `"val_loss"`.
        rounds: Number of consecutive epochs, at least 1. 1 is the rule in Zhou's book; larger
            values are close to Prechelt's UP, which ignores the training error. Defaults to 1.
        checkpoints: Checkpoints that store the best weights instead of memory. They must monitor
            the same validation error with mode `"min"`. Defaults to `None`.

    Raises:
        ValueError: If `rounds` is not an integer of at least 1, or if the checkpoints monitor
            something else. In training: if an error is not logged, or if a run is resumed without
            `checkpoints`.

    Example:

    >>> import keras
    >>> from dlrecipes.training import StopOnGeneralizationGap
    >>> stop = StopOnGeneralizationGap()
    >>> stop.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    >>> stop.on_train_begin()
    >>> for epoch, (error, other) in enumerate([(3.0, 4.0), (2.0, 3.0), (1.0, 3.5)]):
    ...     stop.on_epoch_begin(epoch)
    ...     stop.on_epoch_end(epoch, {"loss": error, "val_loss": other})
    >>> stop.model.stop_training, stop.best_epoch
    (True, 1)

    Reference:
        Zhou, 2016, "Machine learning" (in Chinese), section 5.3 (early stopping); Prechelt, 1998,
        "Early stopping - but when?", section 2 (the criterion UP).
        https://doi.org/10.1007/3-540-49430-8_3
    """

    def __init__(
        self,
        training: str = "loss",
        validation: str = "val_loss",
        rounds: int = 1,
        checkpoints: Checkpoints | None = None,
    ):
        super().__init__()
        integer("rounds", rounds)
        if checkpoints is not None and (checkpoints.monitor, checkpoints.sign) != (validation, -1):
            raise ValueError(f"checkpoints must monitor {validation!r} with mode 'min'.")
        self.training = training
        self.validation = validation
        self.rounds = rounds
        self.checkpoints = checkpoints
        self._reset()

    def _reset(self):
        self.best_epoch = None
        self.stopped_epoch = None
        self._best = math.inf
        self._previous = None
        self._gap_epochs = 0
        self._weights = None
        self._in_epoch = False

    def on_train_begin(self, logs=None):
        self._reset()

    def on_epoch_begin(self, epoch, logs=None):
        # Not called when `Checkpoints` replays the history.
        self._in_epoch = True

    def on_epoch_end(self, epoch, logs=None):
        if not self._in_epoch and self.checkpoints is None:
            raise ValueError("A resumed run needs StopOnGeneralizationGap(checkpoints=...).")
        error, other = (_error(logs, name) for name in (self.training, self.validation))
        if other < self._best:
            self._best, self.best_epoch = other, epoch
            if self.checkpoints is None:
                self._weights = self.model.get_weights()
        previous = self._previous
        widens = previous is not None and error < previous[0] and other > previous[1]
        self._previous = error, other
        self._gap_epochs = self._gap_epochs + 1 if widens else 0
        if self._gap_epochs >= self.rounds:
            self.stopped_epoch = epoch
            self.model.stop_training = True
        self._in_epoch = False

    def on_train_end(self, logs=None):
        if self.best_epoch is None:
            return
        if self.checkpoints is not None:
            self.checkpoints.restore_best(self.model)
        elif self._weights is not None:
            self.model.set_weights(self._weights)


class StopOnPlateau(keras.callbacks.Callback):
    """Stops training when the error changes by less than a threshold for several epochs.

    The change is the absolute difference from the previous epoch. The decision is a function of the
    history, so that `Checkpoints` can replay it. The model keeps the weights of the last epoch.

    Args:
        change: Threshold, above 0; a smaller change counts as none.
        rounds: Number of consecutive epochs with a smaller change, at least 1. Defaults to 5.
        monitor: Name of the error in the logs. Defaults to `"loss"`.

    Raises:
        ValueError: If `change` is not a finite number above 0, or if `rounds` is not an integer of
            at least 1. In training: if the error is not logged.

    Example:

    >>> import keras
    >>> from dlrecipes.training import StopOnPlateau
    >>> stop = StopOnPlateau(change=0.1, rounds=2)
    >>> stop.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    >>> stop.on_train_begin()
    >>> for epoch, error in enumerate([3.0, 2.0, 1.95, 1.93]):
    ...     stop.on_epoch_end(epoch, {"loss": error})
    >>> stop.stopped_epoch
    3

    Reference:
        Zhou, 2016, "Machine learning" (in Chinese), section 5.3; Prechelt, 1998, "Early stopping -
        but when?", section 2 (training progress over a strip of epochs).
        https://doi.org/10.1007/3-540-49430-8_3
    """

    def __init__(self, change: float, rounds: int = 5, monitor: str = "loss"):
        super().__init__()
        number("change", change, "a finite number above 0", lambda bound: 0 < bound < math.inf)
        integer("rounds", rounds)
        self.change = change
        self.rounds = rounds
        self.monitor = monitor
        self._reset()

    def _reset(self):
        self.stopped_epoch = None
        self._previous = None
        self._flat_epochs = 0

    def on_train_begin(self, logs=None):
        self._reset()

    def on_epoch_end(self, epoch, logs=None):
        error = _error(logs, self.monitor)
        is_flat = self._previous is not None and abs(error - self._previous) < self.change
        self._previous = error
        self._flat_epochs = self._flat_epochs + 1 if is_flat else 0
        if self._flat_epochs >= self.rounds:
            self.stopped_epoch = epoch
            self.model.stop_training = True


def _error(logs, name: str) -> float:
    """Returns an error from an epoch's logs."""
    if name not in (logs or {}):
        hint = "; give fit validation_data, for every epoch" if name.startswith("val_") else ""
        raise ValueError(f"Early stopping needs {name!r}, which is not logged{hint}.")
    return float(logs[name])
