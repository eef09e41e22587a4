import keras
import numpy as np
import pytest
from contract import gradients
from keras import ops

from dlrecipes.layers import L2Normalization


def array(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


def gradient_at(x, **kwargs):
    """The gradient of a random mix of the outputs with respect to the inputs, and the mix."""
    mix = np.random.default_rng(1).normal(size=x.shape).astype("float32")
    layer = L2Normalization(**kwargs)
    return gradients(lambda x: ops.sum(layer(x) * mix), x.astype("float32"))[0], mix


def test_vectors_are_divided_by_their_length():
    """(3, 4) has length 5, and (2, 3, 6) has length 7."""
    y = array(L2Normalization()(np.array([[3.0, 4.0, 0.0], [2.0, 3.0, 6.0]], "float32")))
    np.testing.assert_allclose(y, [[3 / 5, 4 / 5, 0], [2 / 7, 3 / 7, 6 / 7]], rtol=1e-6)


@pytest.mark.parametrize("axis", [1, (1, 2), [2, -1]])
def test_vectors_extend_over_the_given_axes(axis):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    expected = x / np.sqrt((x**2).sum(axis=axes, keepdims=True))
    np.testing.assert_allclose(array(L2Normalization(axis)(x)), expected, rtol=1e-5)


def test_gradient_equals_a_projection_onto_the_tangent_space():
    """d(x / |x|) / dx = (I - y y^T) / |x|, so that the gradient u becomes (u - (u.y) y) / |x|."""
    x = np.array([2.0, 3.0, 6.0])
    gradient, u = gradient_at(x)
    y = x / 7
    np.testing.assert_allclose(gradient, (u - (u @ y) * y) / 7, atol=1e-6)


@pytest.mark.parametrize("epsilon", [1e-6, 0.5])
def test_below_epsilon_vectors_and_gradients_are_divided_by_epsilon(epsilon):
    x = np.array([0.0, 0.0, 0.3 * epsilon])
    layer = L2Normalization(epsilon=epsilon)
    np.testing.assert_allclose(array(layer(x[None].astype("float32"))), [[0, 0, 0.3]], atol=1e-6)
    gradient, u = gradient_at(np.zeros(3), epsilon=epsilon)
    np.testing.assert_allclose(gradient, u / epsilon, rtol=1e-5)


@pytest.mark.parametrize("size", [1e-4, 300.0])
def test_float16_squares_neither_overflow_nor_underflow(size):
    x = size * np.random.default_rng(0).normal(size=(4, 128))
    y = L2Normalization(dtype="mixed_float16")(x)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    # Each of 128 entries is rounded to 11 bits.
    np.testing.assert_allclose(np.linalg.norm(array(y), axis=1), 1, atol=2.0**-11)


def test_masks_are_passed_on():
    x = keras.Input((None, 3))
    masked = keras.layers.Masking()(x)
    model = keras.Model(x, keras.layers.GlobalAveragePooling1D()(L2Normalization()(masked)))
    x = np.array([[[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]]], "float32")
    # The mean over the one real step, not over both.
    np.testing.assert_allclose(array(model(x)), [[0.6, 0.8, 0.0]], rtol=1e-6)


@pytest.mark.parametrize("kwargs", [{"epsilon": 0.0}, {"epsilon": -1.0}, {"epsilon": 1e-20}])
def test_epsilons_whose_square_underflows_raise(kwargs):
    with pytest.raises(ValueError, match="epsilon must be above 1e-18"):
        L2Normalization(**kwargs)


@pytest.mark.parametrize("axis", [1.0, (), "last", (1, None)])
def test_axes_that_are_not_integers_raise(axis):
    with pytest.raises(ValueError, match="axis must be one or several integers"):
        L2Normalization(axis)
