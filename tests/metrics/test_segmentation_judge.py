"""A judge that learned from real photographs recognizes the parts of others."""

import numpy as np
import pytest

from dlrecipes.data.generated.facades import CLASSES, generated_facades
from dlrecipes.metrics.segmentation import segmentation_scores
from dlrecipes.metrics.segmentation_judge import SegmentationJudge


def test_each_pixel_has_a_class():
    maps, photographs = generated_facades(23, seed=1, size=32)
    judge = SegmentationJudge.fit(photographs, maps, len(CLASSES), steps=1)
    classes = judge.classes(photographs)
    assert (classes.dtype, classes.shape) == (np.uint8, (23, 32, 32))
    assert classes.max() < len(CLASSES)


@pytest.mark.slow
def test_a_trained_judge_segments_new_photographs():
    maps, photographs = generated_facades(140, seed=1, size=64)
    judge = SegmentationJudge.fit(photographs[:120], maps[:120], len(CLASSES), seed=0)
    scores = segmentation_scores(maps[120:], judge.classes(photographs[120:]), len(CLASSES))
    # Wall alone would give the fraction of the wall, a little above half.
    assert scores["pixel_accuracy"] > 0.8
    assert scores["class_iou"] > 0.45
