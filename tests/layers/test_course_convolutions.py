"""Worked examples of convolution from courses, computed by the layers."""

import keras
import numpy as np
import pytest

from dlrecipes.layers import FixedKernelConv2D


def grid(text):
    """A matrix written as rows separated by slashes."""
    return np.array([[int(number) for number in row.split()] for row in text.split("/")])


def by_hand(x, kernel, stride=1):
    """The cross-correlation of one image with one kernel, in loops."""
    rows, columns = ((n - f) // stride + 1 for n, f in zip(x.shape, kernel.shape, strict=True))
    y = np.zeros((rows, columns), int)
    for i in range(rows):
        for j in range(columns):
            for p in range(kernel.shape[0]):
                for q in range(kernel.shape[1]):
                    y[i, j] += x[i * stride + p, j * stride + q] * kernel[p, q]
    return y


def filtered(x, kernel, stride=1):
    """The same by our layer and by Keras', which must agree."""
    image = x[None, :, :, None].astype("float32")
    convolution = keras.layers.Conv2D(1, kernel.shape, stride, use_bias=False)
    convolution.build(image.shape)
    convolution.kernel.assign(kernel[:, :, None, None])
    y = np.array(convolution(image))
    np.testing.assert_array_equal(np.array(FixedKernelConv2D(kernel, stride)(image)), y)
    return y[0, :, :, 0]


STRIDED = grid(
    "2 3 7 4 6 2 9 / 6 6 9 8 7 4 3 / 3 4 8 3 8 9 7 / 7 8 3 6 6 3 4 / 4 2 1 8 3 4 6"
    "/ 3 2 4 1 9 8 3 / 0 1 3 9 2 1 4"
)
FILTER = grid("3 4 4 / 1 0 2 / -1 0 3")


def test_stride_of_two_over_the_image_of_the_course():
    expected = grid("91 100 88 / 69 91 117 / 44 72 74")
    np.testing.assert_array_equal(by_hand(STRIDED, FILTER, 2), expected)
    np.testing.assert_array_equal(filtered(STRIDED, FILTER, 2), expected)


def test_stride_of_two_gives_the_printed_numbers_for_a_corrected_image():
    # The printed result for the image above is 91 100 83 / 69 91 127 / 44 71 (or 72) 74. Three
    # numbers are misprints: the upper right one is 18 + 8 + 36 + 7 + 6 - 8 + 21 = 88, below it is
    # 24 + 36 + 28 + 6 + 8 - 3 + 18 = 117, and the lower middle 3 + 32 + 12 + 4 + 18 - 3 + 6 = 72.
    expected = grid("91 100 83 / 69 91 127 / 44 71 74")
    # An image with five other numbers gives the printed result. The first two change the upper
    # right by 4 * -2 + 3 * 1 = -5; the second and third change the number below it by
    # 4 * 1 + 2 * 3 = 10; the last two change the lower middle by -1 * 1 and the lower left by
    # 3 * 1 - 1 * 3 = 0.
    image = STRIDED.copy()
    image[0, 6], image[2, 6], image[3, 6] = 9 - 2, 7 + 1, 4 + 3
    image[6, 2], image[6, 0] = 3 + 1, 0 + 3
    np.testing.assert_array_equal(by_hand(image, FILTER, 2), expected)
    np.testing.assert_array_equal(filtered(image, FILTER, 2), expected)


def test_vertical_edge_of_a_step():
    step = np.array([[10, 10, 10, 0, 0, 0]] * 6)
    expected = np.array([[0, 30, 30, 0]] * 4)
    kernel = np.array([[1, 0, -1]] * 3)
    np.testing.assert_array_equal(by_hand(step, kernel), expected)
    np.testing.assert_array_equal(filtered(step, kernel), expected)
    np.testing.assert_array_equal(filtered(step[:, ::-1], kernel), -expected)
    named = FixedKernelConv2D("prewitt_vertical")(step[None, :, :, None].astype("float32"))
    np.testing.assert_array_equal(np.array(named)[0, :, :, 0], expected)


IMAGE = grid("1 0 0 0 0 1 / 0 1 0 0 1 0 / 0 0 1 1 0 0 / 1 0 0 0 1 0 / 0 1 0 0 1 0 / 0 0 1 0 1 0")


@pytest.mark.parametrize(
    "kernel, feature_map, pooled",
    [
        (
            "1 -1 -1 / -1 1 -1 / -1 -1 1",
            "3 -1 -3 -1 / -3 1 0 -3 / -3 -3 0 1 / 3 -2 -2 -1",
            "3 0 / 3 1",
        ),
        (
            "-1 1 -1 / -1 1 -1 / -1 1 -1",
            "-1 -1 -1 -1 / -1 -1 -2 1 / -1 -1 -2 1 / -1 0 -4 3",
            "-1 1 / 0 3",
        ),
    ],
    ids=["diagonal", "vertical"],
)
def test_feature_maps_of_an_image_and_their_maxima(kernel, feature_map, pooled):
    expected = grid(feature_map)
    np.testing.assert_array_equal(by_hand(IMAGE, grid(kernel)), expected)
    y = filtered(IMAGE, grid(kernel))
    np.testing.assert_array_equal(y, expected)
    largest = keras.layers.MaxPooling2D(2)(y[None, :, :, None])
    np.testing.assert_array_equal(np.array(largest)[0, :, :, 0], grid(pooled))


@pytest.mark.parametrize("n", [5, 8])
@pytest.mark.parametrize("p", [0, 1, 2])
@pytest.mark.parametrize("f", [1, 2, 3, 5])
@pytest.mark.parametrize("s", [1, 2, 3])
def test_output_size_equals_the_formula(n, p, f, s):
    size = (n + 2 * p - f) // s + 1
    # The formula counts the positions where the filter starts.
    assert size == len(
        [start for start in range(n + 2 * p) if start % s == 0 and start + f <= n + 2 * p]
    )
    padded = keras.layers.ZeroPadding2D(p)(np.ones((1, n, n, 1), "float32"))
    for layer in (
        keras.layers.Conv2D(1, f, s),
        keras.layers.MaxPooling2D(f, s),
        FixedKernelConv2D(np.ones((f, f)), s),
    ):
        assert tuple(layer(padded).shape) == (1, size, size, 1)


def test_overlapping_pooling_of_alexnet():
    x = np.zeros((1, 55, 55, 1), "float32")
    for expected in (27, 13, 6):
        x = keras.layers.MaxPooling2D(3, strides=2)(x)
        assert tuple(x.shape) == (1, expected, expected, 1)


def test_overlapping_windows_share_their_border():
    row = np.array([1, 2, 9, 4, 5], "float32").reshape(1, 1, 5, 1)
    shared = keras.layers.MaxPooling2D((1, 3), strides=(1, 2))(row)
    np.testing.assert_array_equal(np.array(shared)[0, 0, :, 0], [9, 9])


def test_shifting_the_image_shifts_its_feature_map():
    rng = np.random.default_rng(0)
    image = np.zeros((1, 12, 12, 2), "float32")
    image[:, 4:8, 3:7] = rng.normal(size=(1, 4, 4, 2))
    moved = np.roll(image, (2, -1), axis=(1, 2))
    convolution = keras.layers.Conv2D(3, 3, padding="same")
    y, y_moved = np.array(convolution(image)), np.array(convolution(moved))
    np.testing.assert_allclose(y_moved, np.roll(y, (2, -1), axis=(1, 2)), atol=1e-6)
    # After a stride of 2 this holds only for even shifts, since odd ones reach other positions.
    halved = keras.layers.MaxPooling2D(2)
    even = np.array(halved(np.roll(y, 2, axis=1)))
    np.testing.assert_array_equal(even, np.roll(np.array(halved(y)), 1, axis=1))
    odd = np.array(halved(np.roll(y, 1, axis=1)))
    assert all(np.any(odd != np.roll(np.array(halved(y)), step, axis=1)) for step in range(6))
