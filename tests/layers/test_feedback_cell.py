import keras
import numpy as np
import pytest
from keras import ops

from dlrecipes.layers import FeedbackCell, JordanCell

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
MASK = np.array([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]], bool)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def array(x):
    return ops.convert_to_numpy(x)


def built(cells, **kwargs):
    cell = FeedbackCell(cells, 2, bias_initializer="random_normal", **kwargs)
    layer = keras.layers.RNN(cell, return_sequences=True)
    layer.build((None, None, 3))
    return layer


def elman(units):
    return keras.layers.SimpleRNNCell(units, bias_initializer="random_normal")


def by_hand(layer, x, mask, fed=softmax):
    """Stacked Elman cells, step by step; a masked step repeats the output."""
    cells = [[array(w) for w in cell.weights] for cell in layer.cell.cells]
    kernel, bias = array(layer.cell.output_kernel), array(layer.cell.output_bias)
    hidden = [np.zeros((len(x), len(w[2]))) for w in cells]
    scores = state = np.zeros((len(x), 2))
    outputs = []
    for t in range(x.shape[1]):
        real, below, new = mask[:, t, None], np.concatenate([x[:, t], state], axis=1), []
        for (w, u, b), h in zip(cells, hidden, strict=True):
            below = np.tanh(below @ w + h @ u + b)
            new.append(np.where(real, below, h))
        hidden, now = new, below @ kernel + bias
        scores, state = np.where(real, now, scores), np.where(real, fed(now), state)
        outputs.append(scores)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("mask", [np.ones_like(MASK), MASK])
def test_outputs_equal_the_equations_step_by_step(mask):
    layer = built([elman(4), elman(3)])
    outputs = array(layer(X, mask=ops.convert_to_tensor(mask)))
    np.testing.assert_allclose(outputs, by_hand(layer, X, mask), atol=1e-5)


def test_feedback_activation_is_applied_between_output_and_next_input():
    layer = built([elman(4)], feedback_activation="linear")
    expected = by_hand(layer, X, np.ones_like(MASK), fed=lambda scores: scores)
    np.testing.assert_allclose(array(layer(X)), expected, atol=1e-5)


def test_with_a_memoryless_cell_it_is_a_jordan_network():
    """With U = 0, h = tanh([x, s] W + b): W's rows are a Jordan cell's two kernels."""
    layer = built(elman(4))
    inner = layer.cell.cells
    inner.recurrent_kernel.assign(np.zeros((4, 4)))
    jordan = keras.layers.RNN(JordanCell(4, 2), return_sequences=True)
    jordan.build((None, None, 3))
    kernel, bias = array(inner.kernel), array(inner.bias)
    output = [array(w) for w in (layer.cell.output_kernel, layer.cell.output_bias)]
    jordan.set_weights([kernel[:3], kernel[3:], bias, *output])
    np.testing.assert_allclose(array(layer(X)), array(jordan(X)), atol=1e-6)


def test_states_are_the_output_the_feedback_and_the_states_of_the_cells():
    cells = [keras.layers.LSTMCell(4), keras.layers.GRUCell(3)]
    cell = FeedbackCell(cells, 2)
    assert cell.state_size == [2, 2, 4, 4, 3]
    scores, states = cell(X[:, 0], [ops.zeros((2, size)) for size in cell.state_size])
    np.testing.assert_array_equal(array(states[0]), array(scores))
    np.testing.assert_allclose(array(states[1]), softmax(array(scores)), atol=1e-6)
    h, (_, c) = cells[0](
        ops.concatenate([X[:, 0], ops.zeros((2, 2))], axis=1), [ops.zeros((2, 4))] * 2
    )
    for state, expected in ((states[2], h), (states[3], c)):
        np.testing.assert_allclose(array(state), array(expected), atol=1e-6)
    assert tuple(states[4].shape) == (2, 3)


@pytest.mark.parametrize(
    "cells, units, message",
    [
        (keras.layers.GRUCell(2), 0, "output_units must be"),
        (keras.layers.GRUCell(2), 1.5, "output_units must be"),
        ([], 2, "not empty"),
        ([keras.layers.GRUCell(2, dropout=0.5)], 2, "must not have dropout"),
        (keras.layers.LSTMCell(2, recurrent_dropout=0.5), 2, "must not have dropout"),
    ],
)
def test_invalid_arguments_raise(cells, units, message):
    with pytest.raises(ValueError, match=message):
        FeedbackCell(cells, units)
