"""The demonstrations of long dependencies show their effects at a small size."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest


def load_demonstration(name):
    folder = Path(__file__).parents[2] / "docs" / "demonstrations"
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_targets_are_sums_of_two_marked_numbers_in_the_first_half():
    x, y = load_demonstration("adding_problem").adding(500, 30, seed=1)
    numbers, marks = x[:, :, 0], x[:, :, 1]
    assert set(np.unique(marks)) == {0.0, 1.0}
    np.testing.assert_array_equal(marks.sum(axis=1), 2)
    assert not marks[:, 15:].any()
    assert marks[:, :10].any(axis=1).all()
    np.testing.assert_allclose((numbers * marks).sum(axis=1, keepdims=True), y, rtol=1e-6)
    # The variance of two numbers between 0 and 1: twice 1/12.
    assert np.mean((y - 1) ** 2) == pytest.approx(1 / 6, rel=0.15)


def test_gradient_norms_of_elman_networks_follow_the_spectral_radius():
    """With small inputs tanh is nearly linear: k steps back scale the gradient by radius^k.

    This is exact for a kernel that is an orthogonal matrix times the radius.
    """
    demonstration = load_demonstration("vanishing_gradients")
    norms = demonstration.norms_of(demonstration.elman(0.7))
    lags = np.arange(20)
    np.testing.assert_allclose(norms[:20], 0.7**lags, rtol=0.02)


@pytest.mark.slow
def test_an_lstm_learns_the_adding_problem_and_an_elman_network_does_not():
    demonstration = load_demonstration("adding_problem")
    lstm = demonstration.learn("lstm", time=40, epochs=20)
    elman = demonstration.learn("elman", time=40, epochs=20)
    assert lstm[-1] < 0.01
    assert elman[-1] > 0.1
