"""Augmentation depends on the data and the seed alone, in any order and in parallel."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data.seeded_augmentation import SeededAugmentation

RANGE = (0, 255)
IMAGES = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype("float32")
LABELS = np.eye(6, dtype="float32")
layers = keras.layers
IMAGE_LAYERS = {
    "flip": lambda: layers.RandomFlip("horizontal"),
    "translation": lambda: layers.RandomTranslation(0.3, 0.3, interpolation="nearest"),
    "zoom": lambda: layers.RandomZoom((-0.5, 0.5)),
    "rotation": lambda: layers.RandomRotation(0.2),
    "jitter": lambda: layers.RandomColorJitter(
        RANGE, 0.3, 0.3, saturation_factor=(0.3, 0.7), hue_factor=0.1
    ),
    "rand_augment": lambda: layers.RandAugment(RANGE, factor=0.7),
    "erasing": lambda: layers.RandomErasing((1.0, 1.0), scale=(0.3, 0.6), value_range=RANGE),
}
PAIR_LAYERS = {"mixup": layers.MixUp, "cutmix": layers.CutMix}


def seeds(count):
    return [tf.constant([5, number]) for number in range(count)]


def graph(augment):
    return tf.function(lambda images, seed: augment(images, seed))


@pytest.mark.parametrize("name", IMAGE_LAYERS)
def test_the_seed_alone_decides_in_any_order(name):
    first = graph(SeededAugmentation([IMAGE_LAYERS[name]()]))
    forward = [first(IMAGES, seed).numpy() for seed in seeds(4)]
    # Another layer of the same kind, called in another order.
    other = graph(SeededAugmentation([IMAGE_LAYERS[name]()]))
    backward = [other(IMAGES, seed).numpy() for seed in reversed(seeds(4))]
    np.testing.assert_array_equal(forward, backward[::-1])
    assert len({batch.tobytes() for batch in forward}) == 4
    assert np.any(forward[0] != IMAGES)


@pytest.mark.parametrize("name", PAIR_LAYERS)
def test_pairs_and_their_labels_are_mixed_by_the_seed_alone(name):
    def mixed():
        augment = SeededAugmentation([PAIR_LAYERS[name]()])
        return tf.function(lambda seed: augment({"images": IMAGES, "labels": LABELS}, seed))

    first, other = mixed(), mixed()
    forward = [first(seed) for seed in seeds(3)]
    backward = [other(seed) for seed in reversed(seeds(3))][::-1]
    for one, same in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(one["images"], same["images"])
        np.testing.assert_array_equal(one["labels"], same["labels"])
        # Each label is a mixture of at most two.
        np.testing.assert_allclose(np.sum(one["labels"], axis=1), 1, rtol=1e-5)
        assert np.count_nonzero(one["labels"], axis=1).max() <= 2
    assert len({batch["images"].numpy().tobytes() for batch in forward}) == 3


def test_a_parallel_map_equals_one_call_after_another():
    augment = SeededAugmentation([make() for make in IMAGE_LAYERS.values()])
    batches = tf.data.Dataset.range(6).map(
        lambda number: augment(tf.constant(IMAGES), tf.stack([5, tf.cast(number, tf.int32)])),
        num_parallel_calls=4,
    )
    one = graph(augment)
    for batch, seed in zip(batches, seeds(6), strict=True):
        # TensorFlow optimizes the two graphs differently.
        np.testing.assert_allclose(batch, one(IMAGES, seed), atol=0.01)


def test_every_layer_of_a_row_is_applied_with_a_seed_of_its_own():
    # Two translations along the width: with the same seed, all would be even.
    def shifts(count):
        chosen = [layers.RandomTranslation(0.0, 0.5, interpolation="nearest") for _ in range(count)]
        return graph(SeededAugmentation(chosen))

    image = np.zeros((1, 3, 64, 1), "float32")
    image[:, :, 32] = 255
    one, both = shifts(1), shifts(2)
    differences = []
    for seed in seeds(20):
        places = [np.flatnonzero(f(image, seed)[0, 1, :, 0]) - 32 for f in (one, both)]
        if all(map(len, places)):
            differences.append(places[1][0] - 2 * places[0][0])
    assert len(differences) > 5
    assert max(map(abs, differences)) > 1


def test_every_operation_of_rand_augment_has_random_numbers_of_its_seed():
    layer = layers.RandAugment(RANGE, factor=1.0)
    augment = graph(SeededAugmentation([layer]))
    for seed in seeds(2):
        augment(IMAGES, seed)
    generators = [
        inner.generator
        for inner in (layer, *layer._flatten_layers(include_self=False))
        if hasattr(inner, "generator")
    ]
    assert len(generators) >= 9
    assert len({id(generator) for generator in generators}) == 1
    # Random numbers of the layers' own would count their calls in a variable.
    assert int(np.sum(generators[0].state.value[1])) == 0


def test_each_image_of_a_batch_changes_in_its_own_way():
    flipped = graph(SeededAugmentation([IMAGE_LAYERS["flip"]()]))(IMAGES, seeds(1)[0]).numpy()
    kept = (flipped == IMAGES).all(axis=(1, 2, 3))
    mirrored = (flipped == IMAGES[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (kept ^ mirrored).all()
    many = np.repeat(IMAGES[:1], 400, axis=0)
    flipped = graph(SeededAugmentation([IMAGE_LAYERS["flip"]()]))(many, seeds(1)[0]).numpy()
    # The standard deviation of the fraction is 0.5 / 20.
    assert abs((flipped == many).all(axis=(1, 2, 3)).mean() - 0.5) < 4 * 0.025


def test_without_layers_the_data_are_unchanged():
    assert SeededAugmentation([])(IMAGES, seeds(1)[0]) is IMAGES
