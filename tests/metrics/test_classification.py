"""Metrics of classifiers agree with scikit-learn, and with values derived by hand."""

import numpy as np
import pytest
from scipy.stats import binom, norm
from sklearn import metrics as sklearn_metrics

from dlrecipes.metrics import (
    accuracy_interval,
    class_scores,
    classification_metrics,
    confusion_matrix,
    reliability,
    top_k_accuracy,
)


def predictions(n=500, classes=12, seed=0):
    """Returns probabilities and classes that agree more often than chance; class 3 is missing."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([c for c in range(classes) if c != 3], n)
    scores = rng.normal(size=(n, classes)) + 2 * np.eye(classes)[labels]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return probabilities.astype("float32"), labels


def test_scores_of_each_class_are_scikit_learns():
    probabilities, labels = predictions()
    predicted = probabilities.argmax(axis=1)
    matrix = confusion_matrix(labels, predicted, 12)
    np.testing.assert_array_equal(
        matrix, sklearn_metrics.confusion_matrix(labels, predicted, labels=range(12))
    )
    scores = class_scores(matrix)
    precision, recall, f1, count = sklearn_metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(12), zero_division=np.nan
    )
    np.testing.assert_allclose(scores.precision, precision)
    np.testing.assert_allclose(scores.recall, recall)
    np.testing.assert_allclose(scores.f1, f1)
    np.testing.assert_array_equal(scores.count, count)
    assert scores.macro_f1 == pytest.approx(
        sklearn_metrics.f1_score(labels, predicted, average="macro")
    )


def test_a_class_that_is_never_predicted_has_a_precision_of_zero():
    scores = class_scores(confusion_matrix([0, 0, 1], [0, 0, 0], 3))
    assert scores.precision[:2] == pytest.approx([2 / 3, 0])
    assert scores.recall[:2] == pytest.approx([1, 0])
    # The third class occurs nowhere: nothing is known about it, and no mean counts it.
    assert np.isnan([scores.recall[2], scores.f1[2]]).all()
    assert scores.macro_f1 == pytest.approx((4 / 5 + 0) / 2)


def test_top_k_accuracy_is_scikit_learns():
    probabilities, labels = predictions()
    for k in (1, 2, 5):
        expected = sklearn_metrics.top_k_accuracy_score(
            labels, probabilities, k=k, labels=range(12)
        )
        assert top_k_accuracy(probabilities, labels, k) == pytest.approx(expected)


def test_equally_likely_classes_rank_in_their_order():
    ties = np.full((3, 3), 1 / 3)
    assert top_k_accuracy(ties, [0, 1, 2], 1) == pytest.approx(1 / 3)
    assert top_k_accuracy(ties, [0, 1, 2], 2) == pytest.approx(2 / 3)


def test_calibration_error_is_the_mean_gap_weighted_by_count():
    # Two bins: confidence 0.6 and 0.8 (one of two right), and 1.0 (right).
    probabilities = [[0.4, 0.6], [0.2, 0.8], [1.0, 0.0]]
    bins = reliability(probabilities, [1, 0, 0], bins=5)
    assert bins.count.tolist() == [0, 0, 1, 1, 1]
    bins = reliability(probabilities, [1, 0, 0], bins=2)
    assert bins.count.tolist() == [0, 3]
    assert bins.confidence[1] == pytest.approx(0.8)
    assert bins.accuracy[1] == pytest.approx(2 / 3)
    assert bins.expected_calibration_error == pytest.approx(0.8 - 2 / 3)


def test_each_bin_contains_its_upper_bound():
    # Equation 2 of the paper: ((m - 1) / M, m / M].
    confidences = np.array([0.5, 0.75, 0.7500001, 1.0])
    probabilities = np.stack([confidences, 1 - confidences], axis=1)
    assert reliability(probabilities, [0, 0, 0, 0], bins=4).count.tolist() == [0, 1, 1, 2]


def test_the_bins_of_the_calibration_error_agree_with_a_loop():
    probabilities, labels = predictions(2000)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    expected = 0.0
    for m in range(1, 16):
        inside = (confidence > (m - 1) / 15) & (confidence <= m / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    error = reliability(probabilities, labels).expected_calibration_error
    assert error == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("right", "count"), [(90, 100), (1, 30), (199_000, 200_000), (499, 500)])
def test_the_interval_lies_between_quantiles_of_the_binomial_distribution(right, count):
    expected = binom.ppf([0.025, 0.975], count, right / count) / count
    assert accuracy_interval(right, count) == pytest.approx(tuple(expected))


def test_ten_thousand_resamples_have_the_same_interval():
    right = np.arange(400) < 330
    resamples = np.random.default_rng(0).choice(right, (10_000, 400)).mean(axis=1)
    drawn = np.percentile(resamples, [2.5, 97.5])
    assert accuracy_interval(330, 400) == pytest.approx(tuple(drawn), abs=1 / 400)


@pytest.mark.parametrize("count", [1, 4, 1000])
def test_equal_predictions_have_an_interval_with_width(count):
    # Wilson's bounds p satisfy (p - 1)^2 = z^2 p (1 - p) / n for n of n, so p = n / (n + z^2).
    low = count / (count + norm.ppf(0.975) ** 2)
    assert accuracy_interval(count, count) == pytest.approx((low, 1))
    assert accuracy_interval(0, count) == pytest.approx((0, 1 - low))


@pytest.mark.parametrize(("right", "count"), [(1, 2), (3, 4), (1, 7), (20, 29)])
def test_few_predictions_have_wilson_s_interval(right, count):
    # Each bound is z of its own standard deviations from the accuracy.
    low, high = accuracy_interval(right, count)
    for bound in (low, high):
        deviation = np.sqrt(bound * (1 - bound) / count)
        assert abs(right / count - bound) == pytest.approx(norm.ppf(0.975) * deviation)
    assert 0 < low < right / count < high < 1


def test_all_metrics_have_stable_names():
    probabilities, labels = predictions()
    names = [f"class {number}" for number in range(12)]
    metrics = classification_metrics(probabilities, labels, names)
    assert set(metrics) == {
        *("accuracy", "accuracy_low", "accuracy_high", "error", "cross_entropy"),
        *("top_5_accuracy", "macro_f1", "expected_calibration_error"),
        *("accuracy_by_class", "precision_by_class", "f1_by_class"),
    }
    assert metrics["accuracy"] == np.mean(probabilities.argmax(1) == labels)
    assert metrics["accuracy"] + metrics["error"] == pytest.approx(1)
    assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]
    expected = sklearn_metrics.log_loss(labels, probabilities, labels=range(12))
    assert metrics["cross_entropy"] == pytest.approx(expected, rel=1e-5)
    # Nothing is known about the class without examples.
    assert set(metrics["accuracy_by_class"]) == set(names) - {"class 3"}


def test_top_5_is_left_out_with_few_classes():
    metrics = classification_metrics([[0.9, 0.1]], [0], ["a", "b"])
    assert "top_5_accuracy" not in metrics


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([[0.5, 0.5]], [0, 1], r"not \(1, 2\) and \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0, int), "at least 1"),
        ([[0.5, np.nan]], [0], "NaN"),
        ([[0.5, 0.5]], [2], "from 0 to 1, not 2 to 2"),
        ([[0.5, 0.5]], [0.0], "integers"),
        ([[3.0, -1.0]], [0], "softmax"),
    ],
)
def test_values_that_do_not_fit_are_refused(probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        reliability(probabilities, np.asarray(labels))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\) and \(1,\)"):
        confusion_matrix([0, 1], [0], 2)
    with pytest.raises(ValueError, match="3 columns for 2 names"):
        classification_metrics([[0.2, 0.3, 0.5]], [0], ["a", "b"])
    with pytest.raises(ValueError, match="from 0 to count"):
        accuracy_interval(3, 2)
