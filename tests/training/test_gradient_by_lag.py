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


def test_elman_norms_are_those_of_the_product_of_jacobians():
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
    found = gradient_by_lag(network, X, Y)
    np.testing.assert_allclose(found["elman"], expected.mean(axis=0), rtol=1e-4)


def test_lstm_state_includes_its_memory():
    """With closed input and output gates wide open, memory alone carries: it halves each step.

    All kernels are zero and the biases make i = 0, f = 1/2, o = 1 (to 1e-8): c_T = c_(T-k) / 2^k,
    h_T = tanh(c_T) = 0, of which the derivative is 1. The loss (h - 1)^2 has the gradient -2.
    """
    inputs = keras.Input((None, FEATURES))
    layer = layers.LSTM(1, name="lstm")
    network = keras.Model(inputs, layer(inputs))
    bias = np.array([-20.0, 0.0, 0.0, 20.0])
    layer.set_weights([np.zeros((FEATURES, 4)), np.zeros((1, 4)), bias])
    found = gradient_by_lag(network, X, np.ones((BATCH, 1), "float32"))["lstm"]
    np.testing.assert_allclose(found, 2 * 0.5 ** np.arange(1, TIME + 1), rtol=1e-5)


def test_every_layer_of_a_deep_network_has_norms_and_only_the_last_step_counts():
    inputs = keras.Input((None, FEATURES))
    x = own.GRU(3, return_sequences=True, name="first")(inputs)
    x = own.GRU(3, return_sequences=True, name="second")(x)
    network = keras.Model(inputs, own.Dense(2)(x))
    classes = np.array([0, 1])
    found = gradient_by_lag(
        network, X, classes, lambda y, p: keras.losses.sparse_categorical_crossentropy(y, p, True)
    )
    assert {name: norms.shape for name, norms in found.items()} == {
        "first": (TIME,),
        "second": (TIME,),
    }
    assert all((norms > 0).all() for norms in found.values())


def test_network_that_reads_from_the_end_is_refused():
    inputs = keras.Input((None, FEATURES))
    network = keras.Model(inputs, own.Bidirectional(own.GRU(3))(inputs))
    with pytest.raises(ValueError, match="reads from the end"):
        gradient_by_lag(network, X, Y)
