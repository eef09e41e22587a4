"""Labelled examples and a small trainer for the tests of triplet embedding."""

import keras
import numpy as np
import pytest

from dlrecipes.layers import L2Normalization
from dlrecipes.losses.triplet import MINERS
from dlrecipes.training import TripletEmbedding

# Points at 0 and 90 degrees (one person), and 60 and 150 (another), at any distance from 0.
# On the circle the squared distance over an angle is 2 - 2 cos(angle), with S = sqrt(3):
#         90      60      150
#   0     2       1       2 + S
#  90             2 - S   1
#  60                     2
S = np.sqrt(3)
ANGLES = np.radians([0, 90, 60, 150])
CIRCLE = ([[3.0], [0.5], [1.0], [2.0]] * np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1)).astype("f4")
PEOPLE = np.array([0, 0, 1, 1])
RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype("float32")
LABELS = np.array([0, 1, 2, 0, 1, 0, 3, 1, 2, 0, 4, 4])
KERNEL = RNG.normal(size=(4, 3)).astype("float32")
each_mining = pytest.mark.parametrize("mining", MINERS)


def trainer(kernel, sphere=True, optimizer=None, compiled=None, regularizer=None, **kwargs):
    """Returns a linear network with a given kernel, optionally on the unit sphere."""
    kernel = np.asarray(kernel, "float32")
    x = keras.Input(kernel.shape[:1])
    dense = keras.layers.Dense(kernel.shape[1], use_bias=False, kernel_regularizer=regularizer)
    y = dense(x)
    y = L2Normalization(dtype="float32")(y) if sphere else y
    model = TripletEmbedding(keras.Model(x, y), **kwargs)
    dense.kernel.assign(kernel)
    optimizer = keras.optimizers.SGD(0.0) if optimizer is None else optimizer
    model.compile(optimizer, **{"jit_compile": False, **(compiled or {})})
    return model


def step(model, x, labels):
    """Returns the logs of one step on one batch."""
    history = model.fit(x, labels, batch_size=len(x), shuffle=False, verbose=0).history
    return {name: value for name, (value,) in history.items()}


def evaluated(model, x, labels, batch_size=None):
    return model.evaluate(x, labels, batch_size or len(x), verbose=0, return_dict=True)
