"""Activations are rounded to the steps of their range, and gradients pass inside of it."""

import keras
import numpy as np
import pytest
from keras import ops

from dlrecipes.layers import FakeQuantize


def rounded(x, low, high, bits=8):
    """Equations 11 and 12 of Jacob et al., with zero on a step."""
    levels = 2**bits - 1
    scale = (high - low) / levels
    zero = np.round(-low / scale)
    return np.clip(np.round(x / scale), -zero, levels - zero) * scale


def test_values_are_rounded_to_the_range_of_the_training_batch():
    layer, x = FakeQuantize(), np.linspace(-1.3, 2.9, 50, dtype="float32")
    np.testing.assert_array_equal(layer(x), x)
    layer(x, training=True)
    wider = np.linspace(-5, 5, 77, dtype="float32")
    np.testing.assert_allclose(layer(wider), rounded(wider, x.min(), x.max()), atol=1e-5)
    assert float(layer(np.zeros((1,), "float32"))[0]) == 0


@pytest.mark.parametrize("values, expected", [([1.0, 2.0], (0, 2)), ([-3.0, -1.0], (-3, 0))])
def test_the_range_contains_zero(values, expected):
    layer = FakeQuantize()
    layer(np.array(values, "float32"), training=True)
    assert (float(layer.low), float(layer.high)) == expected


def test_the_range_widens_at_once_and_narrows_slowly():
    layer = FakeQuantize(momentum=0.75)
    for values, low, high in (([-1, 2], -1, 2), ([-4, 1], -4, 1.75), ([0, 4], -3, 4)):
        layer(np.array(values, "float32"), training=True)
        assert (float(layer.low), float(layer.high)) == (low, high)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="uses a tape")
def test_gradients_pass_inside_of_the_range_only():
    import tensorflow as tf

    layer = FakeQuantize(bits=4)
    layer(np.array([0.0, 1.5], "float32"), training=True)
    x = tf.constant([-0.5, 0.04, 0.77, 1.4, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(layer(x) * tf.constant([1.0, 2.0, 3.0, 4.0, 5.0]))
    np.testing.assert_array_equal(tape.gradient(y, x), [0, 2, 3, 4, 0])


def test_bounds_of_the_arguments_are_checked():
    for arguments in ({"bits": 1}, {"bits": 17}, {"momentum": 1.0}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            FakeQuantize(**arguments)
