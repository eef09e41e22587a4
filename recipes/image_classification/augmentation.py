"""Random changes of training images, with Keras' layers."""

from __future__ import annotations

import keras
import tensorflow as tf

from dlrecipes.data.seeded_augmentation import SeededAugmentation

from .config import Config

RANGE = (0, 255)
# Fraction of an image that random erasing covers at least.
LEAST_ERASED = 0.02


class Augmentation:
    """Changes a batch of training images at random, as a function of its number alone.

    Args:
        config: The settings.

    Call arguments:
        images: Pixels from 0 to 255, float32 of shape `(batch, size, size, 3)`.
        labels: Probabilities of the classes, float32 of shape `(batch, classes)`.
        number: Number of the batch over all epochs.

    Returns:
        Images and labels in the same shapes.
    """

    def __init__(self, config: Config):
        self._seed = config.seed
        self._images = SeededAugmentation(_image_layers(config))
        mixing = {"mixup": keras.layers.MixUp, "cutmix": keras.layers.CutMix}.get(config.mixing)
        self._pairs = SeededAugmentation([mixing()] if mixing else [])

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, number: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        seed = tf.stack([self._seed, tf.cast(number, tf.int32)])
        images = self._images(images, seed)
        # Mixed images get another seed than the others.
        pairs = self._pairs({"images": images, "labels": labels}, tf.bitwise.invert(seed))
        shape = tf.shape(images)
        images = tf.ensure_shape(tf.reshape(pairs["images"], shape), images.shape)
        return tf.clip_by_value(images, *RANGE), pairs["labels"]


def _image_layers(config: Config) -> list[keras.layers.Layer]:
    layers = []
    if config.flip:
        layers.append(keras.layers.RandomFlip("horizontal"))
    options = {"fill_mode": "reflect"}
    if config.shift:
        # Whole pixels: interpolation would blur images of few pixels.
        layers.append(
            keras.layers.RandomTranslation(
                config.shift, config.shift, interpolation="nearest", **options
            )
        )
    if config.zoom:
        layers.append(keras.layers.RandomZoom((-config.zoom, config.zoom), **options))
    if config.rotation:
        layers.append(keras.layers.RandomRotation(config.rotation / 360, **options))
    if config.colour:
        strength = config.colour
        layers.append(
            keras.layers.RandomColorJitter(
                value_range=RANGE,
                brightness_factor=strength / 2,
                contrast_factor=strength,
                saturation_factor=(0.5 - strength / 2, 0.5 + strength / 2),
                hue_factor=strength / 8,
            )
        )
    if config.rand_augment:
        layers.append(keras.layers.RandAugment(value_range=RANGE, factor=config.rand_augment))
    if config.random_erasing:
        layers.append(
            keras.layers.RandomErasing(
                factor=1.0,
                scale=(min(LEAST_ERASED, config.random_erasing), config.random_erasing),
                value_range=RANGE,
            )
        )
    return layers
