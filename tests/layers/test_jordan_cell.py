import keras
import numpy as np
import pytest

from dlrecipes.layers import JordanCell


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def by_hand(weights, x, mask=None):
    """The network step by step; a masked step keeps the state."""
    kernel, recurrent, bias, output_kernel, output_bias = weights
    state = np.zeros((len(x), len(output_bias)))
    outputs = []
    for t in range(x.shape[1]):
        hidden = np.tanh(x[:, t] @ kernel + state @ recurrent + bias)
        y = hidden @ output_kernel + output_bias
        real = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        state = np.where(real, softmax(y), state)
        outputs.append(y)
    return np.stack(outputs, axis=1)


def built(**kwargs):
    layer = keras.layers.RNN(
        JordanCell(5, 3, bias_initializer="random_normal", **kwargs), return_sequences=True
    )
    layer.build((None, None, 4))
    return layer, [np.array(w) for w in layer.get_weights()]


X = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")


def test_outputs_equal_the_equations_step_by_step():
    layer, weights = built()
    np.testing.assert_allclose(np.array(layer(X)), by_hand(weights, X), atol=1e-5)


def test_masked_steps_leave_the_state_unchanged():
    layer, weights = built()
    mask = np.array([[1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 1, 0]], bool)
    y = np.array(layer(X, mask=keras.ops.array(mask)))
    expected = by_hand(weights, X, mask)
    # A masked step repeats the output before it; each sequence begins with a real step.
    for t in range(1, mask.shape[1]):
        expected[:, t] = np.where(mask[:, t, None], expected[:, t], expected[:, t - 1])
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_state_is_the_softmax_of_the_output():
    cell = JordanCell(5, 3)
    y, (scores, state) = cell(X[:, 0], [keras.ops.zeros((2, 3))] * 2)
    np.testing.assert_array_equal(np.array(scores), np.array(y))
    np.testing.assert_allclose(np.array(state), softmax(np.array(y)), atol=1e-6)


def test_the_hidden_layer_is_not_fed_back():
    layer, _ = built()
    layer.cell.output_kernel.assign(np.zeros((5, 3)))
    y = np.array(layer(X))
    np.testing.assert_allclose(y, np.broadcast_to(layer.cell.output_bias, y.shape), atol=1e-6)


def test_output_units_default_to_units():
    layer = keras.layers.RNN(JordanCell(5), return_sequences=True)
    assert layer(X).shape == (2, 6, 5)
    assert layer.cell.get_config()["output_units"] is None


@pytest.mark.parametrize("units, output_units", [(0, None), (2.5, None), (2, 0), (2, "three")])
def test_invalid_sizes_raise(units, output_units):
    with pytest.raises(ValueError, match="must be"):
        JordanCell(units, output_units)
