"""Kernels are rounded per output channel, also where a normalization is folded into them."""

import keras
import numpy as np
import pytest

from dlrecipes.layers import FakeQuantizedKernel

# The layers, the inputs' shape, and the axes of the kernel over which a channel extends.
LAYERS = {
    "dense": (lambda: keras.layers.Dense(3), (5,), (0,)),
    "conv": (lambda: keras.layers.Conv2D(3, 2), (4, 4, 5), (0, 1, 2)),
    "depthwise": (lambda: keras.layers.DepthwiseConv2D(2, depth_multiplier=2), (4, 4, 5), (0, 1)),
    "transposed": (lambda: keras.layers.Conv2DTranspose(3, 2), (4, 4, 5), (0, 1, 3)),
}


def rounded(kernel, axes):
    scale = np.abs(kernel).max(axis=axes, keepdims=True) / 127
    return np.round(kernel / scale) * scale


@pytest.mark.parametrize("name", LAYERS)
def test_the_outputs_are_those_of_the_rounded_kernel(name):
    make, shape, axes = LAYERS[name]
    keras.utils.set_random_seed(0)
    layer = make()
    wrapper = FakeQuantizedKernel(layer)
    x = keras.random.normal((2, *shape), seed=1)
    outputs = keras.ops.convert_to_numpy(wrapper(x))
    kernel = layer.kernel.numpy()
    assert not np.allclose(outputs, layer(x), atol=1e-7)
    np.testing.assert_array_equal(layer.kernel.numpy(), kernel)
    layer.kernel.assign(rounded(kernel, axes))
    np.testing.assert_allclose(outputs, layer(x), atol=1e-5)


def test_folding_a_normalization_commutes_with_rounding():
    rng = np.random.default_rng(0)
    kernel, factors = rng.normal(size=(3, 3, 4, 6)), rng.normal(size=6) * 10.0 ** np.arange(6)
    axes = (0, 1, 2)
    np.testing.assert_allclose(rounded(kernel * factors, axes), rounded(kernel, axes) * factors)


def test_a_channel_of_zeros_stays_zero():
    dense = keras.layers.Dense(2, use_bias=False)
    wrapper = FakeQuantizedKernel(dense)
    wrapper.build((None, 2))
    dense.set_weights([np.array([[0.0, 1.0], [0.0, -2.0]])])
    np.testing.assert_allclose(wrapper(np.eye(2, dtype="float32")), [[0, 64 * 2 / 127], [0, -2]])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="uses a tape")
def test_gradients_pass_through_the_rounding():
    import tensorflow as tf

    dense = keras.layers.Dense(2)
    wrapper = FakeQuantizedKernel(dense)
    x = tf.constant([[1.0, 2.0, 3.0]])
    wrapper(x)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(wrapper(x))
    kernel, bias = tape.gradient(y, [dense.kernel.value, dense.bias.value])
    np.testing.assert_array_equal(kernel, [[1, 1], [2, 2], [3, 3]])
    np.testing.assert_array_equal(bias, [1, 1])
