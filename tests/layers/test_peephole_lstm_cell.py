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


RATES = [{"dropout": 0.4}, {"recurrent_dropout": 0.3}, {"dropout": 0.4, "recurrent_dropout": 0.3}]


@pytest.mark.parametrize("rates", [{}, *RATES])
@pytest.mark.parametrize("mask", [None, MASK])
def test_without_peepholes_dropout_equals_keras_lstm(rates, mask):
    ours = PeepholeLSTM(4, seed=5, return_sequences=True, **rates)
    lstm = keras.layers.LSTM(4, seed=5, return_sequences=True, **rates)
    ours.build((None, None, 3))
    lstm.build((None, None, 3))
    kernel, recurrent, bias = lstm.get_weights()
    ours.set_weights([kernel, recurrent, np.zeros((3, 4)), bias, *ours.get_weights()[4:]])
    mask = None if mask is None else keras.ops.array(mask)
    for _ in range(2):  # Each call drops others.
        expected = np.array(lstm(X, mask=mask, training=True))
        np.testing.assert_allclose(np.array(ours(X, mask=mask, training=True)), expected, atol=1e-6)
    plain = np.array(lstm(X, mask=mask))
    assert not rates or np.abs(plain - expected).max() > 1e-3
    np.testing.assert_allclose(np.array(ours(X, mask=mask)), plain, atol=1e-6)


def test_without_a_bias_it_equals_keras_lstm():
    ours = PeepholeLSTM(4, use_bias=False)
    lstm = keras.layers.LSTM(4, use_bias=False)
    expected = np.array(lstm(X))
    ours.build((None, None, 3))
    ours.set_weights([*lstm.get_weights(), np.zeros((3, 4))])
    for training in (False, True):
        np.testing.assert_allclose(np.array(ours(X, training=training)), expected, atol=1e-6)


def test_each_weight_has_its_own_regularizer():
    names = ("kernel", "recurrent", "peephole", "bias")
    factors = {f"{name}_regularizer": keras.regularizers.L1(k + 1) for k, name in enumerate(names)}
    layer = PeepholeLSTM(2, peephole_initializer="ones", **factors)
    layer.build((None, None, 3))
    weights = [np.array(weight) for weight in layer.weights[:4]]
    expected = [(k + 1) * np.abs(weight).sum() for k, weight in enumerate(weights)]
    np.testing.assert_allclose([float(loss) for loss in layer.losses], expected, rtol=1e-5)


def test_each_weight_has_its_own_constraint():
    names = ("kernel", "recurrent", "peephole", "bias")
    limits = {
        f"{name}_constraint": keras.constraints.MaxNorm(k + 1) for k, name in enumerate(names)
    }
    layer = PeepholeLSTM(2, **limits)
    layer.build((None, None, 3))
    assert [weight.constraint.max_value for weight in layer.trainable_weights] == [1, 2, 3, 4]


def test_a_copy_has_the_same_dropout_regularizers_and_constraints():
    layer = PeepholeLSTM(
        2,
        dropout=0.1,
        recurrent_dropout=0.2,
        seed=3,
        peephole_regularizer="l2",
        recurrent_constraint="unit_norm",
    )
    copy = PeepholeLSTM.from_config(layer.get_config())
    assert (copy.cell.dropout, copy.cell.recurrent_dropout, copy.cell.seed) == (0.1, 0.2, 3)
    assert isinstance(copy.cell.peephole_regularizer, keras.regularizers.L2)
    assert isinstance(copy.cell.recurrent_constraint, keras.constraints.UnitNorm)


@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("rate", [-0.1, 1, None, True])
def test_invalid_rates_raise(name, rate):
    with pytest.raises(ValueError, match=f"{name} must be at least 0 and below 1"):
        PeepholeLSTM(4, **{name: rate})


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
