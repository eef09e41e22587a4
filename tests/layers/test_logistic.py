import numpy as np
import pytest
from contract import gradients, slopes
from keras import ops

from dlrecipes.layers import Logistic

X = np.array([-3.0, -0.5, 0.0, 0.25, 2.0])


def test_values_equal_the_formula():
    y = ops.convert_to_numpy(Logistic(slope=2.5)(ops.array(X)))
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-2.5 * X)), rtol=1e-6)


def test_gradient_equals_finite_differences_and_the_formula(float64):
    layer = Logistic(slope=2.5, dtype="float64")

    def total(x):
        return ops.sum(layer(x))

    gradient = gradients(total, X)[0]
    np.testing.assert_allclose(gradient, slopes(total, X)[0], atol=1e-8)
    y = 1 / (1 + np.exp(-2.5 * X))
    np.testing.assert_allclose(gradient, 2.5 * y * (1 - y), rtol=1e-7)


def test_far_inputs_neither_overflow_nor_have_nan_gradients():
    x = np.array([-1e30, -80.0, 80.0, 1e30], "float32")
    y = ops.convert_to_numpy(Logistic()(ops.array(x)))
    np.testing.assert_allclose(y, [0, np.exp(-80.0), 1, 1], rtol=1e-5)
    slope = gradients(lambda x: ops.sum(Logistic()(x)), x)[0]
    np.testing.assert_allclose(slope, [0, np.exp(-80.0), 0, 0], rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("slope", [0, -1.0, np.inf, np.nan, None, "1"])
def test_invalid_slope_raises(slope):
    with pytest.raises(ValueError, match="slope must be a finite number above 0"):
        Logistic(slope)
