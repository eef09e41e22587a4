"""The FCN score: how well a network that segments real photographs segments generated ones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.data.batches import map_batches
from dlrecipes.layers import BatchNormalization

LEVELS = (16, 32, 64)
BATCH, CHUNK = 16, 20


@dataclass(frozen=True)
class SegmentationJudge:
    """Small segmentation network, trained on real photographs, that judges generated ones.

    `dlrecipes.metrics.segmentation.segmentation_scores` of the label maps and of the judge's
    classes is the FCN score: if photographs were generated from label maps, a judge recognizes
    their parts as well as those of real photographs.

    Args:
        network: Network from photographs, from 0 to 1, to logits of the classes of each pixel.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.segmentation_judge import SegmentationJudge
    >>> photographs, maps = np.zeros((4, 16, 16, 3), "uint8"), np.zeros((4, 16, 16), "uint8")
    >>> judge = SegmentationJudge.fit(photographs, maps, num_classes=2, steps=1)
    >>> judge.classes(photographs).shape
    (4, 16, 16)

    Reference:
        Isola, Zhu, Zhou and Efros, 2017, "Image-to-image translation with conditional
        adversarial networks", section 4.1, https://arxiv.org/abs/1611.07004.
    """

    network: keras.Model

    @classmethod
    def fit(
        cls,
        photographs: np.ndarray,
        maps: np.ndarray,
        num_classes: int,
        seed: int = 0,
        steps: int = 300,
        loss: keras.losses.Loss | None = None,
    ) -> SegmentationJudge:
        """Returns a judge trained on real photographs and their label maps.

        Args:
            photographs: uint8 array of shape `(count, size, size, 3)`; `size` is divisible by 8.
            maps: Class of each pixel, integers of shape `(count, size, size)`.
            num_classes: Number of classes.
            seed: Random seed of the order; the weights depend on Keras' global seed. Defaults to
                0.
            steps: Training steps. Defaults to 300.
            loss: Loss of classes and logits. Defaults to
                `keras.losses.SparseCategoricalCrossentropy(from_logits=True)`.
        """
        rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
        network = _segmenter(photographs.shape[1], num_classes)
        loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
        rng = np.random.default_rng(seed)
        for _ in range(steps):
            rows = rng.integers(len(maps), size=BATCH)
            x, y = photographs[rows].astype("float32") / 255, maps[rows]
            if rng.random() < 0.5:
                x, y = x[:, :, ::-1], y[:, :, ::-1]
            network.train_on_batch(x, y)
        return cls(network)

    @functools.cached_property
    def _call(self) -> Callable[[np.ndarray], tf.Tensor]:
        return tf.function(
            lambda x: tf.argmax(self.network(x, training=False), axis=-1), reduce_retracing=True
        )

    def classes(self, photographs: np.ndarray) -> np.ndarray:
        """Returns the class of each pixel.

        Args:
            photographs: uint8 array of shape `(count, size, size, 3)`.

        Returns:
            uint8 array of shape `(count, size, size)`.
        """
        classes = map_batches(
            lambda batch: self._call(batch.astype("float32") / 255), photographs, batch_size=CHUNK
        )
        return classes.astype("uint8")


def _segmenter(size: int, num_classes: int) -> keras.Model:
    """Returns a small U-Net."""
    layers = keras.layers

    def block(x, filters: int):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        return layers.ReLU()(BatchNormalization(momentum=0.9)(x))

    x = photographs = keras.Input((size, size, 3), name="photographs")
    skips = []
    for filters in LEVELS:
        x = block(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = block(x, LEVELS[-1])
    for filters, skip in zip(reversed(LEVELS), reversed(skips), strict=True):
        x = block(layers.Concatenate()([layers.UpSampling2D()(x), skip]), filters)
    logits = layers.Conv2D(num_classes, 1, name="scores")(x)
    return keras.Model(photographs, logits, name="segmentation_judge")
