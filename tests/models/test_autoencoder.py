import itertools

import keras
import numpy as np
import pytest
from keras import ops

from dlrecipes.models import autoencoder, convolutional_autoencoder


def test_default_is_the_papers_mnist_network():
    # Hinton and Salakhutdinov 2006: 784-1000-500-250-30, and back.
    sizes = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
    expected = sum(a * b + b for a, b in itertools.pairwise(sizes))
    assert autoencoder().count_params() == expected == 2_837_314


def test_units_are_logistic_and_the_code_is_linear():
    model = autoencoder(4, hidden_units=(3,), code_units=2)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    w1, b1, w2, b2, w3, b3, w4, b4 = model.get_weights()

    def logistic(x):
        return 1 / (1 + np.exp(-x))

    code = logistic(x @ w1 + b1) @ w2 + b2
    np.testing.assert_allclose(ops.convert_to_numpy(model.get_layer("encoder")(x)), code, atol=1e-5)
    expected = logistic(logistic(code @ w3 + b3) @ w4 + b4)
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), expected, atol=1e-5)


def test_decoder_mirrors_the_encoder():
    model = autoencoder(9, hidden_units=(7, 5), code_units=2)
    for name, sizes in (("encoder", [7, 5, 2]), ("decoder", [5, 7, 9])):
        layers = model.get_layer(name).layers
        assert [layer.units for layer in layers if isinstance(layer, keras.layers.Dense)] == sizes


@pytest.mark.parametrize(
    "kwargs",
    [
        {"num_features": 0},
        {"hidden_units": (3, 0)},
        {"hidden_units": 32},
        {"hidden_units": "32"},
        {"code_units": 0},
    ],
)
def test_invalid_sizes_are_rejected(kwargs):
    ((name, value),) = kwargs.items()
    message = f"{name} must be .* at least 1, not {value!r}."
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        autoencoder(**kwargs)


def test_default_of_the_convolutional_network_describes_mnist():
    model = convolutional_autoencoder()
    # Kernels of 3x3 and biases; the smallest maps are 7x7 of 64 channels.
    maps = 7 * 7 * 64
    encoder = (9 * 1 * 32 + 32) + (9 * 32 * 64 + 64) + (maps * 30 + 30)
    decoder = (30 * maps + maps) + (9 * 64 * 32 + 32) + (9 * 32 * 1 + 1)
    assert model.count_params() == encoder + decoder == 228_895
    assert model.get_layer("decoder").output_shape == (None, 28, 28, 1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 8, 2), (13, 7, 3)])
def test_images_of_any_size_keep_it_in_a_convolutional_autoencoder(shape):
    model = convolutional_autoencoder(shape, filters=(4, 3, 2), code_units=2)
    x = np.random.default_rng(0).random((2, *shape)).astype("float32")
    code = model.get_layer("encoder")(x)
    assert tuple(code.shape) == (2, 2)
    restored = ops.convert_to_numpy(model.get_layer("decoder")(code))
    assert restored.shape == x.shape
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), restored, atol=1e-6)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"filters": ()}, "filters must have the number of at least one convolution"),
        ({"filters": (0,)}, "filters must be a tuple or list of integers of at least 1"),
        ({"input_shape": (28, 28)}, r"input_shape must be \(height, width, channels\)"),
        ({"code_units": 0}, "code_units must be an integer of at least 1"),
    ],
)
def test_invalid_sizes_of_a_convolutional_autoencoder_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        convolutional_autoencoder(**kwargs)
