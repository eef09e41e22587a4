"""Features keep their weights in the first epochs, then all layers are trained."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from dlrecipes.layers import BatchNormalization
from dlrecipes.training import AveragedWeights, Checkpoints, FreezeFeatures, SupervisedTrainer

X = np.random.default_rng(0).normal(3, 2, (12, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
HEAD = "head"


def trainer(optimizer=None, plain=False, **kwargs):
    keras.utils.set_random_seed(3)
    x = keras.Input((4,))
    y = keras.layers.Dense(3, name="features")(x)
    y = BatchNormalization(momentum=0.5, name="norm")(y)
    # A network inside the network, as in an ensemble.
    inner = keras.Model(x, y, name="inner")
    y = keras.layers.Dense(1, name=HEAD)(keras.layers.Dropout(0.2, seed=1)(inner(x)))
    model = keras.Model(x, y)
    if not plain:
        model = SupervisedTrainer(model)
    model.compile(optimizer or keras.optimizers.Adam(0.05), "mse", **kwargs)
    return model


def freeze(epochs):
    return FreezeFeatures(epochs, lambda layer: layer.name == HEAD)


def fit(model, *callbacks, epochs=2, start=0):
    model.fit(
        X, Y, 4, epochs=epochs, initial_epoch=start, verbose=0, shuffle=False, callbacks=callbacks
    )  # fmt: skip


class Weights(keras.callbacks.Callback):
    """Keeps the weights after each epoch, by name: the head's, and all others."""

    def __init__(self):
        super().__init__()
        self.head, self.features = [], []

    def on_epoch_begin(self, epoch, logs=None):
        if not self.head:
            self._keep()

    def on_epoch_end(self, epoch, logs=None):
        self._keep()

    def _keep(self):
        network = getattr(self.model, "network", self.model)
        head = [np.array(w) for w in network.get_layer(HEAD).weights]
        self.head.append(head)
        # Trainable and moving statistics of `features` and `norm`.
        self.features.append([np.array(w) for w in network.get_layer("inner").weights])


def changed(before, after):
    return [bool(np.any(a != b)) for a, b in zip(before, after, strict=True)]


@pytest.mark.parametrize(
    "options", [{}, {"plain": True}, {"steps_per_execution": 3}], ids=["trainer", "model", "steps"]
)
def test_features_and_their_statistics_are_unchanged_until_all_layers_train(options):
    model, weights = trainer(**options), Weights()
    fit(model, freeze(2), weights, epochs=3)
    for epoch in range(2):
        assert not any(changed(weights.features[epoch], weights.features[epoch + 1]))
        assert all(changed(weights.head[epoch], weights.head[epoch + 1]))
    # Kernel and bias, gamma and beta, moving mean and variance. The loss does not depend on the
    # bias before the normalization, but rounding may change it.
    features = changed(weights.features[2], weights.features[3])
    assert features[0] and all(features[2:])
    assert all(changed(weights.head[2], weights.head[3]))


def test_the_head_alone_is_trained_as_if_the_features_were_an_input():
    model = trainer(keras.optimizers.SGD(0.01))
    inner, head = model.network.get_layer("inner"), model.network.get_layer(HEAD)
    dropout = next(x for x in model.network.layers if isinstance(x, keras.layers.Dropout))
    dropout.rate = 0.0
    features = np.array(inner(X, training=False))
    kernel, bias = (np.array(w) for w in head.weights)
    for start in range(0, len(X), 4):
        rows = features[start : start + 4]
        residual = 2 * (rows @ kernel + bias - Y[start : start + 4]) / 4
        kernel, bias = kernel - 0.01 * rows.T @ residual, bias - 0.01 * residual.sum(axis=0)
    fit(model, freeze(1), epochs=1)
    np.testing.assert_allclose(head.kernel.numpy(), kernel, rtol=1e-4)
    np.testing.assert_allclose(head.bias.numpy(), bias, rtol=1e-4)


