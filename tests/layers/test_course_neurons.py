"""Neurons and graphs of a first lecture, with every number worked out by hand."""

import keras
import numpy as np
import pytest
from contract import gradients
from keras import ops

from dlrecipes.layers import ThresholdUnit

PAIRS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
AND = {"weights": [1, 1], "threshold": 2}
OR = {"weights": [1, 1], "threshold": 1}
NOT = {"weights": [-1], "threshold": 0}


def outputs(layer, x):
    return ops.convert_to_numpy(layer(ops.array(x))).tolist()


@pytest.mark.parametrize(("gate", "expected"), [(AND, [0, 0, 0, 1]), (OR, [0, 1, 1, 1])])
def test_gates_of_two_inputs(gate, expected):
    assert outputs(ThresholdUnit(**gate), PAIRS) == [[y] for y in expected]


def test_not_fires_when_its_input_does_not():
    # -0 >= 0 holds and -1 >= 0 does not.
    assert outputs(ThresholdUnit(**NOT), [[0.0], [1.0]]) == [[1], [0]]


def test_gates_on_bipolar_signals():
    # 1 + 1 reaches 2; 1 - 1 = 0 and -1 - 1 = -2 do not.
    unit = ThresholdUnit(**AND, output="bipolar")
    assert outputs(unit, 2 * PAIRS - 1) == [[-1], [-1], [-1], [1]]


def test_exclusive_or_needs_two_layers():
    # Hidden: OR, and NAND, which is -x1 - x2 >= -1; both must fire.
    network = keras.Sequential(
        [ThresholdUnit(2, weights=[[1, -1], [1, -1]], threshold=[1, -1]), ThresholdUnit(**AND)]
    )
    assert outputs(network, PAIRS) == [[0], [1], [1], [0]]


def test_no_single_unit_with_small_integer_weights_computes_exclusive_or():
    w1, w2, t = (axis.ravel() for axis in np.meshgrid(*[np.arange(-4, 5)] * 3))
    units = ThresholdUnit(len(t), weights=np.stack([w1, w2]), threshold=t.tolist())
    fired = ops.convert_to_numpy(units(ops.array(PAIRS)))
    # Among the sixteen functions of two truth values, only these two are missing.
    functions = {tuple(column) for column in fired.T}
    assert (0, 0, 0, 1) in functions
    assert (0, 1, 1, 0) not in functions
    assert (1, 0, 0, 1) not in functions
    assert len(functions) == 14


def test_gradients_of_a_sum_times_a_difference():
    def f(x, y, z):
        return (x + y) * (y - z)

    at = [np.float32(value) for value in (-1, 3, 2)]
    # (-1 + 3) (3 - 2) = 2.
    assert float(f(*at)) == 2
    # y - z = 1; (y - z) + (x + y) = 3; -(x + y) = -2.
    assert [float(slope) for slope in gradients(f, *at)] == [1, 3, -2]


def test_gradients_of_a_logistic_neuron():
    def f(x, y, w0, w1):
        return y / (1 + ops.exp(-(w0 + w1 * x)))

    at = x, y, _, w1 = [np.float32(value) for value in (2, 3, -1, 0.5)]
    # w0 + w1 x = 0, where the logistic function is 1/2 and its slope 1/4.
    assert float(f(*map(ops.convert_to_tensor, at))) == 1.5
    expected = [y * w1 / 4, 1 / 2, y / 4, y * x / 4]
    np.testing.assert_allclose(gradients(f, *at), expected, rtol=1e-6)
