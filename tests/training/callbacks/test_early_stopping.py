"""Early stopping on a generalization gap or a plateau, also in resumed runs."""

import keras
import numpy as np
import pytest

from dlrecipes.training import Checkpoints, StopOnGeneralizationGap, StopOnPlateau, Trainer

# The training error falls except in epoch 4; the validation error is lowest in epoch 2.
TRAIN = [9.0, 7.0, 6.0, 5.0, 5.5, 4.0, 3.0, 2.5]
VALID = [8.0, 8.5, 3.0, 4.0, 6.0, 7.0, 7.5, 7.0]


class Scripted(Trainer):
    """Logs the errors of a script; its only weight is the number of completed epochs."""

    def __init__(self, training=TRAIN, validation=VALID):
        super().__init__()
        self.scripts = {True: training, False: validation}
        self.dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        self.dense.build((None, 1))
        self.built = True

    @property
    def weight(self):
        return float(self.dense.kernel[0, 0])

    def call(self, inputs, training=False):
        return self.dense(inputs)

    def train_step(self, data):
        logs = self._logs(self.scripts[True], self._done())
        self.dense.kernel.assign_add(keras.ops.ones((1, 1)))
        return logs

    def test_step(self, data):
        return self._logs(self.scripts[False], self._done() - 1)

    def _logs(self, script, epoch):
        self._loss_tracker.update_state(keras.ops.take(keras.ops.array(script), epoch))
        return {"loss": self._loss_tracker.result()}

    def _done(self):
        return keras.ops.cast(self.dense.kernel[0, 0], "int32")


def scripted(*scripts):
    model = Scripted(*scripts)
    model.compile(jit_compile=False)
    return model


def fit(model, *callbacks, epochs=8, validation=True, **kwargs):
    x = np.zeros((1, 1))
    data = (x, x) if validation else None
    return model.fit(
        x, x, epochs=epochs, validation_data=data, callbacks=callbacks, verbose=0, **kwargs
    )


@pytest.mark.parametrize(
    "rounds, stopped",
    [
        # Epoch 1 is the first in which the training error falls and the validation error rises.
        (1, 1),
        # Epoch 3 is the next. In 4 the training error rises, so that 5 and 6 are the first pair.
        (2, 6),
        # In epoch 7 the validation error falls.
        (3, None),
    ],
)
def test_training_stops_when_the_validation_error_rises_against_the_training_error(rounds, stopped):
    model, stop = scripted(), StopOnGeneralizationGap(rounds=rounds)
    history = fit(model, stop)
    assert stop.stopped_epoch == stopped
    assert len(history.epoch) == (len(TRAIN) if stopped is None else stopped + 1)
    # The weights have the lowest validation error, whether training stopped early or not.
    best = int(np.argmin(VALID[: len(history.epoch)]))
    assert (stop.best_epoch, model.weight) == (best, best + 1)


def test_training_continues_while_both_errors_rise_or_fall_together():
    errors = [3.0, 2.0, 4.0, 4.0, 1.0]
    model, stop = scripted(errors, errors), StopOnGeneralizationGap()
    assert len(fit(model, stop, epochs=5).epoch) == 5
    assert model.weight == 5


def test_the_first_of_equal_validation_errors_is_the_best():
    model, stop = scripted([5.0, 4.0, 4.0], [2.0, 1.0, 1.0]), StopOnGeneralizationGap()
    fit(model, stop, epochs=3)
    assert (stop.best_epoch, model.weight) == (1, 2)


def test_a_second_fit_starts_over():
    model, stop = scripted(), StopOnGeneralizationGap()
    for _ in range(2):
        model.dense.kernel.assign([[0.0]])
        fit(model, stop)
        assert (stop.stopped_epoch, model.weight) == (1, 1)


@pytest.mark.parametrize(
    "change, rounds, stopped",
    [
        # Changes: 2, 1, 1, 0.5, 1.5, 1, 0.5; they must be less than the threshold, not equal.
        (2.0, 1, 2),
        (1.0, 1, 4),
        (1.001, 3, 4),
        (1.6, 6, 7),
        (1.0, 2, None),
    ],
)
def test_training_stops_when_the_error_reaches_a_plateau(change, rounds, stopped):
    model, stop = scripted(), StopOnPlateau(change, rounds)
    history = fit(model, stop, validation=False)
    assert stop.stopped_epoch == stopped
    assert len(history.epoch) == (len(TRAIN) if stopped is None else stopped + 1)
    assert model.weight == len(history.epoch)


def resumable(folder, kind, epochs):
    """Trains as a run does: build a new model, resume, and train up to `epochs` epochs in all."""
    model = scripted()
    checkpoints = Checkpoints(folder, "val_loss", "min")
    if kind == "gap":
        stop = StopOnGeneralizationGap(rounds=2, checkpoints=checkpoints)
    else:
        stop = StopOnPlateau(1.001, rounds=3)
    checkpoints.replayed = [stop]
    checkpoints.resume(model)
    fit(model, stop, checkpoints, epochs=epochs, initial_epoch=checkpoints.epochs)
    return model, stop, checkpoints


@pytest.mark.parametrize("kind, stopped, weight", [("gap", 6, 3), ("plateau", 4, 5)])
@pytest.mark.parametrize(
    "cut", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(4, marks=pytest.mark.slow)]
)
def test_a_resumed_run_stops_where_an_uninterrupted_one_does(kind, stopped, weight, cut, tmp_path):
    for folder, parts in (("whole", [8]), ("cut", [cut, 8])):
        for epochs in parts:
            model, stop, checkpoints = resumable(tmp_path / folder, kind, epochs)
        assert (stop.stopped_epoch, checkpoints.epochs) == (stopped, stopped + 1)
        assert model.weight == weight


def test_resuming_requires_checkpoints_for_the_best_weights(tmp_path):
    model = scripted()
    stop = StopOnGeneralizationGap(rounds=9)
    checkpoints = Checkpoints(tmp_path, "val_loss", "min", replayed=[stop])
    fit(model, stop, checkpoints, epochs=2)
    checkpoints.resume(model)
    with pytest.raises(ValueError, match=r"needs StopOnGeneralizationGap\(checkpoints="):
        fit(model, stop, checkpoints, initial_epoch=2)


def test_an_error_that_is_not_logged_stops_training():
    with pytest.raises(ValueError, match="'val_loss', which is not logged; give fit validation"):
        fit(scripted(), StopOnGeneralizationGap(), validation=False)
    with pytest.raises(ValueError, match="'error', which is not logged"):
        fit(scripted(), StopOnPlateau(0.1, monitor="error"))


def test_invalid_arguments_are_rejected(tmp_path):
    for change in (0, -1.0, float("inf"), float("nan"), "1"):
        with pytest.raises(ValueError, match="change must be a finite number above 0"):
            StopOnPlateau(change)
    for rounds in (0, 1.5, True):
        with pytest.raises(ValueError, match="rounds must be an integer of at least 1"):
            StopOnPlateau(0.1, rounds)
        with pytest.raises(ValueError, match="rounds must be an integer of at least 1"):
            StopOnGeneralizationGap(rounds=rounds)
    for monitor, mode in (("loss", "min"), ("val_loss", "max")):
        with pytest.raises(ValueError, match="must monitor 'val_loss' with mode 'min'"):
            StopOnGeneralizationGap(checkpoints=Checkpoints(tmp_path, monitor, mode))
