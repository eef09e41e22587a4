"""Pruning follows the schedule, holds after every step, survives a kill, and leaves nothing."""

import contextlib
import json
import os
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from dlrecipes.metrics import sparsity
from dlrecipes.training import Checkpoints, MagnitudePruning, SupervisedTrainer

STEPS = 4
X = np.random.default_rng(0).normal(size=(4 * STEPS, 6, 6, 1)).astype("float32")
Y = X.mean(axis=(1, 2))
SIZES = {"conv": 5 * 5 * 4, "hidden": 16 * 6, "scores": 6}


def network():
    keras.utils.set_random_seed(3)
    x = keras.Input((6, 6, 1))
    y = keras.layers.Conv2D(4, 5, activation="relu", name="conv")(x)
    y = keras.layers.BatchNormalization(name="norm")(y)
    y = keras.layers.DepthwiseConv2D(1, name="depthwise")(y)
    y = keras.layers.Dense(6, activation="relu", name="hidden")(keras.layers.Flatten()(y))
    return keras.Model(x, keras.layers.Dense(1, name="scores", dtype="float32")(y))


def trainer(optimizer=None, trainer_class=SupervisedTrainer, **kwargs):
    model = trainer_class(network()) if trainer_class else network()
    model.compile(optimizer or keras.optimizers.Adam(0.01), "mse", **kwargs)
    return model


def fit(model, *callbacks, epochs=3, start=0):
    return model.fit(
        X, Y, 4, epochs=epochs, initial_epoch=start, verbose=0, shuffle=False, callbacks=callbacks
    )  # fmt: skip


