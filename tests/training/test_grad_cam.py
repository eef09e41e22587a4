"""Grad-CAM: heat maps by the paper's equations, of any classifier."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.models import ensemble, mlp, small_cnn
from dlrecipes.training import GradCAM, ImageClassifier, grad_cam
from dlrecipes.training.grad_cam import overlay

layers = keras.layers
CLASSES = 3


def pooled_cnn(activation=None, name="member", filters=4):
    """Returns a network with maps of the images' size, global average pooling and one layer."""
    x = images = keras.Input((6, 5, 2))
    x = layers.Conv2D(filters, 3, padding="same", activation="relu", name="maps")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(CLASSES, activation=activation, name="scores")(x)
    return keras.Model(images, x, name=name)


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(3, 6, 5, 2)).astype("float32")


def cam(network, images, classes):
    """Returns class activation maps, of Zhou et al. 2016: the last layer's weights of the maps."""
    maps = np.asarray(network.get_layer("maps")(images))
    weights = np.asarray(network.get_layer("scores").kernel)[:, classes]
    # The gradient of the mean over all positions has the number of positions as a divisor.
    return np.maximum(np.einsum("bhwk,kb->bhw", maps, weights), 0) / maps[0, ..., 0].size


def normalized(maps):
    largest = maps.max(axis=(1, 2), keepdims=True)
    return np.where(largest > 0, maps / np.where(largest > 0, largest, 1), 0)


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
def test_with_global_average_pooling_it_equals_class_activation_maps(images, activation):
    network = pooled_cnn(activation)
    for classes in ([0, 1, 2], [2, 2, 0]):
        expected = normalized(cam(network, images, classes))
        np.testing.assert_allclose(grad_cam(network, images, classes), expected, atol=1e-5)


def test_the_predicted_classes_are_explained_by_default(images):
    network = pooled_cnn()
    predicted = np.asarray(network(images)).argmax(axis=1)
    maps = grad_cam(network, images)
    assert maps.dtype == tf.float32
    np.testing.assert_array_equal(maps, grad_cam(network, images, predicted))
    # One class for all images.
    np.testing.assert_array_equal(grad_cam(network, images, 1), grad_cam(network, images, [1] * 3))


def nested(images):
    """Returns networks in which a feature extractor and its head are models, or the whole is."""
    x = keras.Input((6, 5, 2))
    plain = pooled_cnn()
    base = keras.Model(plain.inputs, plain.get_layer("maps").output)
    head = keras.Sequential([layers.GlobalAveragePooling2D(), plain.get_layer("scores")])
    scaled = layers.Rescaling(1.0)(x)
    yield plain, keras.Model(x, head(base(scaled)))
    yield plain, keras.Model(x, layers.Softmax()(plain(scaled)))
    yield plain, keras.Model(x, layers.Activation("softmax")(plain(scaled)))
    yield plain, keras.Sequential([keras.Input((6, 5, 2)), plain])
    yield plain, ImageClassifier(plain, ["a", "b", "c"])


def test_nested_models_are_explained_as_flat_ones(images):
    for plain, network in nested(images):
        expected = normalized(cam(plain, images, [0, 1, 2]))
        np.testing.assert_allclose(grad_cam(network, images, [0, 1, 2]), expected, atol=1e-5)


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_the_map_of_an_ensemble_is_the_mean_of_its_members(images, activation):
    networks = [pooled_cnn(activation, "a"), pooled_cnn(activation, "b", filters=7)]
    whole = ensemble(networks)
    x = keras.Input((6, 5, 2))
    mean = keras.Model(x, layers.Average()([network(x) for network in networks]))
    parts = [cam(network, images, [0, 1, 2]) for network in networks]
    for model in (whole, mean):
        maps = grad_cam(model, images, [0, 1, 2])
        np.testing.assert_allclose(maps, normalized(sum(parts)), atol=1e-5)
        assert GradCAM(model).has_probabilities == bool(activation)


def test_explaining_leaves_the_network_as_it_was(images):
    network = pooled_cnn("softmax")
    before = network.get_layer("scores").activation
    explain = GradCAM(network)
    outputs, _ = explain.explain(images)
    np.testing.assert_array_equal(outputs, network(images))
    assert network.get_layer("scores").activation is before
    assert "call" not in vars(network.get_layer("maps"))
    with pytest.raises(ValueError, match="incompatible"):
        explain(images[..., :1])
    assert network.get_layer("scores").activation is before


