"""Face verification: whether two images show the same person, decided by a distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class ReceiverOperatingCharacteristic:
    """ROC curve: the fractions of genuine and impostor pairs accepted at each threshold.

    Genuine pairs show the same person, impostor pairs two people.

    Args:
        thresholds: Distances up to which a pair is accepted, ascending, shape `(points,)`. The
            first is just below the smallest distance and accepts no pair.
        false_accepts: Fraction of impostor pairs accepted (FAR), shape `(points,)`.
        true_accepts: Fraction of genuine pairs accepted (TAR), shape `(points,)`.

    Reference:
        Phillips, Moon, Rizvi and Rauss, 2000, "The FERET evaluation methodology for
        face-recognition algorithms", section 3. https://doi.org/10.1109/34.879790
    """

    thresholds: np.ndarray
    false_accepts: np.ndarray
    true_accepts: np.ndarray

    @property
    def auc(self) -> float:
        """The area under the curve: how often a genuine pair is nearer than an impostor pair."""
        from sklearn.metrics import auc

        return float(auc(self.false_accepts, self.true_accepts))

    @property
    def equal_error_rate(self) -> float:
        """The error rate at which both kinds of pairs are wrong equally often, by interpolation."""
        return self._crossing[0]

    @property
    def equal_error_threshold(self) -> float:
        """The distance at which the equal error rate is reached."""
        return self._crossing[1]

    def true_accepts_at(self, false_accepts: float) -> float:
        """Returns the largest TAR at a threshold whose FAR does not exceed a limit (TAR at FAR).

        Args:
            false_accepts: Maximum FAR.
        """
        return float(self.true_accepts[self._last(false_accepts)])

    def threshold_at(self, false_accepts: float) -> float:
        """Returns the largest threshold whose FAR does not exceed a limit.

        Args:
            false_accepts: Maximum FAR.
        """
        return float(self.thresholds[self._last(false_accepts)])

    def _last(self, false_accepts: float) -> int:
        return int(np.searchsorted(self.false_accepts, false_accepts, side="right")) - 1

    @cached_property
    def _crossing(self) -> tuple[float, float]:
        # FAR rises and 1 - TAR falls: their difference crosses 0 once.
        rejects = 1 - self.true_accepts
        after = int(np.argmax(self.false_accepts >= rejects))
        before = max(0, after - 1)
        gaps = [rejects[k] - self.false_accepts[k] for k in (before, after)]
        weight = gaps[0] / (gaps[0] - gaps[1]) if gaps[0] != gaps[1] else 0.0
        rate = (1 - weight) * self.false_accepts[before] + weight * self.false_accepts[after]
        ends = [self.thresholds[k] for k in (before, after)]
        return float(rate), float((1 - weight) * ends[0] + weight * ends[1])


def receiver_operating_characteristic(
    distances: np.ndarray, same: np.ndarray
) -> ReceiverOperatingCharacteristic:
    """Returns the ROC curve of pairs of images: the fractions accepted at each distance.

    Args:
        distances: Distance of each pair, shape `(pairs,)`; smaller means more similar.
        same: Whether a pair shows the same person, shape `(pairs,)`.

    Returns:
        A `ReceiverOperatingCharacteristic`.

    Raises:
        ValueError: If the shapes differ, a distance is NaN or infinite, or one kind of pair is
            missing.

    Example:

    >>> from dlrecipes.metrics import receiver_operating_characteristic
    >>> roc = receiver_operating_characteristic([0.1, 0.4, 0.3, 0.9], [True, True, False, False])
    >>> roc.auc, roc.equal_error_rate, roc.true_accepts_at(0.0)
    (0.75, 0.5, 0.5)

    Reference:
        Fawcett, 2006, "An introduction to ROC analysis", algorithm 1.
        https://doi.org/10.1016/j.patrec.2005.10.010
    """
    from sklearn.metrics import roc_curve

    distances, same = _checked(distances, same)
    false, true, scores = roc_curve(same, -distances, drop_intermediate=False)
    thresholds = -scores
    thresholds[0] = np.nextafter(thresholds[1], -np.inf)
    return ReceiverOperatingCharacteristic(thresholds, false, true)


def verification_accuracy(
    distances: np.ndarray, same: np.ndarray, folds: Sequence[int] | np.ndarray
) -> tuple[float, float]:
    """Returns the accuracy of verifying pairs by a threshold, cross-validated as on LFW.

    Each fold is evaluated with the threshold that is best on the other folds.

    Args:
        distances: Distance of each pair, shape `(pairs,)`.
        same: Whether a pair shows the same person, shape `(pairs,)`.
        folds: Fold of each pair, shape `(pairs,)`; at least two folds.

    Returns:
        Mean accuracy over the folds, and the standard error of the mean.

    Raises:
        ValueError: As for `receiver_operating_characteristic`, or if there are fewer than two
            folds.

    Example:

    >>> from dlrecipes.metrics import verification_accuracy
    >>> verification_accuracy([0.1, 0.8, 0.2, 0.9], [True, False, True, False], [0, 0, 1, 1])
    (1.0, 0.0)

    Reference:
        Huang, Ramesh, Berg and Learned-Miller, 2007, "Labeled faces in the wild: a database
        for studying face recognition in unconstrained environments", section 4.2.
    """
    distances, same = _checked(distances, same)
    folds = np.asarray(folds)
    names = np.unique(folds)
    if folds.shape != same.shape or len(names) < 2:
        raise ValueError("folds must have a fold for each pair, and at least two folds.")
    accuracies = []
    for name in names:
        held_out = folds == name
        threshold = _best_threshold(distances[~held_out], same[~held_out])
        accuracies.append(np.mean((distances[held_out] <= threshold) == same[held_out]))
    error = np.std(accuracies, ddof=1) / np.sqrt(len(names))
    return float(np.mean(accuracies)), float(error)


def rank1(embeddings: np.ndarray, labels: np.ndarray) -> float:
    """Returns the rank-1 identification rate: how often the nearest enrolled face is the right one.

    A gallery enrols one image of each person: the k-th gallery enrols each person's k-th image,
    starting again from the first for people with fewer images. All remaining images are probes.
    The rate is the fraction of correct probes over all galleries.

    Args:
        embeddings: Embedding of each image, shape `(images, units)`, compared by squared
            distance.
        labels: Person that each image shows, shape `(images,)`.

    Returns:
        The rate, in [0, 1].

    Raises:
        ValueError: If there are fewer than two people, or nobody has two images.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics import rank1
    >>> rank1(np.array([[0.0], [1.0], [4.0], [9.0]]), np.array([0, 0, 1, 1]))
    0.75

    Reference:
        Phillips, Moon, Rizvi and Rauss, 2000, "The FERET evaluation methodology for
        face-recognition algorithms", section 3 (identification).
        https://doi.org/10.1109/34.879790
    """
    labels = np.asarray(labels)
    people = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    most = max(len(rows) for rows in people)
    if len(people) < 2 or most < 2:
        raise ValueError("rank1 needs at least two people, one of them with two images.")
    names = np.array([labels[rows[0]] for rows in people])
    squared = squared_distances(embeddings, embeddings)
    correct = total = 0
    for number in range(most):
        gallery = np.array([rows[number % len(rows)] for rows in people])
        probes = np.setdiff1d(np.arange(len(labels)), gallery)
        nearest = names[squared[np.ix_(probes, gallery)].argmin(axis=1)]
        correct += int(np.sum(nearest == labels[probes]))
        total += len(probes)
    return correct / total


def pairs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of the first and the second image of every pair of two images.

    Args:
        labels: Person that each image shows, shape `(images,)`.
    """
    return np.triu_indices(len(labels), k=1)


