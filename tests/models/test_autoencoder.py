import itertools

import keras
import numpy as np
import pytest
from keras import ops

from dlrecipes.models import autoencoder


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
