"""Early stopping by two rules: the errors part, or the training error settles."""

import math

import keras

from dlrecipes.layers._arguments import integer, number
from dlrecipes.training.callbacks.checkpoints import Checkpoints


class StopOnGeneralizationGap(keras.callbacks.Callback):
    """Ends training when the training error falls while the validation error rises.

    Both are compared with those of the epoch before; `rounds` says how many epochs in
    succession must be so. At the end, stopped or not, the model has the weights of the epoch
    with the lowest validation error, the first of equals.

    What it decides is a function of the history: with `Checkpoints(replayed=[...])` a resumed
    run stops where the whole one does. The best weights are kept in memory, unless
    `checkpoints` has them; a run that is to be resumed needs that.

    Args:
        training: Name of the training error in the logs.
        validation: Name of the validation error; smaller is better.
        rounds: How many epochs in succession the errors must part, at least 1. 1 is the rule of
            the book; with more it is nearly Prechelt's UP, which does not look at the training
            error.
        checkpoints: Where the best weights are at the end, instead of in memory; they must
            monitor the same validation error, with mode `"min"`.

    Raises:
        ValueError: If `rounds` is not an integer of at least 1, or the checkpoints monitor
            something else; in training, if the logs lack an error, or a run is resumed without
            `checkpoints`.

    Example:

    >>> stop = StopOnGeneralizationGap()
    >>> stop.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    >>> stop.on_train_begin()
    >>> for epoch, (error, other) in enumerate([(3.0, 4.0), (2.0, 3.0), (1.0, 3.5)]):
    ...     stop.on_epoch_begin(epoch)
    ...     stop.on_epoch_end(epoch, {"loss": error, "val_loss": other})
    >>> stop.model.stop_training, stop.best_epoch
    (True, 1)

    Reference:
        Zhou, 2016, "Machine learning" (in Chinese), section 5.3 (early stopping); Prechelt,
        1998, "Early stopping - but when?", section 2 (the criterion UP).
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
        self._forget()

    def _forget(self):
        self.best_epoch = None
        self.stopped_epoch = None
        self._best = math.inf
        self._before = None
        self._parted = 0
        self._weights = None
        self._in_epoch = False

    def on_train_begin(self, logs=None):
        """Begins anew."""
        self._forget()

    def on_epoch_begin(self, epoch, logs=None):
        """Notes that what ends next is an epoch of this run, not of the history."""
        self._in_epoch = True

    def on_epoch_end(self, epoch, logs=None):
        """Compares the errors, and notes the weights if they are the best."""
        if not self._in_epoch and self.checkpoints is None:
            raise ValueError(
                "A run that is resumed needs StopOnGeneralizationGap(checkpoints=...)."
            )
        error, other = (_error(logs, name) for name in (self.training, self.validation))
        if other < self._best:
            self._best, self.best_epoch = other, epoch
            if self.checkpoints is None:
                self._weights = self.model.get_weights()
        part = self._before is not None and error < self._before[0] and other > self._before[1]
        self._before = error, other
        self._parted = self._parted + 1 if part else 0
        if self._parted >= self.rounds:
            self.stopped_epoch = epoch
            self.model.stop_training = True
        self._in_epoch = False

    def on_train_end(self, logs=None):
        """Gives the model the best weights."""
        if self.best_epoch is None:
            return
        if self.checkpoints is not None:
            self.checkpoints.restore_best(self.model)
        elif self._weights is not None:
            self.model.set_weights(self._weights)


class StopOnPlateau(keras.callbacks.Callback):
    """Ends training when the error has changed by less than `change` in each of some epochs.

    The change of an epoch is the absolute difference from the epoch before. What it decides is
    a function of the history: it may be among those that `Checkpoints` replays. The model
    keeps the weights of the last epoch.

    Args:
        change: Bound of a change that counts as none, above 0.
        rounds: How many epochs in succession must change the error by less, at least 1.
        monitor: Name of the error in the logs.

    Raises:
        ValueError: If `change` is not a finite number above 0, or `rounds` not an integer of at
            least 1; in training, if the logs lack the error.

    Example:

    >>> stop = StopOnPlateau(change=0.1, rounds=2)
    >>> stop.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    >>> stop.on_train_begin()
    >>> for epoch, error in enumerate([3.0, 2.0, 1.95, 1.93]):
    ...     stop.on_epoch_end(epoch, {"loss": error})
    >>> stop.stopped_epoch
    3

    Reference:
        Zhou, 2016, "Machine learning" (in Chinese), section 5.3; Prechelt, 1998, "Early
        stopping - but when?", section 2 (training progress over a strip of epochs).
    """

    def __init__(self, change: float, rounds: int = 5, monitor: str = "loss"):
        super().__init__()
        number("change", change, "a finite number above 0", lambda bound: 0 < bound < math.inf)
        integer("rounds", rounds)
        self.change = change
        self.rounds = rounds
        self.monitor = monitor
        self._forget()

    def _forget(self):
        self.stopped_epoch = None
        self._before = None
        self._settled = 0

    def on_train_begin(self, logs=None):
        """Begins anew."""
        self._forget()

    def on_epoch_end(self, epoch, logs=None):
        """Compares the error with that of the epoch before."""
        error = _error(logs, self.monitor)
        settled = self._before is not None and abs(error - self._before) < self.change
        self._before = error
        self._settled = self._settled + 1 if settled else 0
        if self._settled >= self.rounds:
            self.stopped_epoch = epoch
            self.model.stop_training = True


def _error(logs, name: str) -> float:
    """Returns an error from an epoch's logs."""
    if name not in (logs or {}):
        hint = "; give fit validation_data, every epoch" if name.startswith("val_") else ""
        raise ValueError(f"Early stopping looks at {name!r}, which is not logged{hint}.")
    return float(logs[name])
