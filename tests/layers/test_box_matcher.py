import keras
import numpy as np
import pytest

from dlrecipes.layers import BoxMatcher


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union > 0 else 0.0


def by_hand(boxes, objects, positive, negative, every, extent=None):
    """Labels and indices of the boxes of one image, rule by rule."""
    inside = [
        extent is None or (min(box[:2]) >= 0 and box[2] <= extent[0] and box[3] <= extent[1])
        for box in boxes
    ]
    overlap = np.array([[iou(box, target) for target in objects] for box in boxes])
    overlap[~np.array(inside)] = 0
    labels = []
    for row, valid in zip(overlap, inside, strict=True):
        label = 1 if max(row) >= positive else 0 if max(row) < negative else -1
        for column, value in enumerate(row):
            if every and value > 0 and value == overlap[:, column].max():
                label = 1
        labels.append(label if valid else -1)
    return labels, overlap.argmax(axis=1).tolist()


def random_boxes(rng, *shape):
    corner, side = rng.uniform(0, 40, (*shape, 2)), rng.uniform(5, 30, (*shape, 2))
    return np.concatenate([corner, corner + side], axis=-1).astype("float32")


def numpy(outputs):
    return {name: keras.ops.convert_to_numpy(y) for name, y in outputs.items()}


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("extent", [None, (55, 50)])
@pytest.mark.parametrize("batched", [True, False])
def test_labels_equal_the_rules_applied_one_by_one(every, extent, batched):
    rng = np.random.default_rng(0)
    objects = random_boxes(rng, 2, 3)
    boxes = random_boxes(rng, 2, 150) if batched else random_boxes(rng, 150)
    image = None if extent is None else np.zeros((2, extent[1], extent[0], 1), "float32")
    matched = numpy(BoxMatcher(0.4, 0.2, every)(boxes, objects, image))
    for index in range(2):
        own = boxes[index] if batched else boxes
        expected = by_hand(own, objects[index], 0.4, 0.2, every, extent)
        assert matched["labels"][index].tolist() == expected[0]
        assert set(expected[0]) == {-1, 0, 1}
        assert matched["indices"][index].tolist() == expected[1]
        np.testing.assert_array_equal(matched["boxes"][index], objects[index][expected[1]])


def test_an_object_without_a_good_box_is_matched_with_the_best_one():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [20, 20, 30, 30]], "float32")
    objects = np.array([[[0, 0, 10, 2]]], "float32")
    # The overlaps are 0.2, 0.4 and 0.
    assert numpy(BoxMatcher()(boxes, objects))["labels"].tolist() == [[0, 1, 0]]
    alone = BoxMatcher(match_every_object=False)(boxes, objects)
    assert numpy(alone)["labels"].tolist() == [[0, -1, 0]]


def test_boxes_that_overlap_an_object_equally_are_all_positive():
    boxes = np.array([[0, 0, 10, 5], [0, 5, 10, 10], [20, 20, 30, 30]], "float32")
    objects = np.array([[[0, 0, 10, 10]]], "float32")
    assert numpy(BoxMatcher()(boxes, objects))["labels"].tolist() == [[1, 1, 0]]


def test_padding_matches_nothing():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 1, 1]], "float32")
    padding = np.zeros((1, 2, 4), "float32")
    matched = numpy(BoxMatcher(0.0, 0.0)(boxes, padding))
    assert matched["labels"].tolist() == [[-1, -1]]
    assert numpy(BoxMatcher()(boxes, padding))["labels"].tolist() == [[0, 0]]


@pytest.mark.parametrize("thresholds", [(None,), ("0.7",), (0.7, None), (0.7, np.nan)])
def test_thresholds_that_are_not_numbers_raise(thresholds):
    with pytest.raises(ValueError, match="_threshold must be a number"):
        BoxMatcher(*thresholds)


@pytest.mark.parametrize("thresholds", [(0.3, 0.7), (1.2, 0.3), (0.5, -0.1)])
def test_thresholds_out_of_order_or_bounds_raise(thresholds):
    with pytest.raises(ValueError, match="thresholds must satisfy"):
        BoxMatcher(*thresholds)


def test_boxes_of_ignored_objects_are_neither_positive_nor_negative():
    objects = np.array([[[0, 0, 10, 10], [20, 0, 60, 40], [1, 0, 11, 10]]], "float32")
    ignored = np.array([[False, True, True]])
    cases = {
        (0, 0, 10, 10): 1,
        # It overlaps the first object by 0.82, but the third one by 1.
        (1, 0, 11, 10): -1,
        # It lies within the second object, with an overlap of 1 / 16 only.
        (30, 10, 40, 20): -1,
        # A part of 0.2 lies within the second object, less than 0.3; of the next one, 0.8.
        (12, 30, 22, 40): 0,
        (18, 30, 28, 40): -1,
        (70, 70, 80, 80): 0,
    }
    boxes = np.array(list(cases), "float32")
    labels = numpy(BoxMatcher()(boxes, objects, None, ignored))["labels"]
    assert labels[0].tolist() == list(cases.values())
    # Without ignored objects, the boxes that overlap an object most are positive.
    counted = numpy(BoxMatcher()(boxes, objects))["labels"]
    assert counted[0].tolist() == [1, 1, 1, 0, 0, 0]


def test_nothing_ignored_changes_nothing():
    rng = np.random.default_rng(0)
    boxes, objects = random_boxes(rng, 2, 50), random_boxes(rng, 2, 3)
    expected = numpy(BoxMatcher()(boxes, objects))
    actual = numpy(BoxMatcher()(boxes, objects, None, np.zeros((2, 3), bool)))
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value)
