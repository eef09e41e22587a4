"""Segmentation scores against counting by hand."""

import numpy as np
import pytest

from dlrecipes.metrics.segmentation import segmentation_scores

RNG = np.random.default_rng(2)


def test_scores_are_those_of_counting_pixels():
    truth, found = RNG.integers(0, 4, (2, 9, 7)), RNG.integers(0, 4, (2, 9, 7))
    scores = segmentation_scores(truth, found, 6)
    assert scores["pixel_accuracy"] == pytest.approx(np.mean(truth == found))
    shares, overlaps = [], []
    for name in range(4):
        both = np.sum((truth == name) & (found == name))
        shares.append(both / np.sum(truth == name))
        overlaps.append(both / np.sum((truth == name) | (found == name)))
    assert scores["class_accuracy"] == pytest.approx(np.mean(shares))
    assert scores["class_iou"] == pytest.approx(np.mean(overlaps))


def test_a_class_that_does_not_occur_is_left_out_but_costs_where_it_is_told():
    truth, found = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    scores = segmentation_scores(truth, found, 3)
    # Of the first class one of two is found, and nothing else is taken for it.
    assert scores["class_iou"] == pytest.approx((1 / 2 + 1) / 2)
    assert segmentation_scores(truth, truth, 3) == dict.fromkeys(scores, 1.0)


@pytest.mark.parametrize(
    "truth, found, message",
    [
        ([0, 1], [0], "of one shape"),
        ([], [], "not empty"),
        ([0, 3], [0, 1], "from 0 to 2"),
        ([0, 1], [0, -1], "from 0 to 2"),
    ],
)
def test_what_cannot_be_scored_is_refused(truth, found, message):
    with pytest.raises(ValueError, match=message):
        segmentation_scores(np.array(truth, int), np.array(found, int), 3)
