"""Triplet losses, metrics and gradients equal loops over all triplets."""

import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest

from dlrecipes.data.identities import pk_batches
from dlrecipes.layers import L2Normalization
from dlrecipes.losses.triplet import MINERS
from dlrecipes.models import ensemble
from dlrecipes.training import TripletEmbedding

# Points at 0 and 90 degrees (one person), and 60 and 150 (another), at any distance from 0.
# On the circle the squared distance over an angle is 2 - 2 cos(angle), with S = sqrt(3):
#         90      60      150
#   0     2       1       2 + S
#  90             2 - S   1
#  60                     2
S = np.sqrt(3)
ANGLES = np.radians([0, 90, 60, 150])
CIRCLE = ([[3.0], [0.5], [1.0], [2.0]] * np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1)).astype("f4")
PEOPLE = np.array([0, 0, 1, 1])
MARGIN = 0.2

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype("float32")
LABELS = np.array([0, 1, 2, 0, 1, 0, 3, 1, 2, 0, 4, 4])
KERNEL = RNG.normal(size=(4, 3)).astype("float32")

each_mining = pytest.mark.parametrize("mining", MINERS)


def trainer(kernel, sphere=True, optimizer=None, compiled=None, regularizer=None, **kwargs):
    """Returns a linear network with a given kernel, optionally on the unit sphere."""
    kernel = np.asarray(kernel, "float32")
    x = keras.Input(kernel.shape[:1])
    dense = keras.layers.Dense(kernel.shape[1], use_bias=False, kernel_regularizer=regularizer)
    y = dense(x)
    y = L2Normalization(dtype="float32")(y) if sphere else y
    model = TripletEmbedding(keras.Model(x, y), **kwargs)
    dense.kernel.assign(kernel)
    optimizer = keras.optimizers.SGD(0.0) if optimizer is None else optimizer
    model.compile(optimizer, **{"jit_compile": False, **(compiled or {})})
    return model


def step(model, x, labels):
    """Returns the logs of one step on one batch."""
    history = model.fit(x, labels, batch_size=len(x), shuffle=False, verbose=0).history
    return {name: value for name, (value,) in history.items()}


def evaluated(model, x, labels, batch_size=None):
    return model.evaluate(x, labels, batch_size or len(x), verbose=0, return_dict=True)


def distances(x, kernel, metric="squared_euclidean", sphere=True):
    e = x.astype("float64") @ kernel.astype("float64")
    if sphere or metric == "cosine":
        e = e / np.linalg.norm(e, axis=1, keepdims=True)
    d = ((e[:, None] - e[None]) ** 2).sum(axis=-1)
    return {"squared_euclidean": d, "euclidean": np.sqrt(d), "cosine": d / 2}[metric]


def costs_by_loops(d, labels, mining, margin):
    """Returns the costs of the mined triplets, one by one."""
    examples = range(len(labels))
    costs = []
    for a in examples:
        positives = [d[a, p] for p in examples if p != a and labels[p] == labels[a]]
        negatives = [d[a, n] for n in examples if labels[n] != labels[a]]
        if not positives or not negatives:
            continue
        if mining == "batch_hard":
            pairs = [(max(positives), min(negatives))]
        elif mining == "hard":
            pairs = [(near, min(negatives)) for near in positives]
        elif mining == "semi_hard":
            farther = {near: [far for far in negatives if far > near] for near in positives}
            pairs = [(near, min(farther[near], default=max(negatives))) for near in positives]
        else:
            pairs = itertools.product(positives, negatives)
        costs += [max(0.0, near - far + margin) for near, far in pairs]
    return np.array(costs)


def loss_by_loops(d, labels, mining, margin):
    costs = costs_by_loops(d, labels, mining, margin)
    costs = costs[costs > 0] if mining == "batch_all_nonzero" else costs
    return costs.mean() if len(costs) else 0.0


def logs_by_loops(d, labels, mining, margin):
    pairs = list(itertools.permutations(range(len(labels)), 2))
    same = [pair for pair in pairs if labels[pair[0]] == labels[pair[1]]]
    different = [pair for pair in pairs if labels[pair[0]] != labels[pair[1]]]
    first = [
        min(d[p] for p in same if p[0] == a) < min(d[p] for p in different if p[0] == a)
        for a in {pair[0] for pair in same}
    ]
    return {
        "loss": loss_by_loops(d, labels, mining, margin),
        "active_triplets": (costs_by_loops(d, labels, mining, margin) > 0).mean(),
        "positive_distance": np.mean([d[pair] for pair in same]),
        "negative_distance": np.mean([d[pair] for pair in different]),
        "rank1": np.mean(first),
    }


@pytest.mark.parametrize(
    "mining, costs, active",
    [
        # Anchor 0: 2 - 1, 2 - (2 + S); 90: 2 - (2 - S), 2 - 1; 60: 2 - 1, 2 - (2 - S);
        # 150: 2 - (2 + S), 2 - 1; each plus the margin.
        ("batch_all", [1.2, 0, S + 0.2, 1.2, 1.2, S + 0.2, 0, 1.2], 6 / 8),
        ("batch_all_nonzero", [1.2, S + 0.2, 1.2, 1.2, S + 0.2, 1.2], 6 / 8),
        # For 90 and 60 no negative is farther than 2, so that the farthest one, at 1, is used.
        ("semi_hard", [0, 1.2, 1.2, 0], 2 / 4),
        ("hard", [1.2, S + 0.2, S + 0.2, 1.2], 1),
        ("batch_hard", [1.2, S + 0.2, S + 0.2, 1.2], 1),
    ],
)
def test_losses_of_points_on_a_circle_match_hand_computation(mining, costs, active):
    expected = {
        "loss": np.mean(costs),
        "active_triplets": active,
        "positive_distance": 2,
        "negative_distance": (1 + (2 + S) + (2 - S) + 1) / 4,
        "rank1": 0,
    }
    model = trainer(np.eye(2), mining=mining, margin=MARGIN)
    assert evaluated(model, CIRCLE, PEOPLE) == pytest.approx(expected, abs=1e-6)
    logs = step(model, CIRCLE, PEOPLE)
    assert logs.pop("gradient_norm") > 0
    assert logs == pytest.approx(expected, abs=1e-6)


