"""Joined flips, shifts and zooms give the same pixels as Keras' layers, one after another."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data import _resampling
from dlrecipes.data.seeded_augmentation import SeededAugmentation

layers = keras.layers
HEIGHT, WIDTH = 9, 14
IMAGES = np.random.default_rng(0).uniform(0, 255, (7, HEIGHT, WIDTH, 3)).astype("float32")
KINDS = {
    "flip": lambda: layers.RandomFlip("horizontal"),
    "upside down": lambda: layers.RandomFlip("horizontal_and_vertical"),
    "whole pixels": lambda: layers.RandomTranslation(0.4, 0.3, interpolation="nearest"),
    "parts of pixels": lambda: layers.RandomTranslation(0.3, 0.4),
    "zoom": lambda: layers.RandomZoom((-0.5, 0.5)),
    "stretch": lambda: layers.RandomZoom((-0.5, 1.0), (-0.5, 0.9)),
    "nearest zoom": lambda: layers.RandomZoom(0.6, interpolation="nearest"),
    # Far beyond the borders, where the image is reflected several times.
    "far": lambda: layers.RandomTranslation((0.9, 1.0), (-1.0, -0.9)),
}
ROWS = [
    *([name] for name in KINDS),
    *map(list, itertools.permutations(["flip", "whole pixels", "zoom"])),
    ["parts of pixels", "nearest zoom", "upside down", "stretch", "whole pixels"],
]
SEED = tf.constant([5, 3])


def results(names, monkeypatch, images=IMAGES):
    """Returns the images of the joined layers, and those of Keras' with the same seed."""

    def run():
        augment = SeededAugmentation([KINDS[name]() for name in names])
        return tf.function(lambda x: augment(x, SEED))(images)

    joined = run()
    with monkeypatch.context() as patch:
        patch.setattr(_resampling, "LARGEST", 0)
        patch.setattr(_resampling, "resample", None)
        return joined, run()


@pytest.mark.parametrize("names", ROWS, ids="+".join)
def test_joined_layers_equal_those_of_keras(names, monkeypatch):
    joined, keras_alone = results(names, monkeypatch)
    assert np.any(joined != IMAGES)
    np.testing.assert_allclose(joined, keras_alone, atol=0.01)


def test_labels_stay_as_they_are(monkeypatch):
    data = {"images": IMAGES, "labels": np.eye(7, dtype="float32")}
    joined, keras_alone = results(["flip", "zoom"], monkeypatch, data)
    np.testing.assert_array_equal(joined["labels"], data["labels"])
    np.testing.assert_allclose(joined["images"], keras_alone["images"], atol=0.01)


@pytest.mark.parametrize("size", [1, 2])
def test_images_of_few_pixels_equal_those_of_keras(size, monkeypatch):
    joined, keras_alone = results(["flip", "whole pixels", "zoom"], monkeypatch, IMAGES[:, :size])
    np.testing.assert_allclose(joined, keras_alone, atol=0.01)


def test_integers_are_resampled_as_floats(monkeypatch):
    joined, keras_alone = results(["zoom"], monkeypatch, IMAGES.astype("uint8"))
    assert joined.dtype == keras_alone.dtype == tf.float32
    np.testing.assert_allclose(joined, keras_alone, atol=0.01)


@pytest.mark.parametrize(
    "layer",
    [
        layers.RandomZoom(0.5, fill_mode="constant"),
        layers.RandomTranslation(0.5, 0.5, fill_mode="wrap"),
        layers.RandomFlip("horizontal", data_format="channels_first"),
        layers.RandomFlip("horizontal", dtype="bfloat16"),
        layers.RandomRotation(0.5),
        type("OwnZoom", (layers.RandomZoom,), {})(0.5),
    ],
    ids=lambda layer: layer.name,
)
def test_other_layers_are_left_to_keras(layer):
    assert not _resampling.is_resampling(layer)


def test_large_images_and_boxes_are_left_to_keras(monkeypatch):
    monkeypatch.setattr(_resampling, "resample", None)
    augment = SeededAugmentation([KINDS["flip"]()])
    large = tf.zeros([1, 8, _resampling.LARGEST + 1, 3])
    assert augment(large, SEED).shape == large.shape
    masks = {"images": tf.zeros([1, 8, 8, 3]), "segmentation_masks": tf.zeros([1, 8, 8, 1])}
    assert augment(masks, SEED)["segmentation_masks"].shape == (1, 8, 8, 1)
