import keras
import numpy as np
import pytest
from contract import gradients

from dlrecipes.layers import LocalResponseNormalization

RNG = np.random.default_rng(0)


def by_hand(x, size=5, alpha=1e-4, beta=0.75, k=2.0):
    y = np.zeros_like(x)
    channels = x.shape[-1]
    for i in range(channels):
        total = 0.0
        # The paper's bounds of the sum.
        for j in range(max(0, i - size // 2), min(channels - 1, i + size // 2) + 1):
            total = total + x[..., j] ** 2
        y[..., i] = x[..., i] / (k + alpha * total) ** beta
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


@pytest.mark.parametrize("shape", [(2, 7), (2, 3, 7), (2, 3, 4, 7), (1, 2, 3, 2, 2)])
@pytest.mark.parametrize("size", [1, 3, 5, 17])
def test_outputs_equal_the_equation_in_any_rank(shape, size):
    x = RNG.normal(size=shape).astype("float32")
    y = LocalResponseNormalization(size, alpha=0.7, beta=0.6, k=1.5)(x)
    np.testing.assert_allclose(np.array(y), by_hand(x, size, 0.7, 0.6, 1.5), rtol=1e-5)


def test_defaults_match_the_paper():
    # Large inputs, for which alpha's term matters.
    x = 200 * RNG.normal(size=(1, 2, 2, 96)).astype("float32")
    np.testing.assert_allclose(np.array(LocalResponseNormalization()(x)), by_hand(x), rtol=1e-5)


def test_without_active_neighbours_the_divisor_is_a_power_of_k():
    x = np.array([[1e-3, 0, 0, 0, 0, 0]], "float32")
    expected = x / 2**0.75
    np.testing.assert_allclose(np.array(LocalResponseNormalization()(x)), expected, rtol=1e-6)


def test_neighbours_compete_and_distant_channels_do_not():
    x = np.array([[1, 0, 0, 9, 0, 0, 1]], "float32")
    y = np.array(LocalResponseNormalization(5, alpha=1.0, beta=0.5, k=1.0)(x))[0]
    np.testing.assert_allclose(y[[0, 6]], 1 / np.sqrt(1 + 1), rtol=1e-6)
    near = np.array(LocalResponseNormalization(7, alpha=1.0, beta=0.5, k=1.0)(x))[0]
    np.testing.assert_allclose(near[[0, 6]], 1 / np.sqrt(1 + 1 + 81), rtol=1e-6)


def test_gradient_equals_finite_differences():
    x = RNG.normal(size=(2, 2, 6)).astype("float32")
    factors = RNG.normal(size=x.shape).astype("float32")
    actual = gradient(LocalResponseNormalization(3, alpha=0.5), x, factors)
    expected = numeric(lambda z: np.sum(factors * by_hand(z, 3, alpha=0.5)), x)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_float16_squares_do_not_overflow():
    # 60000 is near float16's largest number, and its square is far beyond.
    y = LocalResponseNormalization(dtype="float16")(np.full((1, 3), 60000.0, "float16"))
    expected = by_hand(np.full((1, 3), 60000.0))
    np.testing.assert_allclose(np.array(y), expected, rtol=1e-3)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"size": 4}, "size must be odd, not 4"),
        ({"size": 0}, "size must be an integer of at least 1"),
        ({"size": 3.0}, "size must be an integer of at least 1"),
        ({"size": True}, "size must be an integer of at least 1"),
        ({"alpha": "x"}, "alpha must be at least 0, not 'x'"),
        ({"alpha": -1e-4}, "alpha must be at least 0"),
        ({"beta": -0.1}, "beta must be at least 0"),
        ({"k": 0}, "k must be above 0"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        LocalResponseNormalization(**kwargs)


def test_unknown_number_of_channels_raises():
    with pytest.raises(ValueError, match="known number of channels"):
        LocalResponseNormalization()(keras.Input((4, 4, None)))
