"""Both operations of TensorFlow keep the boxes that the greedy algorithm keeps."""

import numpy as np
import pytest
from contract import on_tensorflow

MOST, NAN = 40, np.nan


def iou(a, b):
    sides = [max(0.0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1)]
    both = sides[0] * sides[1]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return both / (sum(areas) - both) if both > 0 else 0.0


def has_area(box):
    return bool(box[2] > box[0] and box[3] > box[1])


def greedy(boxes, eligible, threshold):
    """The greedy algorithm for boxes by decreasing score, box by box."""
    left, kept = [k for k in range(len(boxes)) if eligible[k]], []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [
            k
            for k in left
            if not (has_area(boxes[best]) and has_area(boxes[k]))
            or iou(boxes[best], boxes[k]) <= threshold
        ]
    return kept


@pytest.fixture(params=["operation for each image", "operation for the batch"])
def kept(request):
    """Ranks of the kept boxes of each image, by each operation."""
    from dlrecipes.layers import _greedy_suppression as operations

    def call(boxes, eligible, threshold):
        if request.param == "operation for each image":
            ranks = operations.kept_ranks(boxes, eligible, None, None, threshold, MOST)
        else:
            ranks = operations.kept_ranks_of_batch(boxes, eligible, threshold, MOST)
        return [[int(rank) for rank in row if rank >= 0] for row in ranks.numpy()]

    return call


@on_tensorflow
@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5])
def test_kept_boxes_equal_the_greedy_loop(kept, threshold):
    # Whole numbers make overlaps equal to the threshold, and boxes without area.
    rng = np.random.default_rng(0)
    corner, side = rng.integers(0, 4, (6, MOST, 2)), rng.integers(-1, 5, (6, MOST, 2))
    boxes = np.concatenate([corner, corner + side], axis=-1).astype("float32")
    eligible = rng.uniform(size=(6, MOST)) < 0.9
    expected = [greedy(*image, threshold) for image in zip(boxes, eligible, strict=True)]
    overlaps = [iou(a, b) for image in boxes for a in image for b in image if has_area(a)]
    assert threshold in overlaps
    assert not all(has_area(box) for image in boxes for box in image)
    assert kept(boxes, eligible, threshold) == expected


@on_tensorflow
def test_equal_boxes_keep_the_first_one_and_boxes_without_area_keep_all(kept):
    box, point, line, swapped = [2, 3, 9, 8], [4, 4, 4, 4], [1, 1, 6, 1], [9, 8, 2, 3]
    boxes = np.array([[box, point, box, line, swapped, point, swapped, box]], "float32")
    assert kept(boxes, np.ones((1, 8), bool), 0.5) == [[0, 1, 3, 4, 5, 6]]


@on_tensorflow
def test_boxes_with_nan_remove_no_other_box(kept):
    boxes = np.array([[[NAN, 0, 4, 4], [0, 0, 4, 4], [NAN] * 4, [0, 0, 4, 3]]], "float32")
    assert kept(boxes, np.ones((1, 4), bool), 0.5) == [[0, 1, 2]]


@on_tensorflow
def test_images_without_an_eligible_box_keep_none(kept):
    boxes = np.array([[[0, 0, 4, 4]] * 3, [[0, 0, 4, 4]] * 3], "float32")
    eligible = np.array([[False] * 3, [False, True, True]])
    assert kept(boxes, eligible, 0.5) == [[], [1]]