def test_it_works_inside_a_saved_function(images, tmp_path):
    network = pooled_cnn("softmax")
    module = tf.Module()
    module.network, explain = network, GradCAM(network)
    spec = tf.TensorSpec([None, 6, 5, 2])
    module.explain = tf.function(lambda x: explain(x), input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.explain(images), explain(images), atol=1e-6)


def test_maps_have_the_size_of_the_images_and_values_from_0_to_1():
    network = small_cnn(4, input_shape=(28, 32, 3), width=0.2)
    images = np.random.default_rng(0).uniform(size=(2, 28, 32, 3)).astype("float32")
    maps = np.asarray(grad_cam(network, images, layer="conv_2"))
    assert maps.shape == (2, 28, 32)
    assert maps.min() >= 0
    assert maps.max() == 1


def test_an_image_without_evidence_has_an_empty_map(images):
    network = pooled_cnn()
    network.get_layer("scores").kernel.assign(-np.ones((4, CLASSES)))
    np.testing.assert_array_equal(grad_cam(network, images), np.zeros((3, 6, 5)))


def test_low_precision_features_give_float32_maps():
    x = inputs = keras.Input((6, 5, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", dtype="mixed_bfloat16")(x)
    x = layers.GlobalAveragePooling2D(dtype="float32")(x)
    network = keras.Model(inputs, layers.Dense(CLASSES)(x))
    maps = grad_cam(network, np.ones((2, 6, 5, 2), "float32"), 0)
    assert maps.dtype == tf.float32


def test_by_default_the_last_map_before_pooling_is_explained():
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, name="first")(x)
    x = layers.ReLU(name="fine")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(2, 3, name="single")(x)  # One pixel.
    network = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    assert [layer.name for layer in GradCAM(network).layers] == ["fine"]
    assert [layer.name for layer in GradCAM(network, "first").layers] == ["first"]
    assert GradCAM(network, network.get_layer("first")).layers == [network.get_layer("first")]


def test_a_network_without_feature_maps_is_refused():
    with pytest.raises(ValueError, match=r"^perceptron has no feature maps larger than 1x1"):
        GradCAM(mlp((4, 4, 1), 2, [3], name="perceptron"))
    with pytest.raises(ValueError, match="no layer 'conv_9' with feature maps; it has maps"):
        GradCAM(pooled_cnn(), "conv_9")
    with pytest.raises(ValueError, match=r"must output \(batch, classes\)"):
        GradCAM(keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3)]))
    x = keras.Input((4, 4, 1))
    with pytest.raises(ValueError, match="one output, not 2"):
        GradCAM(keras.Model(x, [x, layers.Flatten()(x)]))


def test_an_overlay_is_the_grey_image_where_the_map_is_zero():
    image = np.zeros((1, 4, 4, 3), "uint8")
    image[..., 0] = 255
    heat = np.zeros((1, 4, 4), "float32")
    heat[0, 0, 0] = 1
    drawn = np.asarray(overlay(image, heat))
    assert (drawn.dtype, drawn.shape) == (np.uint8, (1, 4, 4, 3))
    # ITU-R BT.601's weight of red is 0.299.
    assert np.abs(drawn[0, 1:].astype(int) - 0.299 * 255).max() <= 1
    assert drawn[0, 0, 0, 0] > 200
    assert drawn[0, 0, 0, 0] > drawn[0, 0, 0, 2]
    np.testing.assert_array_equal(overlay(image / 255, heat), drawn)


@pytest.mark.parametrize(
    ("size", "side"),
    # Maps of half, a quarter, an eighth and a sixteenth of the size.
    [(128, 8), (112, 7), (64, 4), (56, 4), (28, 4), (14, 4), (12, 6), (6, 3), (None, None)],
)
def test_the_last_map_of_4x4_positions_or_more_is_explained(size, side):
    x = images = keras.Input((size, size, 1))
    for _ in range(4):
        x = layers.Conv2D(2, 3, strides=2, padding="same", activation="relu")(x)
        x = layers.Conv2D(2, 3, padding="same", activation="relu")(x)
    x = layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x))
    (chosen,) = GradCAM(keras.Model(images, x)).layers
    assert tuple(chosen.output.shape[1:3]) == (side, side)
    # The second layer of its size.
    assert chosen.strides == (1, 1)
