"""Recurrent networks of a deep-learning course, by hand and by their equations."""

import keras
import numpy as np
import pytest
from keras import ops

from dlrecipes.models import sequence_model
from dlrecipes.models.recurrent import recurrent_layer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 3)).astype("float32")
UNITS = 4


def array(x):
    return ops.convert_to_numpy(x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def linear_network():
    """Two inputs, two hidden units fed back to both, two outputs; all weights 1, no bias."""
    model = sequence_model(
        "many_to_many",
        num_outputs=2,
        num_features=2,
        units=2,
        cell=lambda units: keras.layers.SimpleRNNCell(units, activation="linear", use_bias=False),
    )
    kernel, recurrent, output, bias = model.get_weights()
    model.set_weights([np.ones_like(w) for w in (kernel, recurrent, output)] + [0 * bias])
    return model


@pytest.mark.parametrize(
    "inputs, outputs",
    [
        # Each hidden unit is x1 + x2 + h1 + h2, from h = 0, each output h1 + h2:
        # h = 1+1+0+0 = 2, 1+1+2+2 = 6, 2+2+6+6 = 16.
        ([[1, 1], [1, 1], [2, 2]], [4, 12, 32]),
        # The same inputs in other orders: h = 4, 2+8 = 10, 2+20 = 22; h = 2, 4+4 = 8, 2+16 = 18.
        ([[2, 2], [1, 1], [1, 1]], [8, 20, 44]),
        ([[1, 1], [2, 2], [1, 1]], [4, 16, 36]),
    ],
)
def test_linear_network_of_ones_depends_on_the_order_of_its_inputs(inputs, outputs):
    y = array(linear_network()(np.array([inputs], "float32")))
    np.testing.assert_array_equal(y, [[[value, value] for value in outputs]])


def with_random_weights(cell, **kwargs):
    """The layer and its weights, all random, so that no bias is zero."""
    layer = recurrent_layer(cell, UNITS, **kwargs)
    layer.build((None, None, 3))
    weights = [RNG.normal(0, 0.7, w.shape).astype("float32") for w in layer.get_weights()]
    layer.set_weights(weights)
    return layer, weights


def assert_steps_equal(layer, step, states):
    """Compares a layer with `output, states = step(x, states)`, one step after another."""
    outputs = array(layer(X))
    for t in range(X.shape[1]):
        output, states = step(X[:, t], states)
        np.testing.assert_allclose(outputs[:, t], output, atol=1e-5)


def zeros(units=UNITS):
    return np.zeros((len(X), units))


def test_elman_network_feeds_back_its_hidden_layer():
    """h_t = tanh(x_t W + h_{t-1} U + b) (Elman, 1990, with tanh)."""
    layer, (w, u, b) = with_random_weights("elman")

    def step(x, h):
        h = np.tanh(x @ w + h @ u + b)
        return h, h

    assert_steps_equal(layer, step, zeros())


def test_jordan_network_feeds_back_its_output():
    """h_t = tanh(x_t W + g(y_{t-1}) U + b), y_t = h_t V + c (Jordan, 1986, with tanh, softmax)."""
    layer, (w, u, b, v, c) = with_random_weights("jordan", output_units=2)

    def step(x, s):
        y = np.tanh(x @ w + s @ u + b) @ v + c
        return y, softmax(y)

    assert_steps_equal(layer, step, zeros(2))


def test_lstm_gates_control_input_memory_and_output():
    """Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al., 2000.

    The columns of the weights belong to the input gate, the forget gate, the memory's input and
    the output gate.
    """
    layer, (w, u, b) = with_random_weights("lstm")

    def step(x, states):
        h, c = states
        i, f, g, o = np.split(x @ w + h @ u + b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return h, (h, c)

    assert_steps_equal(layer, step, (zeros(), zeros()))


def test_gru_mixes_its_state_with_a_candidate():
    """Cho et al., 2014, with the reset gate after the product (Keras' default, and CuDNN's).

    The columns belong to the update gate z, the reset gate r and the candidate. There is one bias
    for the inputs and one for the state. z is the fraction of the state that is kept.
    """
    layer, (w, u, b) = with_random_weights("gru")

    def step(x, h):
        from_x, from_h = x @ w + b[0], h @ u + b[1]
        (zx, rx, cx), (zh, rh, ch) = (np.split(part, 3, axis=1) for part in (from_x, from_h))
        z, r = sigmoid(zx + zh), sigmoid(rx + rh)
        h = z * h + (1 - z) * np.tanh(cx + r * ch)
        return h, h

    assert_steps_equal(layer, step, zeros())


@pytest.mark.parametrize("cell", ["elman", "lstm", "peephole_lstm", "gru"])
def test_second_direction_reads_the_sequence_in_reverse(cell):
    both, weights = with_random_weights(cell, bidirectional=True)
    single, _ = with_random_weights(cell)
    y = array(both(X))
    half = len(weights) // 2
    single.set_weights(weights[:half])
    np.testing.assert_allclose(y[..., :UNITS], array(single(X)), atol=1e-5)
    single.set_weights(weights[half:])
    np.testing.assert_allclose(y[..., UNITS:], array(single(X[:, ::-1]))[:, ::-1], atol=1e-5)


def test_scores_of_both_jordan_directions_are_added():
    both, weights = with_random_weights("jordan", bidirectional=True, output_units=2)
    single, _ = with_random_weights("jordan", output_units=2)
    single.set_weights(weights[:5])
    forward = array(single(X))
    single.set_weights(weights[5:])
    backward = array(single(X[:, ::-1]))[:, ::-1]
    np.testing.assert_allclose(array(both(X)), forward + backward, atol=1e-5)


def test_lstm_with_fixed_gates_keeps_a_number():
    """Input gate open at the first step alone, forget gate open, so that c_t = tanh(x_1)."""
    layer, _ = with_random_weights("lstm", return_sequences=True)
    kernel, bias = np.zeros((3, 4, UNITS)), np.zeros((4, UNITS))
    kernel[0, 2], kernel[1, 0] = 1, 1
    bias[1], bias[3], bias[0] = 50, 50, -50
    layer.set_weights([kernel.reshape(3, -1), np.zeros((UNITS, 4 * UNITS)), bias.reshape(-1)])
    # The first feature is the input to store, the second opens the input gate.
    x = np.array([[[0.5, 100, 0], [9, 0, 0], [-9, 0, 0], [3, 0, 0]]], "float32")
    kept = np.tanh(np.tanh(0.5))
    np.testing.assert_allclose(array(layer(x)), np.full((1, 4, UNITS), kept), atol=1e-5)
