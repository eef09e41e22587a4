"""Segmentation scores against manual counts."""

import numpy as np
import pytest

from dlrecipes.metrics.segmentation import segmentation_scores

RNG = np.random.default_rng(2)


def test_scores_match_a_count_of_pixels():
    truth, predicted = RNG.integers(0, 4, (2, 9, 7)), RNG.integers(0, 4, (2, 9, 7))
    scores = segmentation_scores(truth, predicted, 6)
    assert scores["pixel_accuracy"] == pytest.approx(np.mean(truth == predicted))
    accuracies, overlaps = [], []
    for name in range(4):
        both = np.sum((truth == name) & (predicted == name))
        accuracies.append(both / np.sum(truth == name))
        overlaps.append(both / np.sum((truth == name) | (predicted == name)))
    assert scores["class_accuracy"] == pytest.approx(np.mean(accuracies))
    assert scores["class_iou"] == pytest.approx(np.mean(overlaps))


def test_absent_class_is_left_out_of_the_mean_but_its_predictions_are_errors():
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    scores = segmentation_scores(truth, predicted, 3)
    # One of the two pixels of class 0 is correct, and no other pixel is predicted as class 0.
    assert scores["class_iou"] == pytest.approx((1 / 2 + 1) / 2)
    assert segmentation_scores(truth, truth, 3) == dict.fromkeys(scores, 1.0)


@pytest.mark.parametrize(
    "truth, predicted, message",
    [
        ([0, 1], [0], "the same shape"),
        ([], [], "not be empty"),
        ([0, 3], [0, 1], "from 0 to 2"),
        ([0, 1], [0, -1], "from 0 to 2"),
    ],
)
def test_invalid_maps_are_rejected(truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        segmentation_scores(np.array(truth, int), np.array(predicted, int), 3)
