"""What is done to training images: people warped into others, glasses, mirrors, hidden parts.

All is drawn by seeds alone, so that a run that was stopped goes on as it would have.
"""

from __future__ import annotations

import tensorflow as tf

from dlrecipes.layers.elastic_distortion import read_at

from .config import Config

# Points of a warp along each side; it is smooth between them.
GRID = 4
# Between what bounds a pair of glasses is drawn; lengths are shares of the image's side. Each
# lens begins `apart` less `width` from the nose, and is twice as wide and high as said.
GLASSES = {
    "row": (0.36, 0.54),
    "column": (0.40, 0.60),
    "apart": (0.13, 0.20),
    "width": (0.09, 0.14),
    "height": (0.07, 0.12),
    "rim": (0.010, 0.022),
    "slant": (-0.15, 0.15),
    "squareness": (2.0, 4.0),
    "temple": (0.0, 0.2),
    "opacity": (0.4, 1.0),
    "grey": (0.0, 1.0),
    "glare": (-0.9, 0.9),
    "glare_row": (-0.08, 0.08),
    "glare_column": (-0.1, 0.1),
    "glare_spread": (0.0005, 0.003),
}


def augment(images: tf.Tensor, config: Config, seed: tf.Tensor) -> tf.Tensor:
    """Returns a training batch as the settings vary it.

    Args:
        images: float32 of shape `(people * images, side, side, channels)`, 0 to 1, a person's
            images one after the other.
        config: The settings.
        seed: Two integers that decide all.
    """
    if config.warp:
        images = warp(images, config.images_per_person, config.warp, seed + tf.constant([2, 0]))
    if config.glasses:
        images = wear_glasses(images, config.glasses, seed + tf.constant([3, 0]))
    if config.flip:
        drawn = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed)
        images = tf.where(drawn < 0.5, images[:, :, ::-1], images)
    return random_erasing(images, config.random_erasing, seed + tf.constant([1, 0]))


def warp(images: tf.Tensor, images_per_person: int, deviation: float, seed: tf.Tensor) -> tf.Tensor:
    """Returns images of people who do not exist: each person's are bent alike.

    Proportions tell people apart. With those of few people changed anew in each batch, a
    network has to learn what makes a face somebody's, and cannot learn whose faces it was shown.

    Args:
        images: float32 of shape `(people * images, height, width, channels)`, a person's
            images one after the other.
        images_per_person: Of each person.
        deviation: By how many pixels points of a grid move along each axis, standard deviation.
        seed: Two integers that decide all.
    """
    height, width = images.shape[1:3]
    people = tf.shape(images)[0] // images_per_person
    moved = deviation * tf.random.stateless_normal([people, GRID, GRID, 2], seed)
    moved = tf.repeat(tf.image.resize(moved, [height, width], "bicubic"), images_per_person, axis=0)
    rows, columns = (tf.range(side, dtype=tf.float32) for side in (height, width))
    # Beyond an edge the edge goes on.
    y = tf.clip_by_value(rows[:, None] + moved[..., 0], 0, height - 1)
    x = tf.clip_by_value(columns + moved[..., 1], 0, width - 1)
    return read_at(images, y, x)


def wear_glasses(images: tf.Tensor, share: float, seed: tf.Tensor) -> tf.Tensor:
    """Returns images on some of which glasses are drawn, about where faces have their eyes.

    Args:
        images: float32 of shape `(batch, height, width, channels)`, 0 to 1, of faces that fill
            them.
        share: Of the images, 0 to 1.
        seed: Two integers that decide all.
    """
    count, height, width = tf.unstack(tf.shape(images)[:3])
    drawn = tf.random.stateless_uniform([len(GLASSES) + 1, count, 1, 1], seed)
    one = {
        name: low + (high - low) * drawn[number]
        for number, (name, (low, high)) in enumerate(GLASSES.items())
    }
    y = tf.range(height, dtype=tf.float32)[:, None] / tf.cast(height, tf.float32) - one["row"]
    x = tf.range(width, dtype=tf.float32) / tf.cast(width, tf.float32) - one["column"]
    y, x = y - one["slant"] * x, x + one["slant"] * y
    # Both lenses at once: a rounded rectangle about the middle of each half.
    side = tf.abs(x) - one["apart"]
    power = one["squareness"]
    radius = (tf.abs(side / one["width"]) ** power + tf.abs(y / one["height"]) ** power) ** (
        1 / power
    )
    rim = tf.exp(-(((radius - 1) * one["width"] / one["rim"]) ** 2))
    bar = tf.exp(-(((y + 0.2 * one["height"]) / one["rim"]) ** 2))
    reach = tf.abs(side) - one["width"]
    # The bridge lies between the lenses, the temples begin where they end.
    straight = (reach > 0) & ((side < 0) | (reach < one["temple"]))
    frame = one["opacity"] * tf.maximum(rim, tf.where(straight, bar, 0.0))
    spot = (side - one["glare_column"]) ** 2 + (y - one["glare_row"]) ** 2
    # Half of all glasses reflect no light.
    glare = tf.maximum(one["glare"], 0.0) * tf.exp(-spot / one["glare_spread"])
    glare = tf.where(radius < 1, glare, 0.0)[..., None]
    worn = images + frame[..., None] * (one["grey"][..., None] - images)
    worn += glare * (1 - worn)
    return tf.where(drawn[-1][..., None] < share, worn, images)


def random_erasing(images: tf.Tensor, share: float, seed: tf.Tensor) -> tf.Tensor:
    """Returns images of which some have a rectangle of one grey, as if something stood there.

    Args:
        images: float32 of shape `(batch, height, width, channels)`.
        share: Of the images, 0 to 1.
        seed: Two integers that decide all.

    Reference:
        Zhong, Zheng, Kang, Li and Yang, 2020, "Random erasing data augmentation".
    """
    count, height, width = tf.unstack(tf.shape(images)[:3])
    drawn = tf.unstack(tf.random.stateless_uniform([6, count, 1, 1, 1], seed))
    hidden = drawn[0] < share
    sides = [
        tf.range(side, dtype=tf.float32) / tf.cast(side, tf.float32) for side in (height, width)
    ]
    for place, length, steps in zip(
        drawn[1:3], drawn[3:5], (sides[0][:, None, None], sides[1][None, :, None]), strict=True
    ):
        # From a tenth to a half of each side, wherever it fits.
        part = 0.1 + 0.4 * length
        first = place * (1 - part)
        hidden &= (steps >= first) & (steps < first + part)
    return tf.where(hidden, drawn[5], images)
