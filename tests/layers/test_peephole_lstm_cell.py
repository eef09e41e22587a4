import keras
import numpy as np
import pytest

from dlrecipes.layers import PeepholeLSTM, PeepholeLSTMCell

X = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1]], bool)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(weights, x, mask):
    kernel, recurrent, peepholes, bias = weights
    units = len(bias) // 4
    h = c = np.zeros((len(x), units))
    outputs = []
    for t in range(x.shape[1]):
        z = x[:, t] @ kernel + h @ recurrent + bias
        z_i, z_f, z_c, z_o = np.split(z, 4, axis=1)
        i, f = sigmoid(z_i + peepholes[0] * c), sigmoid(z_f + peepholes[1] * c)
        new_c = f * c + i * np.tanh(z_c)
        new_h = sigmoid(z_o + peepholes[2] * new_c) * np.tanh(new_c)
        real = mask[:, t, None]
        h, c = np.where(real, new_h, h), np.where(real, new_c, c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def built(**kwargs):
    layer = keras.layers.RNN(PeepholeLSTMCell(4, **kwargs), return_sequences=True)
    layer.build((None, None, 3))
    return layer


@pytest.mark.parametrize("mask", [np.ones_like(MASK), MASK])
def test_outputs_equal_the_equations_step_by_step(mask):
    layer = built(peephole_initializer="random_normal", bias_initializer="random_normal")
    weights = [np.array(w) for w in layer.get_weights()]
    y = np.array(layer(X, mask=keras.ops.array(mask)))
    np.testing.assert_allclose(y, by_hand(weights, X, mask), atol=1e-5)


@pytest.mark.parametrize("mask", [None, MASK])
def test_without_peepholes_it_equals_keras_lstm(mask):
    layer, lstm = built(), keras.layers.LSTM(4, return_sequences=True)
    mask = None if mask is None else keras.ops.array(mask)
    expected = np.array(lstm(X, mask=mask))
    cell = layer.cell
    for weight, value in zip(
        (cell.kernel, cell.recurrent_kernel, cell.bias), lstm.get_weights(), strict=True
    ):
        weight.assign(value)
    np.testing.assert_allclose(np.array(layer(X, mask=mask)), expected, atol=1e-6)


def test_forget_gate_starts_open_by_default():
    expected = np.array([0] * 4 + [1] * 4 + [0] * 8)
    np.testing.assert_array_equal(np.array(built().cell.bias), expected)
    plain = built(unit_forget_bias=False)
    np.testing.assert_array_equal(np.array(plain.cell.bias), np.zeros(16))


@pytest.mark.parametrize("units", [0, -1, 1.5, None, True])
def test_invalid_units_raise(units):
    with pytest.raises(ValueError, match="units must be"):
        PeepholeLSTMCell(units)


@pytest.mark.parametrize("units", [0, True, "4"])
def test_invalid_units_of_the_layer_raise(units):
    with pytest.raises(ValueError, match="units must be an integer"):
        PeepholeLSTM(units)


def test_inputs_without_a_time_axis_raise():
    with pytest.raises(ValueError, match="expected ndim=3"):
        PeepholeLSTM(4)(np.zeros((2, 3), "float32"))
