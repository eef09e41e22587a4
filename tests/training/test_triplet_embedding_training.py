"""Triplet embedding in training: small batches, ensembles, saving, two devices and mistakes."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from triplet_case import CIRCLE, KERNEL, LABELS, PEOPLE, S, X, each_mining, evaluated, step, trainer

from dlrecipes.layers import L2Normalization
from dlrecipes.losses.triplet import MINERS
from dlrecipes.models import ensemble
from dlrecipes.training import TripletEmbedding


@each_mining
@pytest.mark.parametrize("labels", [[5, 5, 5, 5], [0, 1, 2, 3]])
def test_a_batch_without_triplets_has_no_loss_and_no_update(mining, labels):
    model = trainer(np.eye(2), optimizer=keras.optimizers.SGD(1.0), mining=mining)
    logs = step(model, CIRCLE, np.array(labels))
    assert logs["loss"] == logs["active_triplets"] == logs["gradient_norm"] == 0
    assert np.isfinite(list(logs.values())).all()
    np.testing.assert_array_equal(model.trainable_variables[0], np.eye(2))


def test_batches_without_triplets_do_not_change_the_metrics_of_others():
    model = trainer(np.eye(2), mining="hard")
    x, labels = np.concatenate([CIRCLE, CIRCLE]), np.concatenate([PEOPLE, np.arange(4)])
    logs = evaluated(model, x, labels, batch_size=4)
    assert logs["loss"] == pytest.approx((1.2 + S + 0.2) / 2 / 2)
    assert logs["active_triplets"] == 1
    assert logs["positive_distance"] == pytest.approx(2)


def test_an_epoch_may_end_with_a_smaller_batch():
    model = trainer(KERNEL, optimizer=keras.optimizers.Adam(0.01))
    for count in (9, 11, 1):
        history = model.fit(X[:count], LABELS[:count], batch_size=8, verbose=0).history
        assert np.isfinite(list(history.values())).all()


@pytest.mark.parametrize(
    "mining, options",
    [
        *[(mining, {"run_eagerly": True}) for mining in MINERS],
        *[(mining, {"jit_compile": True}) for mining in ("batch_all", "semi_hard")],
    ],
)
def test_a_step_is_the_same_eagerly_and_compiled(mining, options):
    plain, other = (
        trainer(KERNEL, optimizer=keras.optimizers.SGD(0.1), mining=mining, compiled=compiled)
        for compiled in ({}, options)
    )
    expected = step(plain, X, LABELS)
    assert step(other, X, LABELS) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    weights = [model.trainable_variables[0].numpy() for model in (plain, other)]
    np.testing.assert_allclose(*weights, rtol=1e-4, atol=1e-6)


def test_labels_may_be_a_column_or_floats():
    model = trainer(KERNEL)
    expected = evaluated(model, X, LABELS)
    for labels in (LABELS[:, None], LABELS.astype("float32"), LABELS.astype("uint8")):
        assert evaluated(model, X, labels) == expected


def test_distances_are_float32_under_any_policy():
    """In bfloat16 points 0.001 apart at 1 coincide, but only the network computes in it."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = trainer([[1.0]], sphere=False, optimizer=keras.optimizers.SGD(0.1))
    finally:
        keras.config.set_dtype_policy("float32")
    x = np.array([[0.0], [1.0], [1.5], [4.0]], "float32")
    # As in the test of the loss, semi-hard costs are 0, 0, 4.2 (6.25 - 2.25 + 0.2) and 0.
    logs = step(model, x, PEOPLE)
    assert logs["loss"] == pytest.approx(4.2 / 4)
    assert model.trainable_variables[0].dtype == "float32"


def test_the_networks_regularization_is_added():
    model = trainer(np.eye(2), mining="hard", regularizer=keras.regularizers.L2(0.5))
    expected = (1.2 + S + 0.2) / 2 + 0.5 * 2
    assert evaluated(model, CIRCLE, PEOPLE)["loss"] == pytest.approx(expected)


