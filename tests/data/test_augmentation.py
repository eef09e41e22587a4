"""Augmentation depends on the seed alone and changes images as described."""

import numpy as np
import tensorflow as tf

from dlrecipes.data.augmentation import (
    random_colour,
    random_erasing,
    random_flip,
    random_jitter,
    warp,
    wear_glasses,
)

SEED = tf.constant([1, 2])


def four_deviations(probability, count):
    """Four standard deviations of the observed fraction of `count` independent events."""
    return 4 * np.sqrt(probability * (1 - probability) / count)


def test_flip_mirrors_a_fraction_of_the_images():
    images = np.random.default_rng(0).normal(size=(200, 5, 6, 2)).astype("float32")
    flipped = random_flip(tf.constant(images), SEED, 0.3).numpy()
    mirrored = np.array(
        [np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, images, strict=True)]
    )
    unchanged = np.array([np.array_equal(a, b) for a, b in zip(flipped, images, strict=True)])
    np.testing.assert_array_equal(mirrored, ~unchanged)
    assert abs(mirrored.mean() - 0.3) < four_deviations(0.3, 200)
    np.testing.assert_array_equal(random_flip(tf.constant(images), SEED, 0.3).numpy(), flipped)


def test_jitter_moves_all_channels_together_and_depends_on_the_seed_alone():
    images = np.random.default_rng(0).uniform(-1, 1, (6, 32, 32, 3)).astype("float32")
    pairs = tf.concat([images, -images], axis=-1)
    jittered = random_jitter(pairs, 0.117, True, tf.constant([0, 5])).numpy()
    np.testing.assert_allclose(jittered[..., :3], -jittered[..., 3:], atol=1e-6)
    again = random_jitter(pairs, 0.117, True, tf.constant([0, 5])).numpy()
    np.testing.assert_array_equal(jittered, again)
    other = random_jitter(pairs, 0.117, True, tf.constant([0, 6])).numpy()
    assert (other != jittered).mean() > 0.5
    plain = random_jitter(pairs, 0.0, False, tf.constant([0, 5])).numpy()
    np.testing.assert_allclose(plain[..., :3], images, atol=1e-6)


def test_warp_deforms_all_images_of_a_group_equally():
    stddev, groups, group_size = 2.0, 300, 2
    rows, columns = np.mgrid[:24, :32].astype("float32")
    # The value of each pixel is its own position.
    image = np.stack([rows, columns, rows + columns], axis=-1)
    images = tf.tile(image[None], [groups * group_size, 1, 1, 1])
    warped = warp(images, group_size, stddev, SEED).numpy()
    np.testing.assert_array_equal(warped, warp(images, group_size, stddev, SEED).numpy())
    by_group = warped.reshape(groups, group_size, *warped.shape[1:])
    np.testing.assert_array_equal(by_group[:, 0], by_group[:, 1])
    assert not np.allclose(by_group[0, 0], by_group[1, 0])
    np.testing.assert_allclose(warped[..., 0] + warped[..., 1], warped[..., 2], atol=1e-3)
    # Nothing is read from outside the image.
    assert warped[..., 0].min() >= 0
    assert warped[..., 0].max() <= 23
    # Far from the edges, points move as far as they should: between four independent points of
    # the grid, a bicubic mean moves less.
    shifts = (by_group[:, 0] - image)[:, 10:14, 14:18, :2]
    assert 0.5 * stddev < shifts.std() < 1.1 * stddev
    assert abs(shifts.mean()) < 4 * stddev / np.sqrt(2 * groups)
    # Smooth: six rows divide the difference between two points of the grid among them.
    assert np.abs(np.diff(shifts, axis=1)).std() < np.sqrt(2) * stddev / 6


def test_glasses_are_drawn_over_the_eyes_of_a_fraction_of_the_faces():
    images = np.full([300, 50, 40, 1], 0.5, "float32")
    faces = wear_glasses(tf.constant(images), 0.4, SEED).numpy()
    assert faces.min() >= 0
    assert faces.max() <= 1
    # Differences below one of 255 levels cannot be seen. Nor can frames as grey as the face.
    changed = np.abs(faces - images)[..., 0] > 1 / 255
    worn = changed.any(axis=(1, 2))
    assert abs(worn.mean() - 0.4) < four_deviations(0.4, 300) + 0.01
    # The rows follow from the lowest and highest centre, half the height of a lens, three rims
    # and the steepest slant.
    for edge in (0, 15), (43, 50):
        assert changed[:, slice(*edge)].mean() < 0.01
    # Two rims, a bridge and temples never fill half of the image.
    assert changed[worn].mean() < 0.3
    columns = changed[worn][:, 15:43].any(axis=1).mean(axis=0)
    assert columns[10] > 0.8
    assert columns[30] > 0.8


def test_erased_parts_are_rectangles_of_one_grey():
    images = tf.zeros([200, 20, 30, 3]) - 1.0
    erased_images = random_erasing(images, 0.4, SEED).numpy()
    erased = (erased_images >= 0).all(axis=-1)
    fraction = erased.any(axis=(1, 2)).mean()
    assert abs(fraction - 0.4) < four_deviations(0.4, 200)
    for mask, image in zip(erased, erased_images, strict=True):
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        np.testing.assert_array_equal(mask, rows[:, None] & columns[None])
        assert rows.sum() <= 11
        assert columns.sum() <= 16
        assert len(np.unique(image[mask])) <= 1


def test_a_colour_change_is_brightness_and_contrast_where_there_is_only_grey():
    ramp = np.repeat(np.arange(100, 140, dtype="float32").reshape(1, 8, 5, 1), 3, axis=-1)
    changed = random_colour(tf.constant(np.repeat(ramp, 300, axis=0)), 0.4, [1, 2]).numpy()
    # Saturation and hue do not change grey.
    np.testing.assert_allclose(np.ptp(changed, axis=-1), 0, atol=1e-3)
    grey = changed[..., 0].reshape(300, -1)
    brightness = grey.mean(axis=1) / ramp.mean()
    contrast = np.diff(grey, axis=1).mean(axis=1) / brightness
    for factors, limit in ((brightness, 0.2), (contrast, 0.4)):
        assert 1 - limit <= factors.min() < 1 - 0.9 * limit
        assert 1 + 0.9 * limit < factors.max() <= 1 + limit
    np.testing.assert_allclose(random_colour(ramp, 0.0, [1, 2]), ramp, rtol=1e-5)


def test_a_colour_change_turns_hues_and_changes_saturations():
    red = np.full((300, 1, 1, 3), [200, 100, 100], "float32")
    changed = random_colour(tf.constant(red), 0.4, [1, 2]).numpy()[:, 0, 0]
    grey = changed.mean(axis=1, keepdims=True)
    across = (changed - grey) @ np.array([[0], [1], [-1]]) / np.sqrt(2)
    along = (changed - grey) @ np.array([[2], [-1], [-1]]) / np.sqrt(6)
    # An eighth of 0.4 half turns.
    angles = np.abs(np.arctan2(across, along))
    assert 0.9 * 0.05 * np.pi < angles.max() <= 0.05 * np.pi + 1e-4
    saturation = np.hypot(across, along) / grey
    original = 100 * np.sqrt(2 / 3) / (400 / 3)
    # The mean of the three colours is not the brightness that contrast and saturation keep.
    assert saturation.min() < 0.75 * original and saturation.max() > 1.25 * original