class AfterEachStep(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.zeros = []
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        zeros = {name: round(f * SIZES[name]) for name, f in sparsity(self.model).items()}
        self.zeros.append(zeros)
        self.weights.append(kernels(self.model))


def kernels(model):
    layers = model._flatten_layers()
    return {layer.name: layer.kernel.numpy() for layer in layers if layer.name in SIZES}


def expected_zeros(step, final, begin, end, frequency, initial=0.0):
    """Equation 1 of Zhu and Gupta at the last pruning before a step."""
    if step < begin:
        return dict.fromkeys(SIZES, 0)
    last = end if step >= end else begin + (step - begin) // frequency * frequency
    fraction = final + (initial - final) * (1 - (last - begin) / (end - begin)) ** 3
    return {name: int(fraction * size + 0.5) for name, size in SIZES.items()}


@pytest.mark.parametrize("trainer_class", [SupervisedTrainer, None])
def test_zeros_follow_the_cubic_schedule_and_stay(trainer_class):
    model, seen = trainer(trainer_class=trainer_class), AfterEachStep()
    # The last pruning is not at a multiple of the frequency.
    schedule = {"begin_step": 2, "end_step": 9, "frequency": 3, "initial_sparsity": 0.1}
    fit(model, MagnitudePruning(0.75, **schedule), seen)
    for step, zeros in enumerate(seen.zeros, 1):
        assert zeros == expected_zeros(step, 0.75, 2, 9, 3, 0.1), step
    for earlier, later in zip(seen.weights, seen.weights[1:], strict=False):
        for name, kernel in later.items():
            assert not kernel[earlier[name] == 0].any(), name
            # The sign of a negative zero would cost bits in compressed files.
            assert not np.signbit(kernel[kernel == 0]).any(), name


def test_pruned_weights_are_the_smallest_of_their_layer():
    model, seen = trainer(keras.optimizers.SGD(0.0)), AfterEachStep()
    before = kernels(model)
    fit(model, MagnitudePruning(0.6, 0, 2, frequency=2), seen, epochs=1)
    for name, kernel in seen.weights[-1].items():
        magnitudes = np.sort(np.abs(before[name]), axis=None)
        cut = magnitudes[int(0.6 * SIZES[name] + 0.5) - 1]
        np.testing.assert_array_equal(kernel, np.where(np.abs(before[name]) > cut, before[name], 0))


def test_equal_weights_are_pruned_to_the_exact_fraction():
    model = trainer(keras.optimizers.SGD(0.0))
    for layer in model._flatten_layers():
        if layer.name in SIZES:
            layer.kernel.assign(np.ones(layer.kernel.shape))
    fit(model, MagnitudePruning(0.5, 0, 1, frequency=1), epochs=1)
    assert sparsity(model) == dict.fromkeys(SIZES, 0.5)


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "weight decay": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "moving average": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9),
    "moving average that overwrites": lambda: keras.optimizers.SGD(
        0.05, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2
    ),
    "accumulation": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_pruned_weights_stay_zero_with(name):
    model, seen = trainer(OPTIMIZERS[name]()), AfterEachStep()
    fit(model, MagnitudePruning(0.75, 0, 4, frequency=2), seen)
    assert seen.zeros[3:] == [expected_zeros(4, 0.75, 0, 4, 2)] * (3 * STEPS - 3)
    # After `fit` has replaced the weights by their moving averages.
    assert sparsity(model) == {n: z / SIZES[n] for n, z in seen.zeros[-1].items()}


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_pruned_weights_stay_zero_in(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = trainer(keras.optimizers.Adam(0.01))
    finally:
        keras.config.set_dtype_policy(before)
    seen = AfterEachStep()
    fit(model, MagnitudePruning(0.75, 0, 4, frequency=2), seen)
    assert seen.zeros[-1] == expected_zeros(4, 0.75, 0, 4, 2)


def test_several_steps_per_execution_prune_at_the_same_steps():
    one, several = trainer(), trainer(steps_per_execution=STEPS)
    for model in (one, several):
        fit(model, MagnitudePruning(0.75, 1, 7, frequency=2))
    assert_same(several, one)


def assert_same(model, other):
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        assert ours.tobytes() == theirs.tobytes()


@pytest.fixture
def deterministic():
    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()


def test_a_run_resumed_while_it_prunes_ends_bit_for_bit_the_same(deterministic, tmp_path):
    def train(folder, epochs):
        model, saving = trainer(), Checkpoints(folder, None)
        saving.resume(model)
        # Steps 5 to 7 of the second epoch have no pruning: the masks come from the checkpoint.
        pruning = MagnitudePruning(0.75, 1, 9, frequency=7)
        incomplete = pytest.warns(UserWarning, match="before the sparsity")
        with incomplete if epochs < 3 else contextlib.nullcontext():
            fit(model, pruning, saving, epochs=epochs, start=saving.epochs)
        return model

    whole = train(tmp_path / "whole", 3)
    train(tmp_path / "cut", 1)
    assert_same(train(tmp_path / "cut", 3), whole)


def test_masks_are_restored_where_a_pruned_weight_and_another_one_are_zero(tmp_path):
    model = trainer(keras.optimizers.SGD(0.0))
    hidden = next(layer for layer in model._flatten_layers() if layer.name == "hidden")
    values = np.arange(1, 97, dtype="float32").reshape(hidden.kernel.shape)

    def train(epochs):
        saving = Checkpoints(tmp_path, None)
        saving.resume(model)
        pruning = MagnitudePruning(0.5, 0, 2, frequency=2, layers=lambda x: x is hidden)
        fit(model, pruning, saving, keeper, epochs=epochs, start=saving.epochs)

    keeper = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: masks.append(model.pruning_masks.masks[0].numpy())
    )
    masks = []
    hidden.kernel.assign(values)
    train(1)
    np.testing.assert_array_equal(masks[0], values > 48)
    train(2)
    np.testing.assert_array_equal(masks[1], masks[0])


def test_masks_are_inferred_from_weights_that_were_restored_without_them(tmp_path):
    model = trainer()
    fit(model, MagnitudePruning(0.75, 0, 4, frequency=2))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    before = kernels(again)
    fit(again, MagnitudePruning(0.75, 0, 4, frequency=2))
    for name, kernel in kernels(again).items():
        np.testing.assert_array_equal(kernel == 0, before[name] == 0)
        assert (kernel != before[name]).any()


def test_training_leaves_only_zeros_behind(tmp_path):
    plain, pruned = trainer(), trainer()
    fit(plain)
    fit(pruned, MagnitudePruning(0.75, 0, 4, frequency=2))
    assert vars(pruned).keys() == vars(plain).keys()
    assert len(pruned.variables) == len(plain.variables)
    pruned.save(tmp_path / "pruned.keras")
    again = keras.saving.load_model(tmp_path / "pruned.keras")
    assert sparsity(again) == dict.fromkeys(SIZES, 0.75) | {"scores": 5 / 6}
    # Training on without the callback is ordinary training.
    fit(pruned)
    assert max(sparsity(pruned).values()) < 0.1


