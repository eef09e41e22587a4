import keras
import numpy as np
import pytest

from dlrecipes.layers import BoxCoder

RNG = np.random.default_rng(0)
DEVIATIONS = (0.1, 0.1, 0.2, 0.2)


def random_boxes(*shape):
    corner, side = RNG.uniform(0, 300, (*shape, 2)), RNG.uniform(5, 200, (*shape, 2))
    return np.concatenate([corner, corner + side], axis=-1).astype("float32")


def equation_2(boxes, anchors):
    """The four equations of the paper, number by number."""

    def parts(box):
        left, top, right, bottom = box
        return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top

    deltas = []
    for box, anchor in zip(boxes, anchors, strict=True):
        (x, y, w, h), (x_a, y_a, w_a, h_a) = parts(box), parts(anchor)
        deltas.append([(x - x_a) / w_a, (y - y_a) / h_a, np.log(w / w_a), np.log(h / h_a)])
    return np.array(deltas)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_deltas_equal_the_equations():
    boxes, anchors = random_boxes(20), random_boxes(20)
    expected = equation_2(boxes.astype("float64"), anchors.astype("float64"))
    np.testing.assert_allclose(numpy(BoxCoder().encode(boxes, anchors)), expected, atol=1e-5)
    scaled = numpy(BoxCoder(DEVIATIONS).encode(boxes, anchors))
    np.testing.assert_allclose(scaled, expected / DEVIATIONS, atol=1e-4)


@pytest.mark.parametrize("deviations", [(1, 1, 1, 1), DEVIATIONS])
def test_decoding_inverts_encoding(deviations):
    coder, boxes, anchors = BoxCoder(deviations), random_boxes(2, 20), random_boxes(20)
    decoded = numpy(coder(coder.encode(boxes, anchors), anchors))
    # Coordinates are up to 500, where neighbouring float32 numbers are 3e-5 apart.
    np.testing.assert_allclose(decoded, boxes, atol=5e-4)


def test_each_class_may_have_its_own_deltas():
    anchors, deltas = random_boxes(2, 5), RNG.normal(size=(2, 5, 3, 4)).astype("float32")
    coder = BoxCoder()
    boxes = numpy(coder(deltas, anchors[:, :, None]))
    assert boxes.shape == coder.compute_output_shape((2, 5, 3, 4), (2, 5, 1, 4)) == (2, 5, 3, 4)
    for kind in range(3):
        alone = numpy(coder(deltas[:, :, kind], anchors))
        np.testing.assert_allclose(boxes[:, :, kind], alone, rtol=1e-6)


def test_boxes_do_not_exceed_the_largest_ratio():
    anchor = np.array([[10.0, 10, 20, 30]], "float32")
    deltas = np.array([[0, 0, 500, 500]], "float32")
    left, top, right, bottom = numpy(BoxCoder(DEVIATIONS, max_ratio=8.0)(deltas, anchor))[0]
    np.testing.assert_allclose([right - left, bottom - top], [80, 160], rtol=1e-5)
    left, _, right, _ = numpy(BoxCoder()(deltas, anchor))[0]
    np.testing.assert_allclose(right - left, 10 * 1000 / 16, rtol=1e-5)


def test_boxes_are_clipped_to_the_image():
    anchors = np.array([[-5.0, -7, 50, 60], [3, 4, 5, 6], [70, 70, 90, 90]], "float32")
    image = np.zeros((1, 40, 30, 3), "float32")
    boxes = numpy(BoxCoder()(np.zeros((1, 3, 4), "float32"), anchors, image))[0]
    np.testing.assert_allclose(boxes, [[0, 0, 30, 40], [3, 4, 5, 6], [30, 40, 30, 40]], atol=1e-5)


@pytest.mark.parametrize("deviations", [(1, 1), (1, 1, 1, 0)])
def test_invalid_deviations_raise(deviations):
    with pytest.raises(ValueError, match="deviations must be four"):
        BoxCoder(deviations)


def test_invalid_ratio_raises():
    with pytest.raises(ValueError, match="max_ratio must be above 0"):
        BoxCoder(max_ratio=0)
