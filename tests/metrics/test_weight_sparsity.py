"""Sparsity is the fraction of zeros of each kernel, biases and other weights aside."""

import keras
import numpy as np

from dlrecipes.metrics import sparsity
from dlrecipes.models import ensemble


def network(name, zeros):
    x = keras.Input((4, 4, 3), name="images")
    y = keras.layers.SeparableConv2D(4, 3, name="separable")(x)
    y = keras.layers.DepthwiseConv2D(2, name="depthwise")(y)
    y = keras.layers.BatchNormalization(name="norm")(y)
    y = keras.layers.Dense(5, name="scores")(keras.layers.Flatten()(y))
    model = keras.Model(x, y, name=name)
    kernel = np.ones((4, 5))
    kernel.flat[:zeros] = 0
    model.get_layer("scores").kernel.assign(kernel)
    return model


def test_kernels_are_counted_and_nothing_else():
    # Biases are zero, and the depthwise kernels are not listed.
    assert sparsity(network("net", 5)) == {"separable": 0.0, "scores": 0.25}


def test_layers_of_the_same_name_are_numbered():
    fractions = sparsity(ensemble([network("a", 5), network("b", 10)]))
    assert [fractions["scores"], fractions["scores (2)"]] == [0.25, 0.5]


def test_a_kernel_that_is_used_twice_is_counted_once():
    dense = keras.layers.Dense(3, name="twice")
    x = keras.Input((3,))
    assert list(sparsity(keras.Model(x, dense(dense(x))))) == ["twice"]
