"""How like the data made images are, by the features of a small classifier of that data."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.data.digits import LabelledImages
from dlrecipes.metrics.generation import frechet_distance, nearest_distance, precision_recall
from dlrecipes.models import small_cnn

STEPS, BATCH = 400, 64
FEATURES = 64
TURNS = 4
# An image is surely read where its class has so much of the probability.
SURE = 0.9
CHUNK = 200


@dataclass(frozen=True)
class FeatureClassifier:
    """A small classifier of a data set, whose last features compare images.

    Of data without classes it tells by how many quarters an image was turned.

    Args:
        network: From images, 0 to 1, to features and probabilities.
        has_classes: Whether its classes are the data's.
    """

    network: keras.Model
    has_classes: bool

    def read(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns features, `(count, 64)`, and probabilities of images, uint8."""
        call = tf.function(lambda x: self.network(x, training=False))
        found = [
            call(images[k : k + CHUNK].astype("float32") / 255)
            for k in range(0, len(images), CHUNK)
        ]
        features, probabilities = (
            np.concatenate([part[place].numpy() for part in found]) for place in (0, 1)
        )
        return features, probabilities

    @classmethod
    def trained(cls, examples: LabelledImages, seed: int) -> FeatureClassifier:
        """Returns a classifier that has learned the data's classes, or how images are turned.

        Args:
            examples: The training images.
            seed: Decides the order.

        Reference:
            Gidaris, Singh and Komodakis, 2018, "Unsupervised representation learning by
            predicting image rotations".
        """
        has_classes = len(examples.names) > 1
        classes = len(examples.names) if has_classes else TURNS
        shape = examples.images.shape[1:]
        body = small_cnn(FEATURES, shape, classifier_activation="relu", seed=seed)
        images = keras.Input(shape, name="images")
        features = body(images)
        chances = keras.layers.Dense(classes, "softmax", name="classes")(features)
        classifier = keras.Model(images, chances)
        rate = keras.optimizers.schedules.CosineDecay(2e-3, STEPS)
        loss = "sparse_categorical_crossentropy"
        classifier.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
        rng = np.random.default_rng(seed)
        for _ in range(STEPS):
            rows = rng.integers(len(examples), size=BATCH)
            x, y = examples.images[rows].astype("float32") / 255, examples.labels[rows]
            if not has_classes:
                y = rng.integers(TURNS, size=BATCH)
                x = np.stack([np.rot90(one, turns) for one, turns in zip(x, y, strict=True)])
            classifier.train_on_batch(x, y)
        return cls(keras.Model(images, [features, chances], name="critic"), has_classes)


def scores(critic: FeatureClassifier, real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """Returns how like the real images the generated ones are.

    Args:
        critic: Tells the features.
        real: uint8 images.
        generated: Likewise.
    """
    (features, _), (made, chances) = critic.read(real), critic.read(generated)
    precision, recall = precision_recall(features, made)
    few = slice(min(len(features), len(made)))
    found = {
        "fid": frechet_distance(features, made),
        "precision": precision,
        "recall": recall,
        # Below 1 generated images are more alike than real ones are.
        "diversity": nearest_distance(made[few]) / max(nearest_distance(features[few]), 1e-12),
    }
    if critic.has_classes:
        found["sure"] = float(np.mean(chances.max(axis=1) >= SURE))
        found["classes_drawn"] = float(len(set(chances.argmax(axis=1).tolist())))
    return found
