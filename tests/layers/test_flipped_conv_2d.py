import keras
import numpy as np
import pytest

from dlrecipes.layers import FlippedConv2D

RNG = np.random.default_rng(0)


def convolved(x, w):
    """The mathematical definition of the full convolution: sum of x[m, n] w[i - m, j - n]."""
    height, width = x.shape[0] + w.shape[0] - 1, x.shape[1] + w.shape[1] - 1
    y = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            for m in range(x.shape[0]):
                for n in range(x.shape[1]):
                    if 0 <= i - m < w.shape[0] and 0 <= j - n < w.shape[1]:
                        y[i, j] += x[m, n] * w[i - m, j - n]
    return y


def by_layer(x, w, whole=False):
    """One image and one kernel through the layer; `whole` pads for the full convolution."""
    if whole:
        x = np.pad(x, [(size - 1, size - 1) for size in w.shape])
    layer = FlippedConv2D(1, w.shape, use_bias=False)
    layer.build((None, *x.shape, 1))
    layer.kernel.assign(w[:, :, None, None])
    return np.array(layer(x[None, :, :, None].astype("float32")))[0, :, :, 0]


@pytest.mark.parametrize("size", [(3, 3), (2, 3), (1, 4)])
def test_outputs_equal_the_mathematical_definition(size):
    x, w = RNG.normal(size=(5, 6)), RNG.normal(size=size)
    whole = convolved(x, w)
    np.testing.assert_allclose(by_layer(x, w, whole=True), whole, atol=1e-5)
    # Positions where the kernel lies within the image.
    inside = whole[size[0] - 1 : x.shape[0], size[1] - 1 : x.shape[1]]
    np.testing.assert_allclose(by_layer(x, w), inside, atol=1e-5)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"strides": 2, "padding": "same"},
        {"dilation_rate": 2},
        {"groups": 2},
        {"activation": "tanh", "bias_initializer": "random_normal"},
    ],
)
def test_it_equals_keras_conv2d_with_a_flipped_kernel(kwargs):
    x = RNG.normal(size=(2, 7, 8, 4)).astype("float32")
    ours, theirs = FlippedConv2D(6, (3, 2), **kwargs), keras.layers.Conv2D(6, (3, 2), **kwargs)
    ours.build(x.shape)
    theirs.build(x.shape)
    theirs.kernel.assign(np.array(ours.kernel)[::-1, ::-1])
    theirs.bias.assign(ours.bias)
    np.testing.assert_allclose(np.array(ours(x)), np.array(theirs(x)), atol=1e-5)


def test_impulse_returns_the_kernel():
    impulse = np.zeros((5, 5))
    impulse[2, 2] = 1
    w = RNG.normal(size=(3, 3))
    np.testing.assert_allclose(by_layer(impulse, w), w, atol=1e-6)
    correlation = keras.layers.Conv2D(1, 3, use_bias=False)
    correlation.build((None, 5, 5, 1))
    correlation.kernel.assign(w[:, :, None, None])
    y = np.array(correlation(impulse[None, :, :, None].astype("float32")))[0, :, :, 0]
    np.testing.assert_allclose(y, w[::-1, ::-1], atol=1e-6)


def test_it_is_commutative_and_associative():
    x, v, w = (RNG.normal(size=size) for size in ((6, 7), (3, 2), (2, 4)))
    one_by_one = by_layer(by_layer(x, v, whole=True), w, whole=True)
    swapped = by_layer(by_layer(x, w, whole=True), v, whole=True)
    at_once = by_layer(x, by_layer(v, w, whole=True), whole=True)
    np.testing.assert_allclose(swapped, one_by_one, atol=1e-4)
    np.testing.assert_allclose(at_once, one_by_one, atol=1e-4)
    np.testing.assert_allclose(by_layer(v, x, whole=True), by_layer(x, v, whole=True), atol=1e-5)


def test_invalid_arguments_raise():
    with pytest.raises(ValueError, match="filters"):
        FlippedConv2D(0, 3)
