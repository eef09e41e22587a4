"""Metrics of embeddings: verification over all pairs of images, and identification."""

from __future__ import annotations

import numpy as np

from dlrecipes.metrics.verification import (
    ReceiverOperatingCharacteristic,
    balanced_folds,
    pairs,
    rank1,
    receiver_operating_characteristic,
    squared_distances,
    verification_accuracy,
)


def pair_distances(embeddings: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the squared distance of each pair of embeddings, and whether their labels agree.

    Args:
        embeddings: Array of shape `(images, units)`.
        labels: Label of each image, such as the person that it shows, shape `(images,)`.

    Returns:
        Squared distances and booleans, both of shape `(images * (images - 1) / 2,)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.embeddings import pair_distances
    >>> distances, same = pair_distances(np.array([[0.0], [1.0], [3.0]]), np.array([0, 0, 1]))
    >>> distances.tolist(), same.tolist()
    ([1.0, 9.0, 4.0], [True, False, False])
    """
    first, second = pairs(labels)
    return squared_distances(embeddings, embeddings)[first, second], labels[first] == labels[second]


def embedding_roc(embeddings: np.ndarray, labels: np.ndarray) -> ReceiverOperatingCharacteristic:
    """Returns the receiver operating characteristic over all pairs, by squared distance.

    Args:
        embeddings: Array of shape `(images, units)`.
        labels: Label of each image, shape `(images,)`.

    Raises:
        ValueError: If there are not both pairs with the same label and pairs with different ones.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.embeddings import embedding_roc
    >>> embedding_roc(np.array([[0.0], [1.0], [3.0]]), np.array([0, 0, 1])).auc
    1.0
    """
    return receiver_operating_characteristic(*pair_distances(embeddings, labels))


def embedding_scores(embeddings: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, float]:
    """Returns the usual metrics of face verification and identification.

    Args:
        embeddings: Array of shape `(images, units)`.
        labels: Person on each image, shape `(images,)`.
        seed: Seed of the ten balanced folds for the verification accuracy.

    Returns:
        `eer`, `auc`, `rank1`, `verification_accuracy` (as on LFW: ten folds with as many pairs of
        the same person as of different people), and the true accept rates `tar_at_far_1e-2` and
        `tar_at_far_1e-3`.

    Raises:
        ValueError: If there are not two people, or no person has two images.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.embeddings import embedding_scores
    >>> labels = np.repeat(np.arange(5), 4)
    >>> embedding_scores(10.0 * np.eye(5)[labels], labels, seed=0)["rank1"]
    1.0
    """
    distances, same = pair_distances(embeddings, labels)
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
