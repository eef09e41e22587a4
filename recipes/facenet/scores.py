"""How well embeddings tell people apart, beside what pixels and eigenfaces do."""

from __future__ import annotations

import numpy as np

from dlrecipes.data.faces import FaceImages
from dlrecipes.metrics import rank1, receiver_operating_characteristic, verification_accuracy
from dlrecipes.metrics.verification import (
    ReceiverOperatingCharacteristic,
    balanced_folds,
    pairs,
    squared_distances,
)

# Of the training images' variance this share is kept; Turk and Pentland (1991) keep few.
EIGENFACES = 0.95


def curve(embeddings: np.ndarray, labels: np.ndarray) -> ReceiverOperatingCharacteristic:
    """Returns the ROC over all pairs, by squared distances."""
    distances, same = compared(embeddings, labels)
    return receiver_operating_characteristic(distances, same)


def compared(embeddings: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the squared distance of each pair of images, and whether they show one person."""
    first, second = pairs(labels)
    return squared_distances(embeddings, embeddings)[first, second], labels[first] == labels[second]


def scores(embeddings: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, float]:
    """Returns the metrics of embeddings.

    Args:
        embeddings: Shape `(images, units)`.
        labels: Whom each shows.
        seed: Decides the ten folds of as many pairs of either kind.
    """
    distances, same = compared(embeddings, labels)
    roc = receiver_operating_characteristic(distances, same)
    folds = balanced_folds(same, seed)
    used = folds >= 0
    accuracy, _ = verification_accuracy(distances[used], same[used], folds[used])
    return {
        "eer": roc.equal_error_rate,
        "auc": roc.auc,
        "rank1": rank1(embeddings, labels),
        "verification_accuracy": accuracy,
        "tar_at_far_1e-2": roc.true_accepts_at(1e-2),
        "tar_at_far_1e-3": roc.true_accepts_at(1e-3),
    }


def baselines(training: FaceImages, examples: FaceImages) -> tuple[np.ndarray, np.ndarray]:
    """Returns pixels, and their coordinates among the eigenfaces of the training images.

    Reference:
        Turk and Pentland, 1991, "Eigenfaces for recognition".
    """
    from sklearn.decomposition import PCA

    known, pixels = (
        part.images.reshape(len(part), -1).astype("float32") / 255 for part in (training, examples)
    )
    # Of many images a part tells the directions as well, in seconds.
    known = known[:: max(1, len(known) // 1000)]
    eigenfaces = PCA(EIGENFACES, svd_solver="full").fit(known)
    return pixels, eigenfaces.transform(pixels)
