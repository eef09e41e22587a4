import numpy as np
import pytest
from keras import ops

from dlrecipes.models import mlp, perceptron

PAIRS = ops.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def test_perceptron_starts_from_the_given_weights():
    y = perceptron(2, weights=[1, 1], threshold=2, output="bipolar")(PAIRS)
    assert ops.convert_to_numpy(y).tolist() == [[-1], [-1], [-1], [1]]
    layer = perceptron(3, units=2).get_layer("threshold_unit")
    assert layer.kernel.shape == (3, 2)
    # 3 x 2 weights and 2 thresholds.
    assert layer.count_params() == 8


def test_default_mlp_is_lenet_300_100():
    # LeCun et al. 1998: 28x28-300-100-10. Han et al. 2015, "Learning both weights and
    # connections", table 1, give LeNet-300-100 as 267 thousand parameters.
    model = mlp()
    expected = (784 * 300 + 300) + (300 * 100 + 100) + (100 * 10 + 10)
    assert model.count_params() == expected == 266_610
    assert model.input_shape == (None, 28, 28, 1)


def test_mlp_matches_its_formula():
    model = mlp((3,), num_outputs=2, hidden_units=(4,))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    w1, b1, w2, b2 = model.get_weights()
    expected = np.tanh(x @ w1 + b1) @ w2 + b2
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), expected, atol=1e-5)


def test_mlp_without_hidden_layers_is_linear():
    assert [layer.name for layer in mlp((3,), hidden_units=()).layers] == ["features", "outputs"]


def test_each_hidden_layer_has_dropout_with_a_different_seed():
    model = mlp((3,), hidden_units=(4, 4), dropout=0.5, seed=7)
    names = [layer.name for layer in model.layers]
    assert names == ["features", "hidden_1", "dropout_1", "hidden_2", "dropout_2", "outputs"]
    assert model.get_layer("dropout_1").seed != model.get_layer("dropout_2").seed


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [
        ({"input_shape": (0,)}, "input_shape"),
        ({"input_shape": (None, 3)}, "input_shape"),
        ({"num_outputs": 0}, "num_outputs"),
        ({"hidden_units": (3, 0)}, "hidden_units"),
        ({"input_shape": 4}, "input_shape"),
        ({"hidden_units": 5}, "hidden_units"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": None}, "dropout"),
    ],
)
def test_invalid_arguments_of_an_mlp_are_rejected(kwargs, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        mlp(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_features": 0}, "num_features must be"),
        ({"num_features": 2, "units": 0}, "units must be"),
        ({"num_features": 3, "weights": [1, 1]}, "weights must be for 3 inputs, not 2"),
    ],
)
def test_invalid_arguments_of_a_perceptron_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        perceptron(**kwargs)
