import keras
import numpy as np
import pytest
from contract import gradients

from dlrecipes.layers import LocalContrastNormalization

RNG = np.random.default_rng(0)


def weighted_mean(x, window):
    """The mean over all maps and the part of the window within the image."""
    height, width, maps = x.shape
    reach = len(window) // 2
    y = np.zeros((height, width), x.dtype)
    for j in range(height):
        for k in range(width):
            total, weights = 0.0, 0.0
            for p in range(-reach, reach + 1):
                for q in range(-reach, reach + 1):
                    if 0 <= j + p < height and 0 <= k + q < width:
                        weight = window[p + reach, q + reach]
                        total += weight * x[j + p, k + q].sum()
                        weights += weight * maps
            y[j, k] = total / weights
    return y


def by_hand(x, size=9, deviation=None, epsilon=1e-4):
    deviation = size / 4 if deviation is None else deviation
    steps = np.arange(size) - size // 2
    window = np.exp(-(steps[:, None] ** 2 + steps**2) / (2 * deviation**2))
    v = x - weighted_mean(x, window)[..., None]
    sigma = np.maximum(np.sqrt(weighted_mean(v**2, window)), epsilon)
    return v / np.maximum(sigma.mean(), sigma)[..., None]


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


@pytest.mark.parametrize("kwargs", [{}, {"size": 3}, {"size": 5, "deviation": 0.8}, {"size": 1}])
def test_outputs_equal_the_equations_up_to_the_borders(kwargs):
    x = RNG.normal(size=(2, 6, 11, 3)).astype("float32")
    y = np.array(LocalContrastNormalization(**kwargs)(x))
    for image, normalised in zip(x, y, strict=True):
        np.testing.assert_allclose(normalised, by_hand(image, **kwargs), atol=1e-5)


def test_constant_image_becomes_zero_up_to_its_corners():
    x = np.full((1, 5, 5, 3), 200.0, "float32")
    y = np.array(LocalContrastNormalization(3, epsilon=1.0)(x))
    np.testing.assert_allclose(y, 0, atol=1e-3)


def test_output_is_invariant_to_brightness_and_contrast():
    x = RNG.normal(size=(1, 8, 8, 2)).astype("float32")
    layer = LocalContrastNormalization(5)
    np.testing.assert_allclose(np.array(layer(7 * x + 30)), np.array(layer(x)), atol=1e-4)


def test_flat_regions_are_divided_by_the_mean_deviation_of_the_image():
    # Noise on the left, and noise a thousand times weaker on the right.
    x = RNG.normal(size=(1, 6, 24, 1)).astype("float32")
    x[:, :, 12:] *= 1e-3
    y = np.array(LocalContrastNormalization(3)(x))
    assert np.abs(y[:, :, :10]).mean() > 0.5
    assert np.abs(y[:, :, 14:]).max() < 0.02


def test_gradient_equals_finite_differences():
    x = RNG.normal(size=(4, 4, 2)).astype("float32")
    factors = RNG.normal(size=x.shape).astype("float32")
    actual = gradient(LocalContrastNormalization(3), x, factors)
    expected = numeric(lambda z: np.sum(factors * by_hand(z, 3)), x)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_image_of_zeros_has_a_finite_gradient():
    zeros, ones = np.zeros((4, 4, 2), "float32"), np.ones((4, 4, 2), "float32")
    assert np.isfinite(gradient(LocalContrastNormalization(3), zeros, ones)).all()


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"size": 4}, "size must be "),
        ({"size": 0}, "size must be "),
        ({"deviation": 0}, "deviation must be above 0"),
        ({"epsilon": 0.0}, "epsilon must be above 0"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        LocalContrastNormalization(**kwargs)
