import keras
import numpy as np
import pytest

from dlrecipes.layers import ReflectionPadding2D

X = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")


def by_hand(x, top, bottom, left, right):
    _, height, width, _ = x.shape

    def mirrored(index, size):
        if index < 0:
            return -index
        return index if index < size else 2 * (size - 1) - index

    rows = [mirrored(i, height) for i in range(-top, height + bottom)]
    columns = [mirrored(j, width) for j in range(-left, width + right)]
    return np.stack([x[:, i][:, columns] for i in rows], axis=1)


@pytest.mark.parametrize(
    "padding, sides",
    [
        (0, (0, 0, 0, 0)),
        (1, (1, 1, 1, 1)),
        ((1, 2), (1, 1, 2, 2)),
        (((3, 0), (1, 4)), (3, 0, 1, 4)),
        ([[0, 1], [2, 0]], (0, 1, 2, 0)),
    ],
)
def test_padding_is_the_mirror_image(padding, sides):
    layer = ReflectionPadding2D(padding)
    y = np.array(layer(X))
    np.testing.assert_array_equal(y, by_hand(X, *sides))
    assert layer.compute_output_shape(X.shape) == y.shape


@pytest.mark.parametrize("padding", [1, (1, 2), ((3, 0), (1, 4))])
def test_output_sizes_equal_zero_padding(padding):
    shape = (None, None, 5, 3)
    expected = keras.layers.ZeroPadding2D(padding).compute_output_shape(shape)
    assert ReflectionPadding2D(padding).compute_output_shape(shape) == expected


def test_convolution_after_padding_keeps_size_and_flat_images_flat():
    # Padding with zeros would darken the border.
    mean = keras.layers.DepthwiseConv2D(3, depthwise_initializer="ones")
    y = np.array(mean(ReflectionPadding2D(1)(np.ones((1, 4, 5, 3), "float32"))))
    np.testing.assert_allclose(y, np.full((1, 4, 5, 3), 9.0), rtol=1e-6)


@pytest.mark.parametrize("padding, message", [((4, 0), "height, 4, not 4"), (5, "height, 4")])
def test_padding_as_large_as_the_image_raises(padding, message):
    with pytest.raises(ValueError, match=message):
        ReflectionPadding2D(padding)(X)
    with pytest.raises(ValueError, match="width, 5, not 5"):
        ReflectionPadding2D((0, 5))(keras.Input((None, 5, 3)))


@pytest.mark.parametrize("padding", [-1, 1.5, "1", None, (1, 2, 3), ((1, 2), (1, -1)), (1, (2,))])
def test_malformed_padding_raises(padding):
    with pytest.raises(ValueError, match="padding must be an integer of at least 0"):
        ReflectionPadding2D(padding)
