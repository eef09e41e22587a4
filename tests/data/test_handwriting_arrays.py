"""Handwriting is normalised with NumPy as in the graph."""

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data import handwriting, handwriting_arrays
from dlrecipes.data.digits import builtin_digits

graph = tf.function(
    handwriting.normalise, input_signature=[tf.TensorSpec([None, None], tf.float32)]
)


def assert_equal(image, levels=0.5):
    gap = np.abs(graph(image).numpy() - handwriting_arrays.normalise(image)).max()
    assert gap < levels / 255


def digits(count):
    images = builtin_digits(seed=0)[2].images[:count]
    return [image.astype("float32") / 255 for image in images]


def test_light_digits_are_equal():
    for image in digits(30):
        assert_equal(image)


def test_large_dark_digits_are_equal():
    for image in digits(10):
        assert_equal(1 - np.repeat(np.repeat(image, 9, axis=0), 11, axis=1))


def test_photographed_digits_are_equal():
    rng = np.random.default_rng(0)
    for number, image in enumerate(digits(20)):
        image = np.pad(image, ((number, 3 * number), (2 * number, 7)))
        light = 0.6 + np.linspace(0, 0.2, image.shape[1], dtype="float32")
        noise = rng.normal(0, 0.01, image.shape)
        assert_equal((light * (1 - 0.8 * image) + noise).clip(0, 1).astype("float32"))


@pytest.mark.parametrize("width", range(1, 8))
def test_symmetric_strokes_have_the_same_place(width):
    """Their centre of mass may lie exactly between two pixels."""
    image = np.zeros((50, 50), "float32")
    image[10:40, 20 : 20 + width] = 1
    image[10 : 10 + width, 12:36] = 1
    assert_equal(image)
    assert_equal(1 - 0.7 * image)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (28, 28), (400, 5)])
def test_blank_images_are_blank(shape):
    for level in (0, 0.5, 1):
        image = np.full(shape, level, "float32")
        assert_equal(image)
        assert handwriting_arrays.normalise(image).max() == 0
