"""Training stops on a NaN or infinite loss or gradient, with a one-line error."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.errors import RecipeError, TrainingDiverged
from dlrecipes.training import StopOnDivergence, Trainer

STEPS = 4


class Diverging(Trainer):
    """A model with one weight whose loss is `value` from a given step on, counted from 0."""

    def __init__(self, step, value, in_gradient=False):
        super().__init__()
        self.step = step
        self.value = value
        self.in_gradient = in_gradient
        self.dense = keras.layers.Dense(1, kernel_initializer="ones")
        self.dense.build((None, 1))
        self.built = True

    def call(self, inputs, training=False):
        return self.dense(inputs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = tf.reduce_mean(tf.square(y_pred))
        broken = tf.cast(self.optimizer.iterations, tf.int64) >= self.step
        if self.in_gradient:
            # The square root of 0 is 0, but its derivative is infinite.
            return loss + tf.where(broken, tf.reduce_sum(tf.sqrt(self.dense.bias.value * 0)), 0.0)
        return tf.where(broken, self.value, loss)


def fit(folder, epochs=3, steps_per_execution=1, **options):
    model = Diverging(**{"step": 10**6, "value": 0.0, **options})
    model.compile(
        keras.optimizers.SGD(0.0), jit_compile=False, steps_per_execution=steps_per_execution
    )
    x = np.ones((STEPS, 1), "float32")
    callback = StopOnDivergence(folder)
    return model.fit(x, x, batch_size=1, epochs=epochs, verbose=0, callbacks=[callback])


def diverged(folder, **options):
    with pytest.raises(TrainingDiverged) as caught:
        fit(folder, **options)
    return caught.value


@pytest.mark.parametrize("value, text", [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
@pytest.mark.parametrize("step", [0, 2 * STEPS + 1])
def test_a_nan_or_infinite_loss_stops_training_with_its_step_and_epoch(tmp_path, value, text, step):
    error = diverged(tmp_path, step=step, value=value)
    place = f"at step {step % STEPS + 1} of epoch {step // STEPS + 1}."
    assert error.message == f"loss became {text} {place} No epoch was completed."
    assert "learning rate" in error.hint


def test_several_steps_per_execution_are_reported_as_a_range(tmp_path):
    error = diverged(tmp_path, step=2, value=np.nan, steps_per_execution=3)
    assert error.message == "loss became nan in steps 1 to 3 of epoch 1. No epoch was completed."


def test_a_nan_gradient_stops_training(tmp_path):
    error = diverged(tmp_path, step=2, in_gradient=True)
    assert error.message.startswith("gradient_norm became nan at step 3 of epoch 1.")


def test_the_last_good_checkpoint_is_named(tmp_path):
    for name in ("epoch-0002", "epoch-0010", ".part-epoch-0011"):
        (tmp_path / name).mkdir()
    error = diverged(tmp_path, step=1, value=np.nan)
    assert error.message.endswith(f"The last good checkpoint is {tmp_path / 'epoch-0010'}.")


def test_a_finite_loss_trains_to_the_end(tmp_path):
    assert len(fit(tmp_path).history["loss"]) == 3


def test_divergence_is_a_one_line_user_error(tmp_path):
    error = diverged(tmp_path, step=0, value=np.nan)
    assert isinstance(error, RecipeError)
    assert error.exit_code == 1
    assert "\n" not in str(error)
