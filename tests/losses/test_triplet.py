import itertools

import keras
import numpy as np
import pytest
from contract import gradients

from dlrecipes.losses import triplet_loss
from dlrecipes.losses.triplet import MINERS, active_triplets

RNG = np.random.default_rng(0)
EMBEDDINGS = (RNG.normal(size=(12, 4)) / 3).astype("float32")
LABELS = np.array([0, 1, 2, 0, 1, 0, 3, 1, 2, 0, 4, 4])
MARGIN = 0.2

# On a line: one person at 0 and 1, another at 1.5 and 4. Squared distances:
#        0     1     1.5   4
#  0     0     1     2.25  16
#  1     1     0     0.25  9
#  1.5   2.25  0.25  0     6.25
#  4     16    9     6.25  0
LINE, PEOPLE = np.array([[0.0], [1.0], [1.5], [4.0]], "float32"), np.array([0, 0, 1, 1])

each_mining = pytest.mark.parametrize("mining", MINERS)


def by_loops(embeddings, labels, mining, margin=MARGIN, root=False):
    """The costs of the mined triplets, one by one."""
    d = ((embeddings[:, None] - embeddings[None]).astype("float64") ** 2).sum(axis=-1)
    d = np.sqrt(d) if root else d
    everyone = range(len(labels))
    costs = []
    for a in everyone:
        positives = [d[a, p] for p in everyone if p != a and labels[p] == labels[a]]
        negatives = [d[a, n] for n in everyone if labels[n] != labels[a]]
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


def mean(costs, mining):
    counted = costs[costs > 0] if mining == "batch_all_nonzero" else costs
    return counted.mean() if len(counted) else 0.0


def gradient(embeddings, labels, **kwargs):
    return gradients(lambda x: triplet_loss(labels, x, **kwargs), embeddings)[0]


@each_mining
@pytest.mark.parametrize("margin", [0.0, MARGIN, 2.0])
@pytest.mark.parametrize("root", [False, True])
def test_loss_and_active_fraction_equal_loops_over_triplets(mining, margin, root):
    kwargs = {"margin": margin, "metric": "euclidean" if root else "squared_euclidean"}
    costs = by_loops(EMBEDDINGS, LABELS, mining, margin, root)
    actual = float(triplet_loss(LABELS, EMBEDDINGS, mining, **kwargs))
    np.testing.assert_allclose(actual, mean(costs, mining), rtol=1e-5, atol=1e-7)
    fraction = float(active_triplets(LABELS, EMBEDDINGS, mining, **kwargs))
    np.testing.assert_allclose(fraction, (costs > 0).mean(), rtol=1e-5)


@each_mining
def test_a_soft_margin_is_the_softplus_of_the_difference(mining):
    # A huge margin keeps every hinge active, and is then subtracted.
    differences = by_loops(EMBEDDINGS, LABELS, mining, 100.0) - 100.0
    actual = float(triplet_loss(LABELS, EMBEDDINGS, mining, margin="soft"))
    np.testing.assert_allclose(actual, np.log1p(np.exp(differences)).mean(), rtol=1e-5)
    fraction = float(active_triplets(LABELS, EMBEDDINGS, mining, margin="soft"))
    np.testing.assert_allclose(fraction, (differences > 0).mean(), rtol=1e-5)


@pytest.mark.parametrize(
    "mining, costs",
    [
        # Anchors 0: 1-2.25, 1-16; 1: 1-.25, 1-9; 1.5: 6.25-2.25, 6.25-.25; 4: 6.25-16, 6.25-9.
        ("batch_all", [0, 0, 0.95, 0, 4.2, 6.2, 0, 0]),
        ("batch_all_nonzero", [0.95, 4.2, 6.2]),
        # Anchor 1.5 has no negative beyond 6.25, so the farthest, at 2.25, is used.
        ("semi_hard", [0, 0, 4.2, 0]),
        ("hard", [0, 0.95, 6.2, 0]),
        ("batch_hard", [0, 0.95, 6.2, 0]),
    ],
)
def test_loss_of_points_on_a_line_equals_the_value_by_hand(mining, costs):
    np.testing.assert_allclose(float(triplet_loss(PEOPLE, LINE, mining)), np.mean(costs), rtol=1e-6)


def test_gradient_attracts_the_positive_and_repels_the_negative():
    """The batch-hard triplets with a cost, (1, 0, 1.5) and (1.5, 4, 1), have weight 1/4 each.

    For (a, p, n): d/da = 2(n - p), d/dp = 2(p - a), d/dn = 2(a - n).
    """
    expected = np.zeros(4)
    for a, p, n in [(1, 0, 2), (2, 3, 1)]:
        x = LINE[:, 0]
        expected[a] += 2 * (x[n] - x[p]) / 4
        expected[p] += 2 * (x[p] - x[a]) / 4
        expected[n] += 2 * (x[a] - x[n]) / 4
    actual = gradient(LINE, PEOPLE, mining="batch_hard")
    np.testing.assert_allclose(actual[:, 0], expected, rtol=1e-5)


