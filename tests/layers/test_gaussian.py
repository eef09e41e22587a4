import numpy as np
import pytest
from contract import gradients, slopes
from keras import ops

from dlrecipes.layers import Gaussian

X = np.array([-3.0, -0.5, 0.0, 0.25, 2.0])


def test_values_equal_the_formula():
    y = ops.convert_to_numpy(Gaussian(center=0.5, width=2.0)(ops.array(X)))
    np.testing.assert_allclose(y, np.exp(-((X - 0.5) ** 2) / 8), rtol=1e-6)


def test_it_is_1_at_the_centre_and_falls_by_a_factor_of_root_e_within_a_width():
    y = ops.convert_to_numpy(Gaussian(center=1.0, width=3.0)(ops.array([1.0, 4.0, -2.0])))
    np.testing.assert_allclose(y, [1, np.exp(-0.5), np.exp(-0.5)], rtol=1e-6)


def test_gradient_equals_finite_differences_and_the_formula(float64):
    layer = Gaussian(center=0.5, width=2.0, dtype="float64")

    def total(x):
        return ops.sum(layer(x))

    gradient = gradients(total, X)[0]
    np.testing.assert_allclose(gradient, slopes(total, X)[0], atol=1e-8)
    expected = -(X - 0.5) / 4 * np.exp(-((X - 0.5) ** 2) / 8)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7)


def test_far_inputs_give_zero_and_not_nan():
    x = np.array([-1e30, 1e30], "float32")
    assert ops.convert_to_numpy(Gaussian()(ops.array(x))).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [
        ({"width": 0}, "width"),
        ({"width": np.nan}, "width"),
        ({"center": np.inf}, "center"),
        ({"center": "1"}, "center"),
        ({"width": None}, "width"),
    ],
)
def test_invalid_arguments_raise(kwargs, name):
    with pytest.raises(ValueError, match=f"{name} must be a finite number"):
        Gaussian(**kwargs)
