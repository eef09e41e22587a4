"""Images that excite units most: synthetic ones, and those of a dataset."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.models import ensemble
from dlrecipes.training import ImageClassifier, preferred_images, top_images

layers = keras.layers
SIZE = 12


def linear(activation="softmax", name="linear"):
    """Returns a classifier with one weight per pixel: a wave of one period, and its negative."""
    wave = np.sin(2 * np.pi * np.arange(SIZE) / SIZE)
    weights = np.broadcast_to(wave[:, None, None], (SIZE, SIZE, 1)).reshape(-1, 1)
    network = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            layers.Flatten(),
            layers.Dense(2, activation=activation, name="scores"),
        ],
        name=name,
    )
    network.get_layer("scores").kernel.assign(np.hstack([weights, -weights]))
    return network


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_the_preferred_image_of_a_linear_unit_is_bright_where_its_weights_are_positive(activation):
    network = linear(activation)
    images = preferred_images(network, [0, 1], jitter=0)
    assert (images.dtype, images.shape) == (np.float32, (2, SIZE, SIZE, 1))
    assert images.min() >= 0
    assert images.max() <= 1
    weights = np.asarray(network.get_layer("scores").kernel)
    scores = images.reshape(2, -1) @ weights
    # No image of the range has a larger score than the one that is 1 at positive weights.
    limit = np.maximum(weights, 0).sum(axis=0)
    assert np.all(np.diag(scores) > 0.8 * limit)
    assert np.all(np.diag(scores) <= limit)


def test_the_same_seed_gives_the_same_images():
    first, again = (preferred_images(linear(), [0], steps=3, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != preferred_images(linear(), [0], steps=3, seed=2))


def cnn(name="member"):
    x = images = keras.Input((10, 10, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = layers.Conv2D(5, 3, activation="relu")(x)
    return keras.Model(images, layers.Dense(2)(layers.Flatten()(x)), name=name)


def test_a_channel_is_more_active_for_its_image_than_for_any_random_one():
    keras.utils.set_random_seed(0)
    network = cnn()
    units = [0, 1, 2, 3]
    images = preferred_images(network, units, "conv", steps=32)
    conv = network.get_layer("conv")
    noise = np.random.default_rng(0).uniform(size=(200, 10, 10, 3)).astype("float32")
    linear = [
        tf.nn.conv2d(x, conv.kernel.value, 1, "VALID").numpy().mean(axis=(1, 2))
        for x in (images, noise)
    ]
    assert np.all(np.diag(linear[0]) > linear[1].max(axis=0))


def test_ensembles_and_trainers_have_the_units_of_their_network():
    keras.utils.set_random_seed(0)
    network = cnn()
    expected = preferred_images(network, [0], "conv", steps=2)
    for model in (ensemble([network, cnn("other")]), ImageClassifier(network, ["a", "b"])):
        np.testing.assert_allclose(preferred_images(model, [0], "conv", steps=2), expected)


def test_the_images_of_a_dataset_that_excite_a_unit_most_come_first():
    images = np.random.default_rng(0).uniform(size=(70, 10, 10, 3)).astype("float32")
    network = cnn()
    conv = network.get_layer("conv")
    values = np.asarray(tf.nn.conv2d(images, conv.kernel.value, 1, "VALID")).max(axis=(1, 2))
    batches = tf.data.Dataset.from_tensor_slices((images, np.zeros(70))).batch(16)
    for data in (images, batches):
        top = top_images(network, [2, 0], data, conv, count=5)
        for row, unit in enumerate([2, 0]):
            expected = np.argsort(-values[:, unit])[:5]
            np.testing.assert_array_equal(top.positions[row], expected)
            np.testing.assert_allclose(top.activations[row], values[expected, unit], atol=1e-5)
            np.testing.assert_array_equal(top.images[row], images[expected])


def test_a_dataset_smaller_than_the_count_is_returned_whole():
    top = top_images(linear(), [1], np.ones((3, SIZE, SIZE, 1), "float32"))
    # Equal images keep their order.
    assert top.positions.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("function", [preferred_images, top_images])
def test_units_and_layers_that_do_not_exist_are_refused(function):
    more = (np.ones((1, SIZE, SIZE, 1)),) if function is top_images else ()
    with pytest.raises(ValueError, match=r"from 0 to 1 in scores, not \[2\]"):
        function(linear(), [2], *more)
    with pytest.raises(ValueError, match="linear has no layer 'conv'; it has flatten"):
        function(linear(), [0], *more, layer="conv")


def test_images_of_unknown_size_and_empty_datasets_are_refused():
    x = keras.Input((None, None, 1))
    network = keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)), name="any")
    with pytest.raises(ValueError, match=r"any must take images of a fixed size, not \(None"):
        preferred_images(network, [0])
    with pytest.raises(ValueError, match="at least one image"):
        top_images(linear(), [0], np.ones((0, SIZE, SIZE, 1)))
