import numpy as np
import pytest
from contract import gradients

from dlrecipes.losses import gradient_penalty

GRADIENTS = np.random.default_rng(0).normal(size=(3, 2, 4, 1)).astype("float32")


@pytest.mark.parametrize("target", [1.0, 0.0, 2.5])
def test_penalty_is_the_mean_over_examples_of_the_squared_distance_of_lengths(target):
    lengths = [np.linalg.norm(one.ravel().astype("float64")) for one in GRADIENTS]
    expected = sum((length - target) ** 2 for length in lengths) / 3
    np.testing.assert_allclose(float(gradient_penalty(GRADIENTS, target)), expected, rtol=1e-5)


def test_gradients_of_length_1_cost_nothing():
    directions = GRADIENTS / np.sqrt((GRADIENTS**2).sum(axis=(1, 2, 3), keepdims=True))
    assert float(gradient_penalty(directions)) < 1e-12


def test_scalar_inputs_have_their_absolute_slopes_as_lengths():
    assert float(gradient_penalty([-3.0, 1.0])) == (2**2 + 0) / 2


def test_a_gradient_of_zero_costs_1_and_is_pushed_nowhere():
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
def test_bad_arguments_are_refused(gradients, target, message):
    with pytest.raises(ValueError, match=message):
        gradient_penalty(gradients, target)
