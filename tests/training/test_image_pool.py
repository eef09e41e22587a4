"""The image pool follows the authors' algorithm, for whole batches at once."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.training import ImagePool
from dlrecipes.training._engine import stateless_random


def images(first, count):
    """Returns images whose pixels all have the image's number."""
    numbers = np.arange(first, first + count, dtype="float32")
    return np.broadcast_to(numbers[:, None, None], (count, 2, 1))


def numbers(images):
    """Returns the numbers of images, each of which must be complete."""
    images = np.array(images)
    assert (images == images[:, :1, :1]).all()
    return images[:, 0, 0].tolist()


class ReferencePool:
    """The authors' pool, image by image, with given random numbers."""

    def __init__(self, size):
        self.size = size
        self.images = []

    def query(self, batch, random):
        returned = []
        for image, (swap, which) in zip(batch, random, strict=True):
            if len(self.images) < self.size:
                self.images.append(image)
                returned.append(image)
            elif swap > 0.5:
                place = int(which * self.size)
                returned.append(self.images[place])
                self.images[place] = image
            else:
                returned.append(image)
        return returned


@pytest.mark.parametrize("size, batch", [(50, 1), (50, 8), (7, 4), (3, 8), (1, 5)])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_pool_equals_the_authors_given_the_same_random_numbers(size, batch, compiled):
    if compiled and size == 50:
        pytest.skip("the smaller pools cover this case")
    pool, reference = ImagePool(size, seed=3, stream=1), ReferencePool(size)
    pool.build((None, 2, 1))

    def generate(step):
        return stateless_random.uniform([batch, 2], 3, step, 1)

    # XLA generates other random numbers.
    query = tf.function(pool.query, jit_compile=True) if compiled else pool.query
    generate = tf.function(generate, jit_compile=True) if compiled else generate
    for step in range(75 if batch == 1 else 20):
        new = images(step * batch, batch)
        random = generate(tf.constant(step)).numpy()
        expected = reference.query(new, random)
        assert numbers(query(tf.constant(new), tf.constant(step))) == numbers(expected)
        assert numbers(pool.images.numpy()[: len(reference.images)]) == numbers(reference.images)
        assert int(pool.count) == len(reference.images)


def test_the_pool_fills_and_then_keeps_its_size():
    pool = ImagePool(size=5)
    for step in range(6):
        new = images(1 + 2 * step, 2)
        returned = numbers(pool.query(tf.constant(new), step))
        if step < 2:
            assert returned == numbers(new)
        assert int(pool.count) == min(2 * (step + 1), 5)
        assert pool.images.shape == (5, 2, 1)
    assert 0.0 not in numbers(pool.images)


def test_no_image_is_lost_or_duplicated():
    # Each image is either returned or stored: a full pool swaps one for one.
    pool = ImagePool(size=4)
    pool.query(tf.constant(images(0, 4)), 0)
    inside = numbers(pool.images)
    for step in range(1, 20):
        new = images(100 * step, 6)
        returned = numbers(pool.query(tf.constant(new), step))
        assert sorted([*inside, *numbers(new)]) == sorted([*returned, *numbers(pool.images)])
        inside = numbers(pool.images)


def test_half_of_the_returned_images_are_old_and_from_any_place():
    size, count = 10, 4000
    pool = ImagePool(size, seed=1)
    pool.query(tf.constant(images(0, size)), 0)
    swapped, places = 0, np.zeros(size)
    for step in range(1, 9):
        random = stateless_random.uniform([count // 8, 2], 1, tf.constant(step)).numpy()
        new = images(step * count, count // 8)
        returned = numbers(pool.query(tf.constant(new), step))
        old = np.array(returned) != np.array(numbers(new))
        swapped += old.sum()
        places += np.bincount((random[old, 1] * size).astype(int), minlength=size)
    # Binomial: 4 standard deviations are 4 * sqrt(4000 / 4) = 127, and for each of ten
    # places 4 * sqrt(2000 * 0.09) = 54.
    assert abs(swapped - count / 2) < 127
    assert np.all(np.abs(places - count / 2 / size) < 60)


def test_a_pool_of_size_zero_returns_every_image():
    pool = ImagePool(size=0)
    for step in range(3):
        new = images(step, 3)
        np.testing.assert_array_equal(pool.query(tf.constant(new), step), new)
    assert pool.weights == []


def test_random_choices_depend_on_seed_stream_and_step():
    def returned(seed, stream, step):
        pool = ImagePool(8, seed, stream)
        pool.query(tf.constant(images(0, 8)), 0)
        return numbers(pool.query(tf.constant(images(8, 8)), step))

    assert returned(0, 0, 1) == returned(0, 0, 1)
    assert returned(0, 0, 1) not in (returned(1, 0, 1), returned(0, 1, 1), returned(0, 0, 2))


def test_no_gradient_flows_through_the_pool():
    pool, new = ImagePool(2), tf.constant(images(1, 2))
    with tf.GradientTape() as tape:
        tape.watch(new)
        total = tf.reduce_sum(pool.query(2 * new, 0))
    assert tape.gradient(total, new) is None


def test_returned_images_have_the_dtype_of_the_new_ones():
    pool = ImagePool(2)
    returned = pool.query(tf.constant(images(1, 4), tf.bfloat16), 0)
    assert returned.dtype == tf.bfloat16
    assert numbers(tf.cast(returned, tf.float32)[:2]) == [1.0, 2.0]
    assert pool.images.dtype == "float32"


def test_a_pool_has_non_trainable_weights_and_a_complete_config():
    pool = ImagePool(3, seed=4, stream=2)
    pool.build((None, 2, 1))
    assert [tuple(w.shape) for w in pool.non_trainable_weights] == [(3, 2, 1), ()]
    assert pool.trainable_weights == []
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(pool))
    assert (again.size, again.seed, again.stream) == (3, 4, 2)


def test_invalid_sizes_are_rejected():
    with pytest.raises(ValueError, match="size must be an integer of at least 0, not -1"):
        ImagePool(-1)
    pool = ImagePool(2)
    pool.build((None, 2, 1))
    with pytest.raises(ValueError, match=r"images of shape \(2, 1\), not \(3, 1\)"):
        pool.query(tf.zeros((1, 3, 1)), 0)