@each_mining
@pytest.mark.parametrize(
    "margin, metric, sphere",
    [
        (0.2, "squared_euclidean", True),
        (0.0, "cosine", True),
        (1.0, "euclidean", False),
    ],
)
def test_logs_equal_loops_over_all_triplets(mining, margin, metric, sphere):
    model = trainer(KERNEL, sphere, mining=mining, margin=margin, metric=metric)
    d = distances(X, KERNEL, metric, sphere)
    expected = logs_by_loops(d, LABELS, mining, margin)
    assert evaluated(model, X, LABELS) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "mining, sphere", [*[(mining, True) for mining in MINERS], ("semi_hard", False)]
)
def test_a_step_follows_the_gradient_of_finite_differences(mining, sphere):
    rate, h = 0.1, 1e-6
    model = trainer(KERNEL, sphere, keras.optimizers.SGD(rate), mining=mining, margin=0.5)
    gradient = np.zeros(KERNEL.shape)
    for place in np.ndindex(*KERNEL.shape):
        shifted = [KERNEL.astype("float64") for _ in range(2)]
        for kernel, sign in zip(shifted, (1, -1), strict=True):
            kernel[place] += sign * h
        high, low = (
            loss_by_loops(distances(X, kernel, sphere=sphere), LABELS, mining, 0.5)
            for kernel in shifted
        )
        gradient[place] = (high - low) / (2 * h)
    logs = step(model, X, LABELS)
    assert logs["gradient_norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-3)
    kernel = model.trainable_variables[0].numpy()
    np.testing.assert_allclose(kernel, KERNEL - rate * gradient, rtol=1e-4, atol=1e-5)


def test_rank1_counts_examples_whose_nearest_neighbor_has_the_same_label():
    # On a line: 0, 1 and 3 are one person, 3.5 and 9 another, and 10 a third without a positive.
    # 0: 1 < 3.5; 1: 1 < 2.5; 3: 2 > .5; 3.5: 5.5 > .5; 9: 5.5 > 1.
    x = np.array([[0], [1], [3], [3.5], [9], [10]], "float32")
    model = trainer([[1.0]], sphere=False)
    labels = np.array([0, 0, 0, 1, 1, 2])
    assert evaluated(model, x, labels)["rank1"] == pytest.approx(2 / 5)
    # With batches of 4 and 2, the second one has no positives. In the first one, 3.5 has none, and
    # two of the other three examples count.
    logs = evaluated(model, x, np.array([0, 0, 0, 1, 1, 2]), batch_size=4)
    assert logs["rank1"] == pytest.approx(2 / 3)


def equal_error_rate(embeddings, labels):
    """Returns the rate at which equally many different and same pairs are misclassified."""
    d = ((embeddings[:, None] - embeddings[None]) ** 2).sum(axis=-1)
    above = np.triu_indices(len(labels), 1)
    same, d = (labels[:, None] == labels)[above], d[above]
    rates = [((d[~same] <= at).mean(), (d[same] > at).mean()) for at in np.unique(d)]
    return min(max(pair) for pair in rates)


def rank1(embeddings, labels):
    d = ((embeddings[:, None] - embeddings[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(d, np.inf)
    return (labels[d.argmin(axis=1)] == labels).mean()


@pytest.mark.parametrize("mining", ["semi_hard", "batch_all_nonzero"])
def test_training_separates_people_outside_the_training_data(mining):
    """Two of ten numbers identify a person; the others are larger noise, the same for everyone."""

    def crowd(people, each, seed):
        rng = np.random.default_rng(seed)
        labels = np.repeat(np.arange(people), each)
        noise = rng.normal(size=(len(labels), 10)) * ([0.1] * 2 + [2.0] * 8)
        noise[:, :2] += rng.normal(size=(people, 2))[labels]
        return noise.astype("float32"), labels

    x, labels = crowd(40, 8, seed=1)
    kernel = np.random.default_rng(2).normal(size=(10, 4)) / 4
    model = trainer(kernel, optimizer=keras.optimizers.Adam(0.02), mining=mining)
    test_images, test_labels = crowd(12, 8, seed=3)
    before = model.predict(test_images, verbose=0)
    batches = pk_batches(x, labels, identities=10, images=4, seed=0, steps=40)
    logs = model.fit(batches, steps_per_epoch=40, epochs=5, verbose=0).history
    after = model.predict(test_images, verbose=0)
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-5)
    assert equal_error_rate(before, test_labels) > 0.4
    assert equal_error_rate(after, test_labels) < 0.25
    assert rank1(after, test_labels) > rank1(before, test_labels) + 0.2
    assert logs["active_triplets"][-1] < logs["active_triplets"][0]
    assert logs["positive_distance"][-1] < logs["negative_distance"][-1] / 2


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
