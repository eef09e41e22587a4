"""Images of image classification: built-in ones, augmentation and batches."""

import numpy as np
import pytest
import tensorflow as tf
from image_classification_case import module, noise, recipe

from dlrecipes.data.labelled_images import ImageExamples
from dlrecipes.recipe import Splits


@pytest.fixture(scope="module")
def splits():
    return recipe().load_data()


def first_batch(task, model, examples, start_epoch=0):
    return next(iter(task.dataset(model, examples, start_epoch)[0]))


def test_classes_are_weighted_by_the_inverse_of_their_frequency():
    names = ["cat", "dog", "bird"]
    task = recipe(balance=True, mixing="none", batch_size=4)
    images = [noise(16, 16, seed=k) for k in range(4)]
    part = ImageExamples.from_arrays(images, [0, 0, 0, 1], names)
    model = task.build(Splits(part, part, part, description={}, notes=[]))
    _, labels, weights = first_batch(task, model, part)
    # 4 images of 2 classes: 4 / (2 * 3) and 4 / (2 * 1); they sum to the number of images.
    expected = np.where(labels.numpy()[:, 0] == 1, 4 / 6, 4 / 2)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert float(tf.reduce_sum(weights)) == pytest.approx(4)


# Data.


def test_few_training_images_are_noted(splits):
    note = "100 training images are few (fewer than 200): expect mistakes on others."
    assert splits.training_notes == [note]
    assert recipe(images=200).load_data().training_notes == []


AUGMENTATIONS = {
    "flip": {"flip": True},
    "shift": {"shift": 0.3},
    "zoom": {"zoom": 0.3},
    "rotation": {"rotation": 30},
    "colour": {"colour": 1.0},
    "random_erasing": {"random_erasing": 0.01},
    "mixup": {"mixing": "mixup"},
    "cutmix": {"mixing": "cutmix"},
    "rand_augment": {"rand_augment": 1.0},
}


NO_AUGMENTATION = {"flip": False, "shift": 0, "zoom": 0}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "rand_augment" else name
        for name in AUGMENTATIONS
    ],
)
def test_each_augmentation_changes_images_by_the_number_of_the_batch(name, splits):
    task = recipe(**{**NO_AUGMENTATION, **AUGMENTATIONS[name]})
    augment = module("augmentation").Augmentation(task.config)
    images = np.stack([splits.train.image(k) for k in range(8)]).astype("float32")
    labels = np.eye(2, dtype="float32")[splits.train.labels[:8]]
    graph = tf.function(lambda number: augment(tf.constant(images), tf.constant(labels), number))
    first, other = graph(tf.constant(0)), graph(tf.constant(1))
    for one, same in zip(first, graph(tf.constant(0)), strict=True):
        np.testing.assert_array_equal(one, same)
    assert np.any(first[0] != images)
    assert np.any(first[0] != other[0])
    for changed, target in (first, other):
        assert changed.shape == images.shape
        assert 0 <= np.min(changed) <= np.max(changed) <= 255
        assert np.isfinite(changed).all()
        np.testing.assert_allclose(np.sum(target, axis=1), 1, rtol=1e-5)
        if "mix" not in name:
            np.testing.assert_array_equal(target, labels)


def test_random_erasing_covers_no_more_than_the_setting():
    task = recipe(**NO_AUGMENTATION, random_erasing=0.01)
    augment = module("augmentation").Augmentation(task.config)
    images, labels = tf.fill([100, 64, 64, 3], 99.5), tf.ones([100, 2])
    erased = tf.function(augment)(images, labels, tf.constant(0))[0].numpy() != 99.5
    # Each side is at most sqrt(0.01) of 64 pixels, 6.4, and touches one pixel more.
    sides = [erased.any(axis=(axis, 3)).sum(axis=1).max() for axis in (1, 2)]
    assert 4 <= max(sides) <= 7


def test_without_augmentation_training_images_are_the_resized_ones(splits):
    task = recipe(**NO_AUGMENTATION)
    model = task.build(splits)
    images, _ = first_batch(task, model, splits.train)
    whole = {splits.train.image(k).tobytes() for k in range(len(splits.train))}
    assert {(255 * image).numpy().round().astype("uint8").tobytes() for image in images} <= whole


def test_an_epoch_of_few_images_is_several_passes_and_a_resumed_run_has_its_batches(splits):
    task = recipe(min_steps_per_epoch=12, batch_size=30)
    model = task.build(splits)
    # 100 images are 4 steps, so that 3 passes have 12.
    whole, steps = task.dataset(model, splits.train, 0)
    assert steps == 12
    later = next(iter(whole.skip(12)))
    for one, same in zip(first_batch(task, model, splits.train, 1), later, strict=True):
        np.testing.assert_array_equal(one, same)


def test_built_in_images_have_the_subject_and_the_number_that_is_asked_for():
    task = recipe(subject="x_or_o", images=120, size=8)
    parts = task.load_data()
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (120, 120, 120)
    assert [name.casefold() for name in parts.train.names] in (["x", "o"], ["o", "x"])
    assert task.config.data_name() == "x_or_o"


def test_images_to_measure_and_calibrate_are_of_all_classes():
    labels = np.repeat(np.arange(10), 100)
    examples = ImageExamples.from_arrays(np.zeros((1000, 2, 2, 3), "uint8"), labels, "abcdefghij")
    for count in (10, 50, 999):
        some = examples.spread(count)
        assert len(some) == count == len(set(some.rows.tolist()))
        assert np.ptp(np.bincount(some.labels, minlength=10)) <= 1
    assert len(examples.spread(5000)) == 1000
