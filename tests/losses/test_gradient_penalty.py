import numpy as np
import pytest
from contract import gradients

from dlrecipes.losses import gradient_penalty

GRADIENTS = np.random.default_rng(0).normal(size=(3, 2, 4, 1)).astype("float32")


@pytest.mark.parametrize("target", [1.0, 0.0, 2.5])
def test_penalty_is_the_mean_squared_difference_between_norms_and_target(target):
    lengths = [np.linalg.norm(gradient.ravel().astype("float64")) for gradient in GRADIENTS]
    expected = sum((length - target) ** 2 for length in lengths) / 3
    np.testing.assert_allclose(float(gradient_penalty(GRADIENTS, target)), expected, rtol=1e-5)


def test_a_one_sided_penalty_leaves_norms_below_the_target():
    # Norms 5 and 0.5: only the first is above 1.
    assert float(gradient_penalty([[3.0, 4.0], [0.3, 0.4]], one_sided=True)) == (5 - 1) ** 2 / 2


def test_gradients_of_norm_1_have_no_penalty():
    directions = GRADIENTS / np.sqrt((GRADIENTS**2).sum(axis=(1, 2, 3), keepdims=True))
    assert float(gradient_penalty(directions)) < 1e-12


def test_scalar_inputs_use_the_absolute_derivative():
    assert float(gradient_penalty([-3.0, 1.0])) == (2**2 + 0) / 2


def test_a_zero_gradient_has_penalty_1_and_no_gradient():
    zeros = np.zeros((2, 3), "float32")
    assert float(gradient_penalty(zeros)) == 1
    np.testing.assert_array_equal(gradients(gradient_penalty, zeros)[0], zeros)


@pytest.mark.parametrize(
    "gradients, target, message",
    [
        (GRADIENTS, -1.0, "target must be at least 0, not -1.0"),
        (GRADIENTS, "1", "target must be at least 0, not '1'"),
        (np.float32(2), 1.0, r"gradients must have shape \(batch, ...\), not \(\)"),
    ],
)
def test_invalid_arguments_raise(gradients, target, message):
    with pytest.raises(ValueError, match=message):
        gradient_penalty(gradients, target)
