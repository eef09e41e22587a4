"""Rounding begins at its epoch, survives a kill, and leaves the plain model behind."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from dlrecipes.layers import FakeQuantize
from dlrecipes.training import (
    AveragedWeights,
    Checkpoints,
    MagnitudePruning,
    QuantizationAwareTraining,
    SupervisedTrainer,
    quantization_aware,
)

X = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")
Y = X[:, :1] * X[:, 1:2]


def network():
    keras.utils.set_random_seed(3)
    x = keras.Input((6,), name="x")
    y = keras.layers.Dense(5, use_bias=False, name="hidden")(x)
    y = keras.layers.ReLU(name="relu")(keras.layers.BatchNormalization(name="norm")(y))
    y = keras.layers.Dropout(0.2, seed=1, name="dropout")(y)
    return keras.Model(x, keras.layers.Dense(1, name="y")(y))


def trainer(net=None, **optimizer):
    model = SupervisedTrainer(net or network())
    model.compile(keras.optimizers.Adam(0.01, **optimizer), "mse")
    return model


def fit(model, *callbacks, epochs=3, start=0):
    return model.fit(
        X, Y, 4, epochs=epochs, initial_epoch=start, verbose=0, shuffle=False,
        validation_data=(X, Y), callbacks=callbacks,
    )  # fmt: skip


def assert_same(model, other):
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture
def deterministic():
    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()


def test_epochs_before_it_begins_are_plain_and_those_after_it_round(deterministic):
    plain, late = trainer(), trainer()
    losses = fit(plain).history
    rounded = fit(late, QuantizationAwareTraining(2)).history
    for name, values in losses.items():
        assert rounded[name][:2] == values[:2]
        assert rounded[name][2] != values[2]


def test_it_trains_as_the_network_with_rounding_does(deterministic):
    by_callback, net = trainer(), network()
    direct = trainer(quantization_aware(net))
    expected = fit(direct).history
    assert fit(by_callback, QuantizationAwareTraining(0)).history == expected
    assert_same(by_callback.network, net)


def test_the_model_stays_plain_while_and_after_it_trains(tmp_path):
    model, before = trainer(), trainer()
    path = tmp_path / "model.keras"
    fit(before)
    fit(model, QuantizationAwareTraining(1), keras.callbacks.ModelCheckpoint(path))
    assert vars(model).keys() == vars(before).keys()
    assert len(model.variables) == len(before.variables)
    assert not [x for x in model._flatten_layers() if isinstance(x, FakeQuantize)]
    again = keras.saving.load_model(path)
    np.testing.assert_array_equal(again(X), model(X))
    np.testing.assert_array_equal(model(X), model.network(X))


@pytest.mark.parametrize("cut", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_run_resumed_before_or_after_it_begins_ends_bit_for_bit_the_same(
    deterministic, tmp_path, cut
):
    def train(folder, epochs):
        model, saving = trainer(use_ema=True, ema_momentum=0.5), Checkpoints(folder, "val_loss")
        saving.resume(model)
        callbacks = [
            QuantizationAwareTraining(1),
            MagnitudePruning(0.4, 0, 2, frequency=1),
            AveragedWeights(),
        ]
        fit(model, *callbacks, saving, epochs=epochs, start=saving.epochs)
        return model, saving.history

    whole, history = train(tmp_path / "whole", 3)
    train(tmp_path / "cut", cut)
    resumed, again = train(tmp_path / "cut", 3)
    assert_same(resumed, whole)
    assert again == history


def test_any_functional_model_is_rounded(deterministic):
    plain, late = network(), network()
    for model in (plain, late):
        model.compile(keras.optimizers.Adam(0.01), "mse")
    losses = fit(plain).history["loss"]
    rounded = fit(late, QuantizationAwareTraining(2)).history["loss"]
    assert rounded[:2] == losses[:2]
    assert rounded[2] != losses[2]


def test_a_training_that_failed_does_not_round_the_next_one():
    model, rounds = trainer(), []

    def fail(epoch, logs):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        failure = keras.callbacks.LambdaCallback(on_epoch_end=fail)
        fit(model, QuantizationAwareTraining(0), failure)
    seen = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: rounds.append("call" in vars(model))
    )
    fit(model, QuantizationAwareTraining(1), seen, epochs=2)
    assert rounds == [False, True]


def test_a_wrong_epoch_is_refused():
    with pytest.raises(ValueError, match="start_from_epoch"):
        QuantizationAwareTraining(-1)


REPLICAS = """
import keras, numpy as np, tensorflow as tf
from dlrecipes.training import QuantizationAwareTraining, SupervisedTrainer
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    x = keras.Input((1,), name="x")
    model = SupervisedTrainer(keras.Model(x, keras.layers.Dense(1)(x)))
    model.compile(keras.optimizers.SGD(0.0), "mse")
ranges = []
keeper = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ranges.extend(
    [value.numpy() for value in model.rounding_ranges.ranges[1].values]))
x = np.array([[1.0], [2.0], [3.0], [6.0]], "float32")
model.fit(x, x, 4, shuffle=False, verbose=0, callbacks=[QuantizationAwareTraining(0), keeper])
# The largest input is 2 on the first replica, and 6 on the second.
assert ranges == [4.0, 4.0], ranges
"""


@pytest.mark.slow
def test_replicas_share_the_mean_of_their_ranges():
    subprocess.run([sys.executable, "-c", REPLICAS], check=True, timeout=120)
