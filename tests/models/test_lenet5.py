import keras
import numpy as np
import pytest

from dlrecipes.models import lenet5
from dlrecipes.models.digit_bitmaps import digit_bitmaps
from dlrecipes.models.lenet5 import CONNECTIONS

PAPER = {
    "activation": "scaled_tanh",
    "pooling": "trainable",
    "connections": "paper",
    "output": "rbf",
}


def parameters(model):
    return {
        layer.name: sum(int(np.prod(weight.shape)) for weight in layer.trainable_weights)
        for layer in model.layers
        if layer.weights
    }


def test_papers_network_has_the_papers_parameter_counts():
    model = lenet5(**PAPER)
    # Section II.B, layer by layer; the prototypes of the output are fixed.
    expected = {
        "C1": 156,
        "S2": 12,
        "C3": 1_516,
        "S4": 32,
        "C5": 48_120,
        "F6": 10_164,
        "distances": 0,
    }
    assert parameters(model) == expected
    assert sum(expected.values()) == 60_000
    assert model.count_params() == 60_000 + 10 * 84


def test_simplified_network_is_fully_connected_without_pooling_weights():
    assert parameters(lenet5()) == {
        "C1": 5 * 5 * 1 * 6 + 6,
        "C3": 5 * 5 * 6 * 16 + 16,
        "C5": 5 * 5 * 16 * 120 + 120,
        "F6": 120 * 84 + 84,
        "predictions": 84 * 10 + 10,
    }


def test_connections_match_the_papers_description():
    def rotations(maps, count):
        return [{(index + shift) % 6 for index in maps} for shift in range(count)]

    connections = [set(maps) for maps in CONNECTIONS]
    # "Every contiguous subset" of three and of four, then subsets of two pairs, then all maps.
    assert connections[:6] == rotations((0, 1, 2), 6)
    assert connections[6:12] == rotations((0, 1, 2, 3), 6)
    assert {*map(frozenset, connections[12:15])} == {*map(frozenset, rotations((0, 1, 3, 4), 3))}
    assert connections[15:] == [set(range(6))]
    layer = lenet5(connections="paper").get_layer("C3")
    assert [set(np.flatnonzero(column)) for column in np.array(layer.connections).T] == connections


@pytest.mark.parametrize("kwargs", [{}, {"pooling": "average"}, PAPER])
def test_feature_maps_have_the_sizes_of_the_papers_figure(kwargs):
    model = lenet5(**kwargs)
    sizes = [model.get_layer(name).output.shape[1:] for name in ("C1", "S2", "C3", "S4", "C5")]
    assert sizes == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (1, 1, 120)]
    assert model.get_layer("F6").output.shape == (None, 84)


@pytest.mark.parametrize("kwargs", [{}, PAPER])
def test_padding_is_a_border_of_zeros_around_the_smaller_image(kwargs):
    smaller = lenet5(input_shape=(28, 28, 1), padding="same", **kwargs)
    larger = lenet5(**kwargs)
    larger.set_weights(smaller.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype("float32")
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_allclose(np.array(smaller(x)), np.array(larger(padded)), atol=1e-5)


def test_scaled_tanh_follows_each_layer_of_the_paper_up_to_f6():
    model = lenet5(**PAPER)
    for name in ("C1", "S2", "C3", "S4", "C5", "F6"):
        assert model.get_layer(f"{name}_activation").input is model.get_layer(name).output
    activation = model.get_layer("C1_activation")
    x = np.array([[-2.0, 0.0, 0.3, 1.0]], "float32")
    np.testing.assert_allclose(np.array(activation(x)), 1.7159 * np.tanh(x * 2 / 3), atol=1e-6)


def test_max_pooling_has_no_activation():
    names = {layer.name for layer in lenet5().layers}
    assert "S2_activation" not in names
    assert {"C1_activation", "C3_activation", "C5_activation", "F6_activation"} <= names


@pytest.mark.parametrize("custom", [None, np.random.default_rng(1).normal(size=(4, 84))])
def test_logits_are_negative_squared_distances_to_the_prototypes(custom):
    classes = 10 if custom is None else 4
    model = lenet5(classes, **PAPER, prototypes=custom, classifier_activation=None)
    features = keras.Model(model.input, model.get_layer("F6_activation").output)
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    prototypes = digit_bitmaps() if custom is None else custom
    expected = -np.square(np.array(features(x))[:, None] - prototypes).sum(axis=-1)
    np.testing.assert_allclose(np.array(model(x)), expected, rtol=1e-5)


def test_fewer_than_ten_classes_use_the_first_digits():
    layer = lenet5(3, output="rbf").get_layer("distances")
    np.testing.assert_array_equal(np.array(layer.kernel), digit_bitmaps()[:3])


def test_bitmaps_are_binary_and_differ_clearly():
    bitmaps = digit_bitmaps()
    assert bitmaps.shape == (10, 7 * 12)
    assert set(np.unique(bitmaps)) == {-1, 1}
    different = (bitmaps[:, None] != bitmaps[None]).sum(axis=-1)
    # Two digits differ in at least a tenth of the pixels, which separates the classes.
    assert different[~np.eye(10, dtype=bool)].min() >= 8


def test_width_scales_channels_and_units():
    model = lenet5(width=1 / 2)
    sizes = [model.get_layer(name).output.shape[-1] for name in ("C1", "C3", "C5", "F6")]
    assert sizes == [3, 8, 60, 42]
    prototypes = np.ones((3, 42))
    assert lenet5(3, width=1 / 2, output="rbf", prototypes=prototypes).output_shape == (None, 3)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"padding": "full"}, "padding must be one of 'valid', 'same', not 'full'"),
        ({"pooling": "min"}, "pooling must be one of 'max', 'average', 'trainable', not 'min'"),
        ({"connections": "none"}, "connections must be one of 'full', 'paper', not 'none'"),
        ({"output": "svm"}, "output must be one of 'dense', 'rbf', not 'svm'"),
        ({"connections": "paper", "width": 2}, "connections='paper' needs a width of 1, not 2"),
        ({"output": "rbf", "width": 0.5}, r"needs prototypes of shape \(10, 42\)"),
        ({"output": "rbf", "num_classes": 11}, r"needs prototypes of shape \(11, 84\)"),
        (
            {"output": "rbf", "prototypes": np.ones((9, 84))},
            r"prototypes must be of shape \(10, 84\), not \(9, 84\)",
        ),
        ({"prototypes": np.ones((10, 84))}, "prototypes are for output='rbf'"),
    ],
)
def test_invalid_arguments_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        lenet5(**kwargs)
