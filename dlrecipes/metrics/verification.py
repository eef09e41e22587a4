"""Face verification: whether two images show one person, judged by a distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class ReceiverOperatingCharacteristic:
    """How often pairs are accepted at each threshold: those of one person, and the others.

    Args:
        thresholds: Distances up to which a pair is accepted, ascending, shape `(points,)`; the
            first, just below the smallest that occurs, accepts none.
        false_accepts: Share of the pairs of two people that are accepted (FAR), `(points,)`.
        true_accepts: Share of the pairs of one person that are accepted (TAR), `(points,)`.

    Reference:
        Phillips, Moon, Rizvi and Rauss, 2000, "The FERET evaluation methodology for
        face-recognition algorithms", section 3.
    """

    thresholds: np.ndarray
    false_accepts: np.ndarray
    true_accepts: np.ndarray

    @property
    def auc(self) -> float:
        """The area below: how likely a pair of one person is nearer than one of two."""
        from sklearn.metrics import auc

        return float(auc(self.false_accepts, self.true_accepts))

    @property
    def equal_error_rate(self) -> float:
        """The error where equal shares of both kinds are judged wrong; linear between points."""
        return self._crossing[0]

    @property
    def equal_error_threshold(self) -> float:
        """The distance at which the equal error rate is reached."""
        return self._crossing[1]

    def true_accepts_at(self, false_accepts: float) -> float:
        """Returns the largest TAR of a threshold whose FAR is at most so much (TAR at FAR)."""
        return float(self.true_accepts[self._last(false_accepts)])

    def threshold_at(self, false_accepts: float) -> float:
        """Returns the largest threshold whose FAR is at most so much."""
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
        share = gaps[0] / (gaps[0] - gaps[1]) if gaps[0] != gaps[1] else 0.0
        rate = (1 - share) * self.false_accepts[before] + share * self.false_accepts[after]
        ends = [self.thresholds[k] for k in (before, after)]
        return float(rate), float((1 - share) * ends[0] + share * ends[1])


def receiver_operating_characteristic(
    distances: np.ndarray, same: np.ndarray
) -> ReceiverOperatingCharacteristic:
    """Returns the shares of pairs that are accepted, at each distance that occurs.

    Args:
        distances: Of each pair, shape `(pairs,)`; smaller is more alike.
        same: Whether a pair shows one person, shape `(pairs,)`.

    Raises:
        ValueError: If the shapes differ, a distance is no number, or there are not pairs of
            both kinds.

    Example:

    >>> roc = receiver_operating_characteristic([0.1, 0.4, 0.3, 0.9], [True, True, False, False])
    >>> roc.auc, roc.equal_error_rate, roc.true_accepts_at(0.0)
    (0.75, 0.5, 0.5)

    Reference:
        Fawcett, 2006, "An introduction to ROC analysis", algorithm 1.
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
    """Returns the accuracy of telling pairs of one person from others, as on LFW.

    Each fold is judged by the threshold that is best on all the others: the mean and the
    standard error of the mean over the folds.

    Args:
        distances: Of each pair, shape `(pairs,)`.
        same: Whether a pair shows one person, shape `(pairs,)`.
        folds: The fold of each pair, shape `(pairs,)`; at least two different ones.

    Returns:
        Mean accuracy and its standard error.

    Raises:
        ValueError: As of `receiver_operating_characteristic`, or if there are not two folds.

    Example:

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
        raise ValueError("folds must give each pair one of at least two folds.")
    accuracies = []
    for name in names:
        here = folds == name
        threshold = _best_threshold(distances[~here], same[~here])
        accuracies.append(np.mean((distances[here] <= threshold) == same[here]))
    error = np.std(accuracies, ddof=1) / np.sqrt(len(names))
    return float(np.mean(accuracies)), float(error)


def rank1(embeddings: np.ndarray, labels: np.ndarray) -> float:
    """Returns how often the nearest of all people is the right one, each enrolled by one image.

    Each image of a person is enrolled in turn, together with as many-th images of the
    others; all the rest are looked for: the share that is found, over all galleries. A person
    who has fewer images is enrolled by the first ones again.

    Args:
        embeddings: Of each image, shape `(images, units)`; squared distances count.
        labels: Whom each shows, shape `(images,)`.

    Raises:
        ValueError: If there are not two people, or no person has two images.

    Example:

    >>> rank1(np.array([[0.0], [1.0], [4.0], [9.0]]), np.array([0, 0, 1, 1]))
    0.75

    Reference:
        Phillips, Moon, Rizvi and Rauss, 2000, "The FERET evaluation methodology for
        face-recognition algorithms", section 3 (identification).
    """
    labels = np.asarray(labels)
    people = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    most = max(len(rows) for rows in people)
    if len(people) < 2 or most < 2:
        raise ValueError("rank1 needs two people, and two images of one of them.")
    names = np.array([labels[rows[0]] for rows in people])
    squared = squared_distances(embeddings, embeddings)
    found = looked_for = 0
    for number in range(most):
        gallery = np.array([rows[number % len(rows)] for rows in people])
        probes = np.setdiff1d(np.arange(len(labels)), gallery)
        nearest = names[squared[np.ix_(probes, gallery)].argmin(axis=1)]
        found += int(np.sum(nearest == labels[probes]))
        looked_for += len(probes)
    return found / looked_for


def pairs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of the first and of the second image of every pair of two images.

    Args:
        labels: Whom each image shows, shape `(images,)`.
    """
    return np.triu_indices(len(labels), k=1)


