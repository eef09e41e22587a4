import keras
import numpy as np
import pytest

from dlrecipes.layers import TrainableSubsampling2D

X = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype("float32")


def by_hand(x, coefficient, bias, window, steps):
    batch, height, width, maps = x.shape
    rows = (height - window[0]) // steps[0] + 1
    columns = (width - window[1]) // steps[1] + 1
    y = np.zeros((batch, rows, columns, maps))
    for i in range(rows):
        for j in range(columns):
            top, left = i * steps[0], j * steps[1]
            part = x[:, top : top + window[0], left : left + window[1]]
            y[:, i, j] = np.tanh(coefficient * part.sum(axis=(1, 2)) + bias)
    return y


@pytest.mark.parametrize(
    "pool_size, strides, window, steps",
    [
        (2, None, (2, 2), (2, 2)),
        ((2, 3), None, (2, 3), (2, 3)),
        (3, 2, (3, 3), (2, 2)),
        (2, (1, 3), (2, 2), (1, 3)),
    ],
)
def test_outputs_equal_the_equation(pool_size, strides, window, steps):
    layer = TrainableSubsampling2D(
        pool_size, strides, "tanh", keras.initializers.RandomNormal(seed=1), "random_normal"
    )
    y = np.array(layer(X))
    coefficient, bias = (np.array(weight) for weight in layer.get_weights())
    np.testing.assert_allclose(y, by_hand(X, coefficient, bias, window, steps), atol=1e-5)
    assert layer.compute_output_shape(X.shape) == y.shape


def test_it_starts_as_average_pooling():
    expected = keras.layers.AveragePooling2D((2, 3))(X)
    actual = TrainableSubsampling2D((2, 3))(X)
    np.testing.assert_allclose(np.array(actual), np.array(expected), atol=1e-6)


@pytest.mark.parametrize(
    "maps, size, parameters", [(6, 28, 12), (16, 10, 32)], ids=["S2 of LeNet-5", "S4"]
)
def test_parameters_and_sizes_match_the_paper(maps, size, parameters):
    layer = TrainableSubsampling2D(2)
    layer.build((None, size, size, maps))
    assert layer.count_params() == parameters
    expected = (None, size // 2, size // 2, maps)
    assert layer.compute_output_shape((None, size, size, maps)) == expected


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"pool_size": 0}, "pool_size must be one or two integers"),
        ({"pool_size": (2,)}, "pool_size must be one or two integers"),
        ({"strides": (1, 0)}, "strides must be one or two integers"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        TrainableSubsampling2D(**kwargs)


def test_maps_smaller_than_a_window_raise():
    with pytest.raises(ValueError, match=r"as large as the window, \(3, 3\)"):
        TrainableSubsampling2D(3)(np.zeros((1, 2, 2, 1), "float32"))
