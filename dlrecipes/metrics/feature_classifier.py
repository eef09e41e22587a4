"""Similarity of generated and real images, by the features of a small classifier."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.data.batches import map_batches
from dlrecipes.metrics.generation import frechet_distance, nearest_distance, precision_recall
from dlrecipes.models import small_cnn

FEATURES = 64
TURNS = 4
BATCH, CHUNK = 64, 200
# A class is recognized with certainty from this probability.
CERTAIN = 0.9


@dataclass(frozen=True)
class FeatureClassifier:
    """Small classifier of a dataset whose last features serve to compare sets of images.

    Unlike Inception v3, it fits images of any kind and size and needs no download. Its Frechet
    distances are not comparable with published FIDs, nor between datasets.

    Args:
        network: Network from images, from 0 to 1, to features and probabilities.
        has_classes: Whether the classes are the dataset's, and not rotations.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.feature_classifier import FeatureClassifier
    >>> images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), "uint8")
    >>> classifier = FeatureClassifier.fit(images, np.arange(20) % 2, num_classes=2, steps=1)
    >>> sorted(classifier.compare(images, images))
    ['classes_drawn', 'diversity', 'fid', 'precision', 'recall', 'sure']
    """

    network: keras.Model
    has_classes: bool

    @classmethod
    def fit(
        cls,
        images: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        seed: int = 0,
        steps: int = 400,
    ) -> FeatureClassifier:
        """Returns a classifier trained on a dataset: of its classes, or else of rotations.

        Args:
            images: Training images, uint8 of shape `(count, size, size, channels)`.
            labels: Class of each image, integers of shape `(count,)`; ignored without classes.
            num_classes: Number of classes. With less than 2, the classifier learns by how many
                quarter turns an image was rotated.
            seed: Random seed of weights and order. Defaults to 0.
            steps: Training steps. Defaults to 400.

        Reference:
            Gidaris, Singh and Komodakis, 2018, "Unsupervised representation learning by
            predicting image rotations", https://arxiv.org/abs/1803.07728.
        """
        has_classes = num_classes > 1
        classifier, network = _networks(
            images.shape[1:], num_classes if has_classes else TURNS, seed
        )
        rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
        loss = "sparse_categorical_crossentropy"
        classifier.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
        rng = np.random.default_rng(seed)
        for _ in range(steps):
            rows = rng.integers(len(images), size=BATCH)
            x, y = images[rows].astype("float32") / 255, labels[rows]
            if not has_classes:
                y = rng.integers(TURNS, size=BATCH)
                x = np.stack([np.rot90(image, turns) for image, turns in zip(x, y, strict=True)])
            classifier.train_on_batch(x, y)
        return cls(network, has_classes)

    @functools.cached_property
    def _call(self) -> Callable[[np.ndarray], tuple[tf.Tensor, tf.Tensor]]:
        return tf.function(lambda x: self.network(x, training=False), reduce_retracing=True)

    def features(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the features and the class probabilities of images.

        Args:
            images: uint8 array of shape `(count, size, size, channels)`.

        Returns:
            Arrays of shape `(count, 64)` and `(count, classes)`.
        """
        features, probabilities = map_batches(
            lambda batch: self._call(batch.astype("float32") / 255), images, batch_size=CHUNK
        )
        return features, probabilities

    def compare(self, real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
        """Returns how similar generated images are to real ones.

        Args:
            real: Real images, uint8 of shape `(count, size, size, channels)`.
            generated: Generated images of the same shape, except for their number.

        Returns:
            `fid` (Frechet distance of the features), `precision` and `recall`; `diversity`, the
            mean distance of generated images to their nearest neighbours divided by the real
            images' (below 1: less varied). If the dataset has classes, also `sure`, the fraction
            of generated images whose class has a probability of at least 0.9, and
            `classes_drawn`, the number of classes that occur among these.
        """
        (real_features, _), (features, probabilities) = map(self.features, (real, generated))
        precision, recall = precision_recall(real_features, features)
        same = slice(min(len(real_features), len(features)))
        spread = nearest_distance(real_features[same])
        scores = {
            "fid": frechet_distance(real_features, features),
            "precision": precision,
            "recall": recall,
            "diversity": nearest_distance(features[same]) / max(spread, 1e-12),
        }
        if self.has_classes:
            is_sure = probabilities.max(axis=1) >= CERTAIN
            scores["sure"] = float(is_sure.mean())
            classes = np.unique(probabilities[is_sure].argmax(axis=1))
            scores["classes_drawn"] = float(len(classes))
        return scores


def _networks(
    shape: tuple[int, int, int], num_classes: int, seed: int
) -> tuple[keras.Model, keras.Model]:
    """Returns the classifier, and a network with the same weights that returns features as well."""
    body = small_cnn(FEATURES, shape, classifier_activation="relu", seed=seed)
    images = keras.Input(shape, name="images")
    features = body(images)
    probabilities = keras.layers.Dense(num_classes, "softmax", name="classes")(features)
    classifier = keras.Model(images, probabilities)
    outputs = [features, probabilities]
    return classifier, keras.Model(images, outputs, name="feature_classifier")
