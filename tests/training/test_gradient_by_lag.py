"""Gradients by lag equal products of Jacobians."""

import keras
import numpy as np
import pytest
from keras import layers as own

from dlrecipes import layers
from dlrecipes.training import gradient_by_lag

RNG = np.random.default_rng(0)
BATCH, TIME, FEATURES, UNITS = 2, 6, 3, 4
X = RNG.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
Y = RNG.normal(size=(BATCH, UNITS)).astype("float32")


def test_elman_norms_equal_products_of_jacobians():
    inputs = keras.Input((None, FEATURES))
    layer = layers.SimpleRNN(UNITS, name="elman")
    network = keras.Model(inputs, layer(inputs))
    w, u, b = (array.astype("float64") for array in layer.get_weights())
    expected = np.zeros((BATCH, TIME))
    for row in range(BATCH):
        h, after = np.zeros(UNITS), []
        for x in X[row]:
            h = np.tanh(x @ w + h @ u + b)
            after.append(h)
        # The loss is the mean over the units; d h_t / d h_(t-1) = diag(1 - h_t^2) U^T.
        gradient = 2 * (h - Y[row]) / UNITS
        for lag, h in enumerate(after[::-1]):
            gradient = ((1 - h**2) * gradient) @ u.T
            expected[row, lag] = np.linalg.norm(gradient)
    norms = gradient_by_lag(network, X, Y)
    np.testing.assert_allclose(norms["elman"], expected.mean(axis=0), rtol=1e-4)


def test_an_lstm_state_includes_its_memory():
    """With a closed input gate and an open output gate, the memory alone carries the state.

    All kernels are zero and the biases make i = 0, f = 1/2, o = 1 (to 1e-8): c_T = c_(T-k) / 2^k,
    and h_T = tanh(c_T) = 0, where the derivative is 1. The loss (h - 1)^2 has the gradient -2.
    """
    inputs = keras.Input((None, FEATURES))
    layer = layers.LSTM(1, name="lstm")
    network = keras.Model(inputs, layer(inputs))
    bias = np.array([-20.0, 0.0, 0.0, 20.0])
    layer.set_weights([np.zeros((FEATURES, 4)), np.zeros((1, 4)), bias])
    norms = gradient_by_lag(network, X, np.ones((BATCH, 1), "float32"))["lstm"]
    np.testing.assert_allclose(norms, 2 * 0.5 ** np.arange(1, TIME + 1), rtol=1e-5)


def test_each_layer_has_norms_of_the_last_steps_loss():
    inputs = keras.Input((None, FEATURES))
    x = own.GRU(3, return_sequences=True, name="first")(inputs)
    x = own.GRU(3, return_sequences=True, name="second")(x)
    network = keras.Model(inputs, own.Dense(2)(x))
    classes = np.array([0, 1])
    norms = gradient_by_lag(
        network, X, classes, lambda y, p: keras.losses.sparse_categorical_crossentropy(y, p, True)
    )
    shapes = {name: values.shape for name, values in norms.items()}
    assert shapes == {"first": (TIME,), "second": (TIME,)}
    assert all((values > 0).all() for values in norms.values())


def test_a_network_that_reads_from_the_end_is_rejected():
    inputs = keras.Input((None, FEATURES))
    network = keras.Model(inputs, own.Bidirectional(own.GRU(3))(inputs))
    with pytest.raises(ValueError, match="reads from the end"):
        gradient_by_lag(network, X, Y)
