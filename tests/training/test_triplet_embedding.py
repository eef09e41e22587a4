"""Triplet losses, metrics and gradients equal loops over all triplets."""

import itertools

import keras
import numpy as np
import pytest
from triplet_case import CIRCLE, KERNEL, LABELS, PEOPLE, S, X, each_mining, evaluated, step, trainer

from dlrecipes.data.identities import pk_batches
from dlrecipes.losses.triplet import MINERS

MARGIN = 0.2


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


@pytest.mark.parametrize("compiled", [{}, {"run_eagerly": True}, {"jit_compile": True}])
def test_validation_in_parts_compares_all_examples(monkeypatch, compiled):
    model = trainer(KERNEL, regularizer="l2", compiled=compiled)
    whole = evaluated(model, X, LABELS)
    parts = []
    model.validation_part = 5
    monkeypatch.setattr(model, "call", lambda x, training: parts.append(x) or model.network(x))
    model.make_test_function(force=True)
    assert evaluated(model, X, LABELS) == pytest.approx(whole, rel=1e-6)
    assert parts
    if "run_eagerly" in compiled:
        assert [len(x) for x in parts] == [5, 5, 2]


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
