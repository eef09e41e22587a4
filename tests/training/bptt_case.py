"""Sequences and small recurrent networks for the tests of truncated backpropagation."""

import keras
import numpy as np

from dlrecipes import layers

RNG = np.random.default_rng(0)
BATCH, TIME, FEATURES = 4, 10, 2
X = RNG.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
Y = RNG.normal(size=(BATCH, TIME, 1)).astype("float32")


def network(*kinds, units=4):
    """Returns an Elman network of four units, or a network of the given layers."""
    keras.utils.set_random_seed(5)
    inputs = x = keras.Input((None, FEATURES))
    for kind in kinds or (layers.SimpleRNN,):
        x = kind(units, return_sequences=True)(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def compiled(model, optimizer=None, **kwargs):
    optimizer = keras.optimizers.SGD(0.0) if optimizer is None else optimizer
    model.compile(optimizer, loss="mse", **{"jit_compile": False, **kwargs})
    return model


def fit(model, x=X, y=Y, batch_size=BATCH, **kwargs):
    return model.fit(x, y, batch_size=batch_size, verbose=0, **{"shuffle": False, **kwargs}).history


def assert_same_weights(model, other, atol=1e-6):
    assert_same_arrays(model.get_weights(), other.get_weights(), atol)


def assert_same_arrays(actual, expected, atol=1e-6):
    for array, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(array, other, atol=atol)
