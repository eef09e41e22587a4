"""Precision by score, the best threshold, and the interval of the mean average precision."""

import numpy as np
import pytest

from dlrecipes.metrics import best_score_threshold, precision_recall_curves
from dlrecipes.metrics._box_matching import checked, collect_hits
from dlrecipes.metrics.detection_curves import _weighted_precisions, mean_average_precision_interval

A, B, C, NOWHERE = ([100 * n, 0, 100 * n + 40, 40] for n in range(4))


def predicted(boxes, scores, classes=None):
    return {"boxes": boxes, "scores": scores, "classes": classes or [0] * len(boxes)}


def true(*boxes, classes=None):
    return {"boxes": boxes, "classes": classes or [0] * len(boxes)}


def test_a_curve_has_a_point_for_each_score():
    guesses = predicted([A, NOWHERE, B, NOWHERE], [0.9, 0.5, 0.5, 0.1])
    curve = precision_recall_curves([guesses], [true(A, B, C)], ["cat", "dog"])["cat"]
    # A threshold of 0.5 keeps both predictions of that score: two of three are right.
    assert curve.scores.tolist() == [0.9, 0.5, 0.1]
    assert curve.precision.tolist() == pytest.approx([1, 2 / 3, 2 / 4])
    assert curve.recall.tolist() == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    # 1 up to recall 0.33, 2/3 up to 0.66, 0 beyond.
    assert curve.interpolated.tolist() == pytest.approx([1] * 34 + [2 / 3] * 33 + [0] * 34)
    assert curve.objects == 3


def test_a_class_that_is_never_predicted_has_an_empty_curve():
    curve = precision_recall_curves([predicted([], [])], [true(A)], ["cat"])["cat"]
    assert curve.scores.shape == curve.recall.shape == (0,)
    assert curve.average_precision == 0


def test_the_best_threshold_has_the_largest_f1():
    # Kept   right  F1 = 2 right / (kept + 3 objects)
    # 1      1      2/4
    # 2      2      4/5     the best: between 0.8 and 0.4
    # 3      2      4/6
    # 4      3      6/7     with 0.2, and better still: between 0.2 and 0.1
    # 5      3      6/8
    boxes, scores = [A, B, NOWHERE, C, NOWHERE], [0.9, 0.8, 0.4, 0.2, 0.1]
    best = best_score_threshold([predicted(boxes, scores)], [true(A, B, C)], 1)
    assert best == pytest.approx((0.15, 3 / 4, 1, 6 / 7))
    best = best_score_threshold([predicted(boxes[:3], scores[:3])], [true(A, B, C)], 1)
    assert best == pytest.approx((0.6, 1, 2 / 3, 4 / 5))
    # The last score of all: halfway to 0.
    best = best_score_threshold([predicted(boxes[:2], scores[:2])], [true(A, B, C)], 1)
    assert best.threshold == pytest.approx(0.4)


def test_a_threshold_does_not_part_equal_scores():
    # One of both predictions with 0.5 is right: 2/4 for one of three, 4/6 for two of three.
    guesses = predicted([A, B, NOWHERE], [0.9, 0.5, 0.5])
    best = best_score_threshold([guesses], [true(A, B, C)], 1)
    assert best == pytest.approx((0.25, 2 / 3, 2 / 3, 4 / 6))


@pytest.mark.parametrize("truth", [true(A), true()])
def test_without_a_hit_no_threshold_is_the_best(truth):
    assert best_score_threshold([predicted([NOWHERE], [0.9])], [truth], 1) is None
    assert best_score_threshold([predicted([], [])], [truth], 1) is None


def scene(seed, images=12):
    rng = np.random.default_rng(seed)
    predictions, truths = [], []
    for _ in range(images):
        boxes = [box for box in (A, B, C) if rng.random() < 0.6]
        own = rng.integers(0, 2, len(boxes)).tolist()
        guesses = [*boxes, NOWHERE, A]
        predictions.append(
            predicted(guesses, rng.random(len(guesses)), rng.integers(0, 2, len(guesses)).tolist())
        )
        truths.append(true(*boxes, classes=own))
    return predictions, truths


def test_an_image_of_weight_two_counts_twice():
    predictions, truths = scene(0)
    weights = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), size=4)
    hits = collect_hits(*checked(predictions, truths, 2), 2, 0.5)
    values = np.stack([_weighted_precisions(hits, own, weights) for own in (0, 1)])
    for column, row in enumerate(weights):
        places = np.repeat(np.arange(12), row)
        resample = [predictions[k] for k in places], [truths[k] for k in places]
        curves = precision_recall_curves(*resample, ["cat", "dog"])
        expected = [curves[name].average_precision for name in ("cat", "dog")]
        assert values[:, column] == pytest.approx(expected)


def test_the_interval_is_derived_from_resampled_images():
    """One image is perfect, one is missed: with both, precision is 1 up to a recall of 1/2.

    The probabilities of 0, 51/101 and 1 are 1/4, 1/2 and 1/4.
    """
    arrays = checked([predicted([A], [0.9]), predicted([], [])], [true(A), true(A)], 1)
    hits = collect_hits(*arrays, 1, 0.5)
    assert mean_average_precision_interval(hits) == (0, 1)
    assert mean_average_precision_interval(hits, level=0.3) == pytest.approx((51 / 101, 51 / 101))
    assert mean_average_precision_interval(hits) == mean_average_precision_interval(hits)


def test_without_objects_there_is_no_interval():
    hits = collect_hits(*checked([predicted([A], [0.9])], [true()], 1), 1, 0.5)
    assert mean_average_precision_interval(hits) is None
