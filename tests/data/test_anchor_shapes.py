"""Suggested anchors are those of known clusters, and suit unusual boxes better than defaults."""

import time

import numpy as np
import pytest

from dlrecipes.data.anchor_shapes import suggest_anchors
from dlrecipes.layers import AnchorBoxes


def grid(sizes, ratios):
    """Returns widths and heights of the anchors that a layer makes at one position."""
    boxes = np.asarray(AnchorBoxes(sizes, ratios, stride=1)(np.zeros((1, 1, 1, 1), "float32")))
    return boxes[:, 2:] - boxes[:, :2]


def mean_best_iou(boxes, anchors):
    """Returns the mean IoU with the best anchor, box by box."""
    best = []
    for width, height in boxes:
        values = []
        for other_width, other_height in anchors:
            common = min(width, other_width) * min(height, other_height)
            values.append(common / (width * height + other_width * other_height - common))
        best.append(max(values))
    return np.mean(best)


@pytest.mark.parametrize(
    "sizes, ratios",
    [((16, 40, 120), (0.5, 1, 2)), ((20, 60), (0.2, 0.4, 3)), ((30,), (1,)), ((9, 33), (5,))],
)
def test_known_clusters_are_found(sizes, ratios):
    rng = np.random.default_rng(0)
    boxes = np.repeat(grid(sizes, ratios), 60, axis=0)
    boxes = boxes * np.exp(rng.uniform(-0.08, 0.08, boxes.shape))
    shapes = suggest_anchors(boxes, len(sizes), len(ratios))
    np.testing.assert_allclose(shapes.sizes, sizes, rtol=0.04)
    np.testing.assert_allclose(shapes.ratios, ratios, rtol=0.06)
    # Sides that differ by 4 % on average leave an IoU of about 0.96 * 0.96.
    assert shapes.mean_iou > 0.9


def test_the_mean_iou_belongs_to_the_anchors_that_the_layer_makes():
    boxes = np.random.default_rng(1).uniform(5, 90, (200, 2))
    shapes = suggest_anchors(boxes, 2, 3)
    expected = mean_best_iou(boxes, grid(shapes.sizes, shapes.ratios))
    assert shapes.mean_iou == pytest.approx(expected, abs=1e-5)
    assert (len(shapes.sizes), len(shapes.ratios)) == (2, 3)
    assert list(shapes.sizes) == sorted(shapes.sizes)
    # The grid is at least as good as those around it.
    for sizes, ratios in [
        (np.multiply(shapes.sizes, factor), np.multiply(shapes.ratios, other))
        for factor in (0.95, 1, 1.05)
        for other in (0.95, 1, 1.05)
    ]:
        assert mean_best_iou(boxes, grid(sizes, ratios)) < shapes.mean_iou + 0.003


def test_elongated_boxes_get_better_anchors_than_the_defaults():
    rng = np.random.default_rng(2)
    length = np.exp(rng.uniform(np.log(40), np.log(250), 500))
    boxes = np.stack([length, length / rng.uniform(4, 9, 500)], axis=1)
    shapes = suggest_anchors(boxes)
    defaults = AnchorBoxes()
    assert mean_best_iou(boxes, grid(defaults.sizes, defaults.ratios)) < 0.35
    # The defaults' ratios do not suit them with any sizes.
    same_ratios = grid(shapes.sizes, defaults.ratios)
    assert shapes.mean_iou > 0.7 > mean_best_iou(boxes, same_ratios) + 0.1
    assert max(shapes.ratios) < 0.3


def test_more_shapes_suit_better():
    boxes = np.exp(np.random.default_rng(3).normal(4, 0.6, (3000, 2)))
    values = [suggest_anchors(boxes, count, count).mean_iou for count in (1, 2, 3, 4)]
    assert values == sorted(values) and values[-1] > values[0] + 0.2


def test_equal_boxes_give_one_shape():
    shapes = suggest_anchors(np.full((50, 2), 32.0))
    assert shapes == ((32.0,), (1.0,), 1.0)


def test_the_result_depends_on_boxes_and_seed_alone_and_not_on_their_scale():
    boxes = np.exp(np.random.default_rng(4).normal(3, 0.5, (2000, 2)))
    shapes = suggest_anchors(boxes, seed=1)
    assert suggest_anchors(boxes[::-1], seed=1) == shapes
    large = suggest_anchors(10 * boxes, seed=1)
    np.testing.assert_allclose(large.sizes, 10 * np.array(shapes.sizes), rtol=0.1)
    assert large.mean_iou == pytest.approx(shapes.mean_iou, abs=0.005)


def test_a_hundred_thousand_boxes_take_a_second():
    boxes = np.exp(np.random.default_rng(5).normal(4, 1.0, (100_000, 2)))
    start = time.process_time()
    suggest_anchors(boxes)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sizes": np.zeros((0, 2))}, r"sizes must be of shape \(boxes, 2\), not \(0, 2\)"),
        ({"sizes": [[1, 2, 3, 4]]}, r"not \(1, 4\)"),
        ({"sizes": [[0, 5]]}, "above 0"),
        ({"sizes": [[3, float("nan")]]}, "above 0"),
        ({"num_sizes": 0}, "num_sizes must be at least 1, not 0"),
        ({"num_ratios": 0}, "num_ratios must be at least 1"),
    ],
)
def test_wrong_arguments_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        suggest_anchors(**{"sizes": [[3, 4]], **arguments})