def balanced_folds(same: np.ndarray, seed: int, folds: int = 10) -> np.ndarray:
    """Returns a fold for each pair, -1 for those left out: as many of each kind in each fold.

    Args:
        same: Whether a pair shows one person, shape `(pairs,)`.
        seed: Decides which of the more frequent kind are taken, and where each is.
        folds: How many folds there are at most; fewer where there are fewer pairs of a kind.

    Raises:
        ValueError: If there are not two pairs of each kind.
    """
    same = np.asarray(same, bool)
    count = int(min(same.sum(), (~same).sum()))
    if count < 2:
        raise ValueError("Two pairs of each kind are needed for folds.")
    rng, found = np.random.default_rng(seed), np.full(len(same), -1)
    for kind in (same, ~same):
        rows = rng.permutation(np.flatnonzero(kind))[:count]
        found[rows] = np.arange(count) % min(folds, count)
    return found


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the squared Euclidean distances between vectors, shape `(first, second)`.

    Args:
        first: Shape `(first, units)`.
        second: Shape `(second, units)`.
    """
    first, second = (np.asarray(part, "float32") for part in (first, second))
    rows, columns = (np.einsum("nu,nu->n", part, part) for part in (first, second))
    return np.maximum(rows[:, None] + columns[None] - 2 * first @ second.T, 0)


def _best_threshold(distances: np.ndarray, same: np.ndarray) -> float:
    order = np.argsort(distances, kind="stable")
    ordered, kinds = distances[order], same[order]
    # Accepting the first k pairs: right are its pairs of one person and the others' rest.
    right = np.concatenate([[0], np.cumsum(np.where(kinds, 1, -1))])
    # Only between different distances can a threshold be; it is put into their middle.
    edges = np.concatenate([[True], np.diff(ordered) > 0, [True]])
    best = int(np.argmax(np.where(edges, right, right.min() - 1)))
    bounded = np.concatenate([[2 * ordered[0] - ordered[-1] - 1], ordered, [ordered[-1] + 1]])
    return float((bounded[best] + bounded[best + 1]) / 2)


def _checked(distances: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distances, same = np.asarray(distances, "float64"), np.asarray(same, bool)
    if distances.ndim != 1 or distances.shape != same.shape:
        raise ValueError(
            f"distances and same must be vectors of one length, not of {distances.shape} and "
            f"{same.shape}."
        )
    if not np.isfinite(distances).all():
        raise ValueError("A distance is no number.")
    if same.all() or not same.any():
        raise ValueError("There must be pairs of one person and pairs of two.")
    return distances, same