def balanced_folds(same: np.ndarray, seed: int, folds: int = 10) -> np.ndarray:
    """Returns a fold for each pair, or -1, with equally many pairs of both kinds in each fold.

    Args:
        same: Whether a pair shows the same person, shape `(pairs,)`.
        seed: Seed that selects pairs of the more frequent kind and assigns the folds.
        folds: Maximum number of folds; limited by the number of pairs of the rarer kind.
            Defaults to 10.

    Returns:
        Fold of each pair, shape `(pairs,)`; pairs that are not selected have -1.

    Raises:
        ValueError: If there are fewer than two pairs of each kind.
    """
    same = np.asarray(same, bool)
    count = int(min(same.sum(), (~same).sum()))
    if count < 2:
        raise ValueError("Folds need at least two pairs of each kind.")
    rng, assigned = np.random.default_rng(seed), np.full(len(same), -1)
    for kind in (same, ~same):
        rows = rng.permutation(np.flatnonzero(kind))[:count]
        assigned[rows] = np.arange(count) % min(folds, count)
    return assigned


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the squared Euclidean distances between two sets of vectors.

    Args:
        first: Vectors, shape `(rows, units)`.
        second: Vectors, shape `(columns, units)`.

    Returns:
        Distances, float32 of shape `(rows, columns)`.
    """
    first, second = (np.asarray(part, "float32") for part in (first, second))
    rows, columns = (np.einsum("nu,nu->n", part, part) for part in (first, second))
    return np.maximum(rows[:, None] + columns[None] - 2 * first @ second.T, 0)


def _best_threshold(distances: np.ndarray, same: np.ndarray) -> float:
    order = np.argsort(distances, kind="stable")
    ordered, kinds = distances[order], same[order]
    # Change in the number of correct decisions if the k nearest pairs are accepted.
    gains = np.concatenate([[0], np.cumsum(np.where(kinds, 1, -1))])
    # A threshold is the midpoint between two different distances.
    edges = np.concatenate([[True], np.diff(ordered) > 0, [True]])
    best = int(np.argmax(np.where(edges, gains, gains.min() - 1)))
    bounded = np.concatenate([[2 * ordered[0] - ordered[-1] - 1], ordered, [ordered[-1] + 1]])
    return float((bounded[best] + bounded[best + 1]) / 2)


def _checked(distances: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distances, same = np.asarray(distances, "float64"), np.asarray(same, bool)
    if distances.ndim != 1 or distances.shape != same.shape:
        raise ValueError(
            "distances and same must be vectors of the same length, not of shapes "
            f"{distances.shape} and {same.shape}."
        )
    if not np.isfinite(distances).all():
        raise ValueError("distances contain NaN or infinity.")
    if same.all() or not same.any():
        raise ValueError("There must be pairs of the same person and pairs of two people.")
    return distances, same
