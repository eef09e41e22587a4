"""Boxes are drawn in the graph as Pillow draws them for figures."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageColor

from dlrecipes.export.box_drawing import BoxPainter
from dlrecipes.figures import box_colours, draw_boxes

LONG = "a name that is so long that it does not fit on a small image"
NAMES = ("cat", "größer", "北京", LONG)


@pytest.fixture(scope="module")
def paint():
    specs = [
        tf.TensorSpec([None, None, 3], tf.uint8),
        tf.TensorSpec([None, 4], tf.float32),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None], tf.float32),
    ]
    return tf.function(BoxPainter(NAMES), input_signature=specs)


def scene(height, width, count, seed=0):
    """An image, and boxes of all sizes that overlap and cross its border."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), "uint8")
    corner = rng.uniform(-0.1, 0.9, (count, 2)) * (width, height)
    side = rng.uniform(0.02, 0.5, (count, 2)) * (width, height)
    boxes = np.concatenate([corner, corner + side], axis=-1).astype("float32")
    scores = np.sort(rng.uniform(0, 1, count).astype("float32"))[::-1].copy()
    return image, boxes, rng.integers(0, len(NAMES), count).astype("int32"), scores


def by_pillow(image, boxes, classes, scores):
    labels = [NAMES[kind] for kind in classes]
    drawn = draw_boxes(Image.fromarray(image), boxes, labels, scores, box_colours(NAMES))
    return np.asarray(drawn)


@pytest.mark.parametrize(("height", "width"), [(300, 420), (900, 700)])
def test_lines_and_labels_are_where_pillow_draws_them(paint, height, width):
    for seed in range(2):
        image, boxes, classes, scores = scene(height, width, 9, seed)
        drawn = paint(image, boxes, classes, scores).numpy()
        expected = by_pillow(image, boxes, classes, scores)
        changed, other = (drawn != image).any(axis=-1), (expected != image).any(axis=-1)
        # Letters are scaled, so that a label may be a pixel wider or narrower.
        assert np.mean(changed != other) < 0.01
        same = (drawn == expected).all(axis=-1)
        assert np.mean(same) > 0.85


def test_lines_alone_are_the_same(paint):
    # On an image that is lower than a line of letters there are no labels.
    image, boxes, classes, scores = scene(12, 200, 6)
    drawn = paint(image, boxes, classes, scores).numpy()
    np.testing.assert_array_equal(drawn, by_pillow(image, boxes, classes, scores))
    assert (drawn != image).any()


def test_lines_are_at_least_two_pixels_wide(paint):
    image = np.full((60, 60, 3), 255, "uint8")
    drawn = paint(image, [[10.0, 20.0, 50.0, 50.0]], [0], [0.5]).numpy()
    colour = ImageColor.getrgb(box_colours(NAMES)["cat"])
    column = (drawn[35] == colour).all(axis=-1)
    assert np.flatnonzero(column).tolist() == [10, 11, 48, 49]


@pytest.mark.parametrize("kind", range(len(NAMES)))
def test_names_of_any_language_are_written(paint, kind):
    image = np.full((240, 320, 3), 255, "uint8")
    box = np.array([[20, 80, 200, 200]], "float32")
    drawn = paint(image, box, [kind], [0.87]).numpy()
    expected = by_pillow(image, box, [kind], [0.87])
    label = slice(50, 80)
    assert np.abs(drawn[label].astype(int) - expected[label]).mean() < 30
    another = paint(image, box, [kind], [0.12]).numpy()
    assert (drawn[label] != another[label]).any()


def test_no_box_and_boxes_outside_leave_the_image_as_it_is(paint):
    image, boxes, classes, scores = scene(50, 60, 2)
    none = (boxes[:0], classes[:0], scores[:0])
    np.testing.assert_array_equal(paint(image, *none), image)
    outside = np.array([[-20, 0, -5, 30], [60, 0, 80, 30]], "float32")
    np.testing.assert_array_equal(paint(image, outside, classes, scores), image)


def test_a_tiny_image_is_drawn_on(paint):
    image = np.zeros((3, 2, 3), "uint8")
    drawn = paint(image, [[0.0, 0.0, 2.0, 3.0]], [0], [0.9]).numpy()
    np.testing.assert_array_equal(drawn, by_pillow(image, np.array([[0, 0, 2, 3]]), [0], [0.9]))