def test_layers_that_were_frozen_before_stay_frozen():
    model = trainer()
    norm = model.network.get_layer("inner").get_layer("norm")
    norm.trainable = False
    before = [np.array(w) for w in norm.weights]
    fit(model, freeze(1), epochs=2)
    assert not norm.trainable
    assert not any(changed(before, norm.weights))


def test_a_resumed_training_ends_with_the_same_weights(tmp_path):
    def run(folder, epochs, model):
        checkpoints = Checkpoints(folder, "loss")
        checkpoints.resume(model)
        fit(model, freeze(2), checkpoints, epochs=epochs, start=checkpoints.epochs)
        return [np.array(w) for w in model.network.weights]

    expected = run(tmp_path / "whole", 4, trainer())
    for stop in (1, 2, 3):
        folder = tmp_path / str(stop)
        run(folder, stop, trainer())
        resumed = run(folder, 4, trainer())
        assert not any(changed(expected, resumed)), stop


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_stays_frozen_after_an_error(error):
    class Fail(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise error

    model = trainer()
    with pytest.raises(error):
        fit(model, freeze(1), Fail())
    assert all(layer.trainable for layer in model._flatten_layers())
    weights = Weights()
    fit(model, weights, epochs=1)
    assert changed(weights.features[0], weights.features[1])[0]


@pytest.mark.parametrize("epochs", [1, 3])
def test_weights_are_averaged_while_features_are_frozen(epochs):
    # Keras refuses to average if the number of trainable variables has changed.
    model = trainer(keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9))
    before = [np.array(w) for w in model.network.get_layer("inner").trainable_weights]
    fit(model, freeze(2), AveragedWeights(), epochs=epochs)
    after = model.network.get_layer("inner").trainable_weights
    # While they are frozen, the average of equal weights is the same up to rounding.
    assert np.allclose(before[0], after[0], rtol=1e-5) == (epochs < 2)


# Batches of 3 and a last one of 1, which leaves a replica without examples. With two replicas,
# dropout and batch statistics would differ from those of one.
REPLICAS = """
import sys

import tensorflow as tf

if sys.argv[1] == "mirrored":
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras
import numpy as np

from dlrecipes import distribute
from dlrecipes.training import AveragedWeights, FreezeFeatures, SupervisedTrainer

x = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
with distribute.strategy(sys.argv[1]).scope():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    features = keras.layers.Dense(3, "tanh", name="features")
    head = keras.layers.Dense(1, name="head")
    model = SupervisedTrainer(keras.Model(inputs, head(features(inputs))))
    model.compile(keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.5), "mse")
before = np.array(features.kernel)
data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(3)
freeze = FreezeFeatures(1, lambda layer: layer.name == "head")


class Check(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        is_equal = np.allclose(features.kernel, before, rtol=1e-6)
        assert is_equal == (epoch == 0), epoch


averages = AveragedWeights()
model.fit(data, epochs=3, shuffle=False, verbose=0, validation_data=data,
          callbacks=[freeze, averages, Check()])
print([float(value) for weight in model.weights for value in np.array(weight).flat])
"""


@pytest.mark.slow
def test_two_replicas_freeze_and_average_the_weights_of_one():
    weights = []
    for strategy in ("none", "mirrored"):
        process = subprocess.run(
            [sys.executable, "-c", REPLICAS, strategy], capture_output=True, text=True, timeout=300
        )
        assert process.returncode == 0, process.stderr[-3000:]
        weights.append(json.loads(process.stdout.splitlines()[-1]))
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-4, atol=1e-6)


def test_wrong_arguments_are_rejected():
    with pytest.raises(ValueError, match="epochs must be an integer of at least 1, not 0"):
        freeze(0)
    with pytest.raises(ValueError, match="no layer that is trained from the start"):
        fit(trainer(), FreezeFeatures(1, lambda layer: layer.name == "none"))
