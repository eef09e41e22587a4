"""Keras' augmentation layers with results that depend on a seed alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dlrecipes.data import _resampling


class SeededAugmentation:
    """Applies random layers of Keras in a row, as a function of the data and a seed.

    Keras' layers keep a state that counts their calls, so that a run which is resumed sees other
    images than one that was not interrupted, and a dataset must not call them in parallel. Here
    all random numbers come from the seed.

    Flips, shifts and zooms that follow one another are applied at once, which takes a fraction of
    the time and gives the same pixels up to rounding. This holds for images of up to 256 pixels per
    side, and `fill_mode="reflect"`, Keras' default.

    Args:
        layers: Preprocessing layers, such as `keras.layers.RandomFlip`, `RandAugment` or `MixUp`.
            They are changed: use them nowhere else.

    Call arguments:
        data: Images of shape `(batch, height, width, channels)`, or a dictionary of `images` and
            `labels`, as the layers take them.
        seed: Two integers, an int32 tensor, such as the run's seed and the number of the batch.

    Returns:
        The data in the same structure.

    Example:

    >>> import keras
    >>> import tensorflow as tf
    >>> from dlrecipes.data.seeded_augmentation import SeededAugmentation
    >>> augment = SeededAugmentation([keras.layers.RandomFlip("horizontal")])
    >>> images = tf.random.stateless_uniform([8, 4, 4, 3], [0, 0])
    >>> first, again = augment(images, tf.constant([0, 7])), augment(images, tf.constant([0, 7]))
    >>> bool(tf.reduce_all(first == again))
    True
    """

    def __init__(self, layers: Sequence[keras.layers.Layer]):
        self._layers = list(layers)
        self._seeds = [_use(layer, _Seeds()) for layer in self._layers]

    def __call__(self, data: Any, seed: tf.Tensor) -> Any:
        numbered = zip(self._layers, self._seeds, strict=True)
        for is_resampling, group in itertools.groupby(
            enumerate(numbered), lambda item: _resampling.is_resampling(item[1][0])
        ):
            layers = []
            for number, (layer, seeds) in group:
                seeds.begin(tf.random.experimental.stateless_fold_in(seed, number))
                layers.append(layer)
            if is_resampling and _are_images(data):
                data = _resampled(data, layers)
            else:
                for layer in layers:
                    data = layer(data, training=True)
        return data


def _are_images(data: Any) -> bool:
    """Returns whether flips, shifts and zooms change the images alone, and can be joined."""
    if isinstance(data, dict):
        return data.keys() <= {"images", "labels"} and _resampling.can_resample(data["images"])
    return _resampling.can_resample(data)


def _resampled(data: Any, layers: Sequence[keras.layers.Layer]) -> Any:
    if isinstance(data, dict):
        return {**data, "images": _resampled(data["images"], layers)}
    images = tf.cast(data, tf.float32)
    return _resampling.resample(images, [_resampling.places(layer, images) for layer in layers])


class _Seeds(keras.random.SeedGenerator):
    """Seeds that are counted while a graph is traced, not in a variable."""

    def begin(self, seed: tf.Tensor) -> None:
        self._base, self._count = seed, 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        self._count += 1
        return tf.random.experimental.stateless_fold_in(self._base, self._count)


def _use(layer: keras.layers.Layer, seeds: _Seeds) -> _Seeds:
    """Makes a layer and those inside it take their seeds from a generator."""
    for inner in (layer, *layer._flatten_layers(include_self=False)):
        if hasattr(inner, "generator"):
            inner.generator = seeds
    return seeds