def test_layers_chooses_what_is_pruned():
    model = trainer()
    chosen = MagnitudePruning(0.5, 0, 1, layers=lambda layer: layer.name != "scores")
    fit(model, chosen, epochs=1)
    assert sparsity(model) == {"conv": 0.5, "hidden": 0.5, "scores": 0.0}


def test_an_end_that_training_does_not_reach_is_reported():
    with pytest.warns(UserWarning, match="ended after 4 steps, before the sparsity 0.5"):
        fit(trainer(), MagnitudePruning(0.5, 0, 9), epochs=1)


def test_mistakes_are_named():
    for arguments, message in (
        ((1.0, 0, 9), "final_sparsity must be above 0 and below 1"),
        ((0.5, 9, 9), "end_step must be an integer of at least 10"),
        ((0.5, -1, 9), "begin_step"),
        ((0.5, 0, 9, 0), "frequency"),
        ((0.5, 0, 9, 1, 0.6), "initial_sparsity must be at least 0 and at most final_sparsity"),
        ((0.5, 0, 9, 1, 0.0, ["conv"]), "layers must be a function"),
    ):
        with pytest.raises(ValueError, match=message):
            MagnitudePruning(*arguments)
    model = trainer()
    with pytest.raises(ValueError, match="no convolution or dense layer"):
        fit(model, MagnitudePruning(0.5, 0, 4, layers=lambda layer: False))
    with pytest.raises(ValueError, match="Two callbacks prune"):
        fit(model, MagnitudePruning(0.5, 0, 4), MagnitudePruning(0.4, 0, 4))
    fit(model, epochs=3)
    with pytest.raises(ValueError, match="at step 12, past end_step=4"):
        fit(model, MagnitudePruning(0.5, 0, 4))


SCRIPT = """
import json
import sys

import tensorflow as tf

[cpu] = tf.config.list_physical_devices("CPU")
if sys.argv[1] == "mirrored":
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)

import keras
import numpy as np

from dlrecipes import distribute
from dlrecipes.training import MagnitudePruning, SupervisedTrainer

x = np.linspace(0.1, 1.0, 9, dtype="float32")[:, None] ** np.arange(1, 9)
with distribute.strategy(sys.argv[1]).scope():
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(4, kernel_initializer=keras.initializers.RandomUniform(seed=1))
    inputs = keras.Input((8,))
    model = SupervisedTrainer(keras.Model(inputs, dense(inputs)))
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "mse")
# Batches of 4 and a last one of 1, which leaves replicas without examples.
data = tf.data.Dataset.from_tensor_slices((x, x[:, :4])).batch(4)
pruning = MagnitudePruning(0.75, 1, 5, frequency=2)
model.fit(data, epochs=2, shuffle=False, verbose=0, callbacks=[pruning])
print(json.dumps(dense.kernel.numpy().tolist()))
"""


def started(strategy, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, strategy],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kernel_of(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    return np.array(json.loads(output.splitlines()[-1]))


def assert_pruned_alike(kernels):
    first, *others = kernels
    assert np.count_nonzero(first == 0) == 0.75 * first.size
    for other in others:
        np.testing.assert_array_equal(other == 0, first == 0)
        np.testing.assert_allclose(other, first, rtol=1e-5, atol=1e-6)


# Slow because two processes load TensorFlow. `_engine/test_uneven_batches.py` has a step on
# replicas in the quick tests.
@pytest.mark.slow
def test_three_replicas_prune_the_weights_of_one():
    processes = [started(strategy) for strategy in ("none", "mirrored")]
    assert_pruned_alike([kernel_of(process) for process in processes])


@pytest.mark.slow
def test_two_workers_prune_the_weights_of_one():
    with socket.socket() as one, socket.socket() as two:
        for server in (one, two):
            server.bind(("127.0.0.1", 0))
        hosts = [f"127.0.0.1:{server.getsockname()[1]}" for server in (one, two)]
    configs = [
        json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}})
        for index in range(2)
    ]
    workers = [started("multi_worker", TF_CONFIG=config) for config in configs]
    assert_pruned_alike([kernel_of(process) for process in [started("none"), *workers]])
