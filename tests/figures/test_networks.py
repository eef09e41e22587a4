"""Figures of convolutional networks show the network's own weights and outputs."""

import keras
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dlrecipes.figures import convolutions, feature_maps, filters
from dlrecipes.models import ensemble, mlp


def cnn(name="member", channels=1):
    inputs = keras.Input((12, 12, channels))
    first = keras.layers.Conv2D(3, 3, name="first")(inputs)
    second = keras.layers.Conv2D(20, 3, name="second")(first)
    third = keras.layers.Conv2D(2, 5, name="third")(second)
    return keras.Model(inputs, keras.layers.Flatten()(third), name=name)


def member10(network):
    """Returns a network with the same layers for images of 10x10 pixels."""
    inputs = x = keras.Input((10, 10, 1))
    for layer in network.layers[1:4]:
        x = layer(x)
    return keras.Model(inputs, keras.layers.Flatten()(x), name=network.name)


def depths(figure):
    return [part.get_suptitle() for part in figure.subfigs[1:]]


def shown(axis):
    return np.asarray(axis.images[0].get_array())


def test_convolutions_of_an_ensemble_are_the_first_members():
    members = [cnn("first_member"), cnn("second_member")]
    inputs = keras.Input((10, 10, 1))
    padded = keras.layers.ZeroPadding2D(1)(inputs)
    network = keras.Model(inputs, ensemble(members)(padded))
    assert convolutions(network) == [members[0].get_layer(n) for n in ("first", "second", "third")]
    assert convolutions(mlp((4,), 2, [3])) == []


def test_filters_show_the_weights_of_each_filter():
    layer = cnn().get_layer("first")
    figure = filters(layer)
    kernel = np.asarray(layer.kernel)
    for number in range(3):
        np.testing.assert_array_equal(shown(figure.axes[number]), kernel[:, :, 0, number])
        largest = np.abs(kernel).max()
        assert figure.axes[number].images[0].get_clim() == pytest.approx((-largest, largest))


def test_colour_filters_are_grey_where_weights_are_zero():
    layer = cnn(channels=3).get_layer("first")
    kernel = np.zeros((3, 3, 3, 3), "float32")
    kernel[0, 0, :, 0] = [2, -2, 1]
    layer.kernel.assign(kernel)
    image = shown(filters(layer).axes[0])
    np.testing.assert_allclose(image[0, 0], [1, 0, 0.75])
    np.testing.assert_allclose(image[1:], 0.5)


def test_at_most_64_filters_are_drawn():
    layer = keras.layers.Conv2D(70, 3)
    layer.build((None, 8, 8, 1))
    assert sum(bool(axis.images) for axis in filters(layer).axes[:-1]) == 64


def test_feature_maps_are_the_outputs_of_convolutions_from_the_first_to_the_last_large_one():
    member = cnn()
    inputs = keras.Input((8, 8, 1))
    framed = keras.layers.ZeroPadding2D(1)(inputs)
    network = keras.Model(inputs, ensemble([member10(member), member10(cnn("other"))])(framed))
    image = np.random.default_rng(0).uniform(size=(8, 8, 1)).astype("float32")
    figure = feature_maps(network, image)
    # The third convolution's maps of 2x2 are too small to show anything.
    assert depths(figure) == ["first: 3 of 3 maps, 8x8", "second: 8 of 20 maps, 6x6"]
    maps = [shown(axis) for axis in figure.axes if axis.images]
    np.testing.assert_array_equal(maps[0], image[..., 0])
    assert len(maps) == 1 + 3 + 8
    padded = np.pad(image, [[1, 1], [1, 1], [0, 0]])[None]
    first = member.get_layer("first")(padded)
    np.testing.assert_allclose(maps[3], first[0, :, :, 2], atol=1e-6)
    second = np.asarray(member.get_layer("second")(first))[0]
    # The most active ones, in their order.
    strongest = np.sort(np.argsort(-np.maximum(second, 0).mean(axis=(0, 1)))[:8])
    np.testing.assert_allclose(maps[4], second[..., strongest[0]], atol=1e-5)


def test_depths_are_evenly_spaced():
    x = inputs = keras.Input((12, 12, 1))
    for number in range(9):
        x = keras.layers.Conv2D(2, 3, padding="same", name=f"conv_{number}")(x)
    figure = feature_maps(keras.Model(inputs, x), np.zeros((12, 12, 1), "float32"), depths=3)
    assert [title.split(":")[0] for title in depths(figure)] == ["conv_0", "conv_4", "conv_8"]


def test_1x1_convolutions_are_left_out_where_others_are_enough():
    x = inputs = keras.Input((12, 12, 1))
    for number, size in enumerate((3, 1, 3, 1, 3)):
        x = keras.layers.Conv2D(2, size, padding="same", name=f"conv_{number}")(x)
    network, image = keras.Model(inputs, x), np.zeros((12, 12, 1), "float32")
    few, all_of_them = (feature_maps(network, image, depths=count) for count in (3, 5))
    assert [title[:6] for title in depths(few)] == ["conv_0", "conv_2", "conv_4"]
    assert len(depths(all_of_them)) == 5


def test_feature_maps_have_room_under_long_names():
    x = inputs = keras.Input((32, 32, 3))
    for number in range(5):
        name = f"a_convolution_with_quite_a_long_name_{number}"
        x = keras.layers.Conv2D(8, 3, padding="same", name=name)(x)
    figure = feature_maps(keras.Model(inputs, x), np.zeros((32, 32, 3), "float32"))
    FigureCanvasAgg(figure).draw()
    heights = [axis.get_window_extent().height / figure.dpi for axis in figure.axes]
    assert min(heights) > 0.8


def test_feature_maps_of_a_colour_image():
    figure = feature_maps(cnn(channels=3), np.full((12, 12, 3), 0.25, "float32"))
    np.testing.assert_allclose(shown(figure.axes[0]), 0.25)


def test_a_single_convolution_is_drawn_once():
    inputs = keras.Input((9, 9, 1))
    network = keras.Model(inputs, keras.layers.Conv2D(2, 3, name="only")(inputs))
    figure = feature_maps(network, np.zeros((9, 9, 1), "float32"))
    assert depths(figure) == ["only: 2 of 2 maps, 7x7"]


def test_a_network_without_convolutions_has_no_feature_maps():
    with pytest.raises(ValueError, match="perceptron has no convolution"):
        feature_maps(mlp((4, 4, 1), 2, [3], name="perceptron"), np.zeros((4, 4, 1), "float32"))
