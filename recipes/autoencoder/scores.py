"""Scores of restored images and of their codes, for a network and for PCA."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from sklearn.neighbors import KNeighborsClassifier

from dlrecipes.data.batches import map_batches
from dlrecipes.data.digits import LabelledImages
from dlrecipes.metrics import receiver_operating_characteristic

from . import networks
from .config import Config

BATCH = 500
# The PSNR of equal images is infinite; means are computed with this one.
HIGHEST_PSNR = 100.0


class Described(NamedTuple):
    """Images as a method describes and restores them.

    Args:
        codes: Numbers of each image, shape `(images, numbers)`.
        restored: Restored images, of the shape of the images; PCA's may lie outside 0 to 1.
    """

    codes: np.ndarray
    restored: np.ndarray

    def errors(self, images: np.ndarray) -> np.ndarray:
        """Returns the squared error of each uint8 image, the sum over its pixels."""
        difference = self.restored - images.astype("float32") / 255
        return np.square(difference).reshape(len(images), -1).sum(axis=1)


def describe(model: keras.Model, images: np.ndarray) -> Described:
    """Returns the codes and the restored images of a network.

    Args:
        model: The trained model.
        images: uint8, or float32 from 0 to 1.
    """

    @tf.function(input_signature=[tf.TensorSpec([None, *images.shape[1:]], images.dtype)])
    def call(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.cast(batch, tf.float32) / 255 if batch.dtype == tf.uint8 else batch
        codes = networks.encode(model, batch)
        return codes, networks.decode(model, codes)

    return Described(*map_batches(call, images, batch_size=BATCH))


def describe_by_pca(pca: Any, images: np.ndarray) -> Described:
    """Returns the codes and the restored images of PCA.

    Args:
        pca: Fitted PCA of scikit-learn.
        images: uint8, or float32 from 0 to 1.
    """
    pixels = images.reshape(len(images), -1)
    pixels = networks.flattened(images) if images.dtype == np.uint8 else pixels
    codes = pca.transform(pixels)
    restored = pca.inverse_transform(codes)
    return Described(codes, restored.reshape(images.shape).astype("float32"))


def noisy(images: np.ndarray, config: Config) -> np.ndarray:
    """Returns uint8 images with the noise of the settings, float32 from 0 to 1.

    Args:
        images: uint8 images.
        config: The settings.
    """
    return add_noise(
        tf.cast(images, tf.float32) / 255, config, tf.constant([config.seed, -1])
    ).numpy()


def add_noise(images: tf.Tensor, config: Config, seed: tf.Tensor) -> tf.Tensor:
    """Returns images with noise, from 0 to 1.

    Args:
        images: float32, from 0 to 1.
        config: The settings.
        seed: Random seed, two integers; the noise depends on nothing else.
    """
    shape = tf.shape(images)
    if config.noise_kind == "masking":
        # A pixel is missing in all its channels.
        kept = tf.random.stateless_uniform(tf.concat([shape[:3], [1]], 0), seed) >= config.noise
        return images * tf.cast(kept, tf.float32)
    noise = tf.random.stateless_normal(shape, seed, stddev=config.noise)
    return tf.clip_by_value(images + noise, 0.0, 1.0)


def psnr(images: np.ndarray, restored: np.ndarray) -> float:
    """Returns the mean peak signal-to-noise ratio in dB.

    Args:
        images: uint8 images.
        restored: Images of the same shape, which are clipped to 0 to 1.
    """
    difference = np.square(np.clip(restored, 0, 1) - images.astype("float32") / 255).reshape(
        len(images), -1
    )
    ratios = -10 * np.log10(np.maximum(difference.mean(axis=1), 10 ** (-HIGHEST_PSNR / 10)))
    return float(ratios.mean())


def neighbour_accuracy(
    known: np.ndarray, labels: np.ndarray, codes: np.ndarray, truth: np.ndarray
) -> float:
    """Returns how often the label of the nearest training code is right.

    Args:
        known: Codes of the training images.
        labels: Labels of the training images.
        codes: Codes of other images.
        truth: Their labels.
    """
    nearest = KNeighborsClassifier(1, algorithm="brute").fit(known, labels)
    return float(nearest.score(codes, truth))


def anomaly_auc(errors: np.ndarray, is_normal: np.ndarray) -> float:
    """Returns the area under the ROC curve that recognizes normal images by a small error.

    Args:
        errors: Error of each image.
        is_normal: Whether its class was in the training images.
    """
    return receiver_operating_characteristic(errors, is_normal).auc


def scores(
    described: Described, known: np.ndarray, part: LabelledImages, train: LabelledImages
) -> dict[str, float]:
    """Returns the squared error per image, and what the labels allow to measure.

    With labels, the accuracy of the nearest code; with a class that is in the part alone, the AUC
    by which errors reveal it.

    Args:
        described: Codes and restored images of a part.
        known: Codes of the training images.
        part: Images with labels.
        train: Training images with labels.
    """
    errors = described.errors(part.images)
    measured = {"squared_error": float(errors.mean())}
    classes = np.unique(train.labels)
    is_normal = np.isin(part.labels, classes)
    if len(classes) > 1:
        measured["neighbour_accuracy"] = neighbour_accuracy(
            known, train.labels, described.codes[is_normal], part.labels[is_normal]
        )
    if not is_normal.all():
        measured["anomaly_auc"] = anomaly_auc(errors, is_normal)
        measured["squared_error"] = float(errors[is_normal].mean())
    return measured