@each_mining
@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_batch_without_a_triplet_has_zero_loss_and_gradient(mining, labels):
    labels = np.array(labels)
    assert float(triplet_loss(labels, LINE, mining)) == 0
    assert float(active_triplets(labels, LINE, mining)) == 0
    np.testing.assert_array_equal(gradient(LINE, labels, mining=mining), np.zeros((4, 1)))


@each_mining
def test_example_without_a_positive_is_used_only_as_a_negative(mining):
    labels = np.array([0, 0, 1, 2])
    costs = by_loops(LINE, labels, mining)
    assert len(costs) == {"batch_all": 4, "batch_all_nonzero": 4}.get(mining, 2)
    actual = float(triplet_loss(labels, LINE, mining))
    np.testing.assert_allclose(actual, mean(costs, mining), rtol=1e-6)


@each_mining
@pytest.mark.parametrize("metric", ["squared_euclidean", "euclidean", "cosine"])
def test_collapsed_embeddings_cost_the_margin_with_finite_gradients(mining, metric):
    """All distances are 0, so each triplet costs max(0, 0 - 0 + margin)."""
    x = np.full((4, 3), 0.3, "float32")
    kwargs = {"mining": mining, "metric": metric}
    np.testing.assert_allclose(float(triplet_loss(PEOPLE, x, **kwargs)), MARGIN, atol=1e-6)
    assert float(active_triplets(PEOPLE, x, **kwargs)) == 1
    assert np.isfinite(gradient(x, PEOPLE, **kwargs)).all()


@each_mining
def test_order_of_the_batch_does_not_matter(mining):
    order = RNG.permutation(len(LABELS))
    mixed = float(triplet_loss(LABELS[order], EMBEDDINGS[order], mining))
    np.testing.assert_allclose(mixed, float(triplet_loss(LABELS, EMBEDDINGS, mining)), rtol=1e-5)


def test_labels_may_be_a_column_or_floats():
    expected = float(triplet_loss(LABELS, EMBEDDINGS))
    for labels in (LABELS[:, None], LABELS.astype("float32"), LABELS.tolist()):
        assert float(triplet_loss(labels, EMBEDDINGS)) == expected


def compiled(loss):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1), loss=loss)
    return model


def test_compile_accepts_the_loss():
    model = compiled(triplet_loss)
    before = keras.ops.convert_to_numpy(model.weights[0])
    expected = mean(by_loops(EMBEDDINGS @ before, LABELS, "semi_hard"), "semi_hard")
    actual = model.fit(EMBEDDINGS, LABELS, batch_size=12, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(actual, [expected], rtol=1e-4)
    assert (keras.ops.convert_to_numpy(model.weights[0]) != before).any()


@keras.saving.register_keras_serializable(package="test")
def hard_loss(labels, embeddings):
    return triplet_loss(labels, embeddings, "batch_hard", metric="euclidean")


@pytest.mark.parametrize("loss", [triplet_loss, hard_loss])
def test_a_saved_model_keeps_its_compiled_loss(loss, tmp_path):
    model = compiled(loss)
    model.fit(EMBEDDINGS, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss is loss
    expected = model.evaluate(EMBEDDINGS, LABELS, verbose=0)
    np.testing.assert_allclose(loaded.evaluate(EMBEDDINGS, LABELS, verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"mining": "easy"}, "mining 'easy' is not one of batch_all, batch_all_non"),
        ({"margin": -1}, "margin must be at least 0, not -1"),
        ({"margin": "0.2"}, "margin must be at least 0, not '0.2'"),
        ({"metric": "manhattan"}, "metric 'manhattan' is not one of"),
        (
            {"labels": LINE, "embeddings": PEOPLE},
            r"embeddings must have shape \(batch, units\), not",
        ),
        ({"embeddings": LINE[None]}, r"embeddings must have .* not \(1, 4, 1\)"),
        ({"labels": np.eye(4)}, r"labels must have shape \(batch,\) or \(batch, 1\), not \(4, 4\)"),
        ({"labels": [0, 1, 1]}, r"labels must have shape \(batch,\), here \(4,\), not \(3,\)"),
    ],
)
@pytest.mark.parametrize("function", [triplet_loss, active_triplets])
def test_invalid_arguments_raise(function, kwargs, message):
    with pytest.raises(ValueError, match=message):
        function(**{"labels": PEOPLE, "embeddings": LINE, **kwargs})