def test_members_are_trained_as_single_networks_are():
    rng = np.random.default_rng(5)
    x, labels = rng.normal(size=(8, 3)).astype("float32"), np.repeat(np.arange(4), 2)

    def member(name):
        inputs = keras.Input((3,))
        return keras.Model(inputs, L2Normalization()(keras.layers.Dense(2)(inputs)), name=name)

    def train(network, rate):
        model = TripletEmbedding(network, margin=0.5, mining="batch_all")
        model.compile(keras.optimizers.SGD(rate), jit_compile=False)
        return model.fit(x, labels, batch_size=8, epochs=3, shuffle=False, verbose=0).history

    members, singles = [member("a"), member("b")], [member("c"), member("d")]
    for network, single in zip(members, singles, strict=True):
        single.set_weights(network.get_weights())
    logs = [train(single, 0.1) for single in singles]
    inputs = keras.Input((3,))
    whole = keras.Model(inputs, L2Normalization()(ensemble(members)(inputs)))
    # The loss is the mean over the members, so that each has half of its gradient.
    together = train(whole, 0.2)
    for network, single in zip(members, singles, strict=True):
        for actual, expected in zip(network.get_weights(), single.get_weights(), strict=True):
            np.testing.assert_allclose(actual, expected, atol=1e-5)
    for name in ("loss", "positive_distance", "rank1"):
        means = np.mean([log[name] for log in logs], axis=0)
        np.testing.assert_allclose(together[name], means, rtol=1e-5)


def test_a_loaded_trainer_has_the_same_settings_and_embeddings(tmp_path):
    model = trainer(KERNEL, margin=0.3, mining="batch_hard", metric="euclidean")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.margin, again.mining, again.metric) == (0.3, "batch_hard", "euclidean")
    e = X @ KERNEL
    expected = e / np.linalg.norm(e, axis=1, keepdims=True)
    for embedding in (model, again):
        np.testing.assert_allclose(np.array(embedding(X)), expected, rtol=1e-5, atol=1e-6)


UNEVEN = """
import keras, numpy as np, sys, tensorflow as tf
from dlrecipes.training import TripletEmbedding
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
labels = np.array([0, 1, 0, 1, 0])
ends, size = [], int(sys.argv[1])
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    with strategy.scope():
        keras.utils.set_random_seed(1)
        network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model = TripletEmbedding(network, margin=5.0)
        model.compile(keras.optimizers.SGD(0.05), jit_compile=False)
    logs = model.fit(x, labels, batch_size=size, epochs=3, shuffle=False, verbose=0).history
    tests = model.evaluate(x, labels, batch_size=size, verbose=0, return_dict=True)
    weights = dict(enumerate(model.get_weights()))
    ends.append({**logs, **{f"test {name}": value for name, value in tests.items()}, **weights})
assert ends[0].keys() == ends[1].keys() and min(ends[0]["loss"]) > 0
for name, value in ends[0].items():
    np.testing.assert_allclose(ends[1][name], value, rtol=1e-5, atol=1e-6, err_msg=str(name))
print("equal")
"""


# Other uneven batches are tested in tests/training/_engine/test_uneven_batches.py.
@pytest.mark.slow
@pytest.mark.parametrize("size", [5, 4])
def test_a_step_on_two_devices_with_uneven_parts_equals_one_on_a_single_device(size):
    """With 5 examples the devices get 3 and 2; with batches of 4, they get 1 and 0 of the last one.

    Most triplets have examples on both devices.
    """
    process = subprocess.run(
        [sys.executable, "-c", UNEVEN, str(size)], capture_output=True, text=True, timeout=300
    )
    assert process.stdout.endswith("equal\n"), process.stderr[-2000:]


def flat():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])


@pytest.mark.parametrize(
    "kwargs, message",
    [
        (
            {"mining": "semi-hard"},
            r"mining 'semi-hard' is not one of .* Did you mean 'semi_hard'\?",
        ),
        ({"mining": "all"}, r"mining 'all' is not one of batch_all, "),
        ({"metric": "euclid"}, r"metric 'euclid' is not .* Did you mean 'euclidean'\?"),
        ({"margin": -0.1}, "margin must be at least 0, not -0.1"),
        ({"margin": float("nan")}, "margin must be at least 0, not nan"),
        ({"network": keras.Sequential([keras.layers.Dense(2)], name="raw")}, "raw has no weights"),
        (
            {"network": keras.Sequential([keras.Input((4, 4)), keras.layers.Dense(2)], name="two")},
            r"two must output \(batch, units\), not \(None, 4, 2\)",
        ),
    ],
)
def test_invalid_arguments_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        TripletEmbedding(**{"network": flat(), **kwargs})


def test_data_other_than_labeled_batches_are_rejected():
    model = TripletEmbedding(flat())
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"needs labels: give fit pairs of \(x, labels\)"):
        model.fit(X, verbose=0)
    with pytest.raises(ValueError, match="takes no sample weights"):
        model.fit(X, LABELS, sample_weight=np.ones(12), verbose=0)
    with pytest.raises(ValueError, match=r"labels must have shape .* not \(None, 5\)"):
        model.fit(X, np.eye(5)[LABELS], verbose=0)
    with pytest.raises(ValueError, match="has its own loss: compile it without one"):
        model.compile("sgd", loss="mse")
