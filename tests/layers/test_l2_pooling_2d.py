import keras
import numpy as np
import pytest
from contract import gradients

from dlrecipes.layers import L2Pooling2D

RNG = np.random.default_rng(0)


def by_hand(x, window, steps, padding):
    """Norms over windows, without values beyond the border."""
    height, width, channels = x.shape
    starts = []
    for size, reach, step in zip((height, width), window, steps, strict=True):
        if padding == "valid":
            starts.append(range(0, size - reach + 1, step))
        else:
            # As in Keras: half of the padding before, and the odd row or column after.
            count = -(-size // step)
            before = max((count - 1) * step + reach - size, 0) // 2
            starts.append(range(-before, -before + count * step, step))
    y = np.zeros((len(starts[0]), len(starts[1]), channels), x.dtype)
    for i, top in enumerate(starts[0]):
        for j, left in enumerate(starts[1]):
            part = x[max(top, 0) : top + window[0], max(left, 0) : left + window[1]]
            y[i, j] = np.sqrt(np.sum(part**2, axis=(0, 1)))
    return y


def gradient(layer, x, factors):
    """The gradient of a mix of the outputs for one example."""
    layer.build((None, *x.shape))
    return gradients(lambda z: keras.ops.sum(layer(z) * factors), x[None])[0][0]


def numeric(function, x):
    """Central differences of a NumPy function, in float64."""
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = 1e-5
        slopes[index] = (function(x + step) - function(x - step)) / 2e-5
    return slopes


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "pool_size, strides, window, steps",
    [
        (2, None, (2, 2), (2, 2)),
        (3, 2, (3, 3), (2, 2)),
        ((2, 3), (3, 1), (2, 3), (3, 1)),
        (4, 1, (4, 4), (1, 1)),
    ],
)
def test_outputs_are_the_norms_of_the_windows(pool_size, strides, window, steps, padding):
    x = RNG.normal(size=(2, 5, 6, 3)).astype("float32")
    y = np.array(L2Pooling2D(pool_size, strides, padding)(x))
    for image, norms in zip(x, y, strict=True):
        np.testing.assert_allclose(norms, by_hand(image, window, steps, padding), rtol=1e-5)


def test_it_is_the_sum_and_not_the_mean():
    y = L2Pooling2D(2)(np.full((1, 2, 2, 1), 3.0, "float32"))
    assert float(y[0, 0, 0, 0]) == pytest.approx(6.0)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_gradient_equals_finite_differences(padding):
    x = RNG.normal(size=(5, 4, 2)).astype("float32")
    factors = RNG.normal(size=by_hand(x, (3, 3), (2, 2), padding).shape).astype("float32")
    actual = gradient(L2Pooling2D(3, 2, padding), x, factors)
    expected = numeric(lambda z: np.sum(factors * by_hand(z, (3, 3), (2, 2), padding)), x)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_gradient_at_a_window_of_zeros_is_zero_like_central_differences():
    x = RNG.normal(size=(4, 4, 1)).astype("float32")
    x[:2, :2] = 0
    factors = RNG.normal(size=(2, 2, 1)).astype("float32")
    expected = numeric(lambda z: np.sum(factors * by_hand(z, (2, 2), (2, 2), "valid")), x)
    # The norm is even around zero, so that both sides of the difference are equal.
    np.testing.assert_array_equal(expected[:2, :2], 0)
    actual = gradient(L2Pooling2D(2), x, factors)
    np.testing.assert_array_equal(actual[:2, :2], 0)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_gradient_near_zero_does_not_vanish():
    # It is x divided by the norm, here 1 / 2, even if both are tiny.
    actual = gradient(L2Pooling2D(2), np.full((2, 2, 1), 1e-15, "float32"), np.ones((1, 1, 1)))
    np.testing.assert_allclose(actual, 0.5, rtol=1e-4)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"pool_size": 0}, "pool_size must be one or two integers"),
        ({"pool_size": (2, 2, 2)}, "pool_size must be one or two integers"),
        ({"strides": 1.5}, "strides must be one or two integers"),
        ({"padding": "full"}, "padding must be 'valid' or 'same'"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        L2Pooling2D(**kwargs)


def test_images_smaller_than_a_window_raise():
    x = np.zeros((1, 8, 8, 1), "float32")
    for image in (x, keras.KerasTensor((None, 8, 8, 1))):
        with pytest.raises(ValueError, match=r"as large as the window, \(9, 9\)"):
            L2Pooling2D(9)(image)
    assert tuple(L2Pooling2D(9, padding="same")(x).shape) == (1, 1, 1, 1)
