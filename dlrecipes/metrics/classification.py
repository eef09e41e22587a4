"""Metrics of classifiers, from the probabilities of the classes and the true classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

BINS = 15
TOP_K = 5
# With fewer classes, top-5 accuracy says little.
MIN_CLASSES_FOR_TOP_K = 10
# With fewer predictions, the bootstrap interval of their accuracy is too narrow.
LEAST_FOR_BOOTSTRAP = 30
# Rows whose ranks are computed at once.
_ROWS = 8192


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of each class.

    Args:
        precision: Fraction of the predictions of a class that are right; 0 for a class that is
            never predicted. Shape `(classes,)`.
        recall: Fraction of the examples of a class that are recognised; NaN for a class without
            examples. Shape `(classes,)`.
        f1: Harmonic mean of both, `2 * true positives / (examples + predictions)`; NaN for a class
            that has neither examples nor predictions. Shape `(classes,)`.
        count: Number of examples of each class, integers of shape `(classes,)`.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    count: np.ndarray

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that have examples or predictions."""
        return float(np.nanmean(self.f1))


@dataclass(frozen=True)
class Reliability:
    """Accuracy of predictions by their confidence, the probability of the predicted class.

    Args:
        edges: Bounds of the bins, shape `(bins + 1,)`, from 0 to 1. A bin contains its upper bound.
        count: Number of predictions in each bin, integers of shape `(bins,)`.
        confidence: Mean confidence in each bin; NaN in an empty one. Shape `(bins,)`.
        accuracy: Fraction of right predictions in each bin; NaN in an empty one. Shape `(bins,)`.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """Mean difference between accuracy and confidence, weighted by the bins' counts."""
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float(gaps @ self.count / self.count.sum())


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts the examples of each true and predicted class.

    Args:
        labels: True classes, integers of shape `(n,)`.
        predicted: Predicted classes, integers of shape `(n,)`.
        classes: Number of classes.

    Returns:
        Integers of shape `(classes, classes)`, as `[truth, prediction]`.

    Raises:
        ValueError: If the shapes differ, or a class is not in `range(classes)`.

    Example:

    >>> from dlrecipes.metrics import confusion_matrix
    >>> confusion_matrix([0, 1, 1], [0, 1, 0], 2).tolist()
    [[1, 0], [1, 1]]
    """
    truth, guesses = np.asarray(labels), np.asarray(predicted)
    if truth.shape != guesses.shape or truth.ndim != 1:
        raise ValueError(
            "labels and predicted must have the same shape (n,), not "
            f"{truth.shape} and {guesses.shape}."
        )
    for name, values in (("labels", truth), ("predicted", guesses)):
        _check_classes(name, values, classes)
    cells = truth.astype(np.int64) * classes + guesses
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def class_scores(matrix: np.ndarray) -> ClassScores:
    """Returns precision, recall and F1 of each class.

    Args:
        matrix: Counts of shape `(classes, classes)`, as `confusion_matrix` returns them.

    Example:

    >>> from dlrecipes.metrics import class_scores, confusion_matrix
    >>> scores = class_scores(confusion_matrix([0, 1, 1], [0, 1, 0], 2))
    >>> scores.precision.tolist(), scores.recall.tolist()
    ([0.5, 1.0], [1.0, 0.5])

    Reference:
        van Rijsbergen, 1979, "Information retrieval", chapter 7.
    """
    right, count, predictions = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return ClassScores(
            precision=right / np.maximum(predictions, 1),
            recall=right / count,
            f1=2 * right / (count + predictions),
            count=count,
        )


def top_k_accuracy(probabilities: np.ndarray, labels: np.ndarray, k: int = TOP_K) -> float:
    """Returns the fraction of examples whose true class is among the k most likely ones.

    Classes that are equally likely rank in their order, as for `argmax`: top-1 is the accuracy.

    Args:
        probabilities: Probabilities, or any other scores, of shape `(n, classes)`.
        labels: True classes, integers of shape `(n,)`.
        k: Number of classes. Defaults to 5.

    Raises:
        ValueError: If shapes or classes do not fit.

    Example:

    >>> from dlrecipes.metrics import top_k_accuracy
    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
    0.5
    """
    scores, truth = _checked(probabilities, labels)
    hits = 0
    for start in range(0, len(truth), _ROWS):
        rows, own = scores[start : start + _ROWS], truth[start : start + _ROWS, None]
        score = np.take_along_axis(rows, own, axis=1)
        is_before = np.arange(rows.shape[1]) < own
        rank = np.sum((rows > score) | ((rows == score) & is_before), axis=1)
        hits += int(np.sum(rank < k))
    return hits / len(truth)


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Reliability:
    """Groups predictions by confidence, in bins of equal width.

    Args:
        probabilities: Probability of each class, shape `(n, classes)`.
        labels: True classes, integers of shape `(n,)`.
        bins: Number of bins, at least 1. Defaults to 15.

    Returns:
        Counts, mean confidences and accuracies of the bins.

    Raises:
        ValueError: If shapes or classes do not fit, or a confidence is not in [0, 1].

    Example:

    >>> from dlrecipes.metrics import reliability
    >>> sure_and_wrong_half_the_time = [[0.95, 0.05], [0.95, 0.05]], [0, 1]
    >>> round(reliability(*sure_and_wrong_half_the_time).expected_calibration_error, 2)
    0.45

    Reference:
        Guo, Pleiss, Sun and Weinberger, 2017, "On calibration of modern neural networks",
        equations 2 and 3. https://arxiv.org/abs/1706.04599
    """
    values, truth = _checked(probabilities, labels)
    confidence = values.max(axis=1).astype(np.float64)
    # A float32 softmax may exceed 1 by a rounding error.
    if confidence.min() < 0 or confidence.max() > 1 + 1e-5:
        raise ValueError("probabilities must be between 0 and 1: pass the softmax of the scores.")
    right = values.argmax(axis=1) == truth
    edges = np.linspace(0, 1, bins + 1)
    places = np.digitize(confidence, edges[1:-1], right=True)
    count = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges=edges,
            count=count,
            confidence=np.bincount(places, confidence, bins) / count,
            accuracy=np.bincount(places, right, bins) / count,
        )


def accuracy_interval(right: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Returns the interval in which an accuracy lies, by the bootstrap or by Wilson's formula.

    From 30 predictions on, it is the percentile bootstrap interval, without drawing samples: the
    number of right predictions in a resample of `count` predictions, drawn with replacement, has a
    binomial distribution, and infinitely many resamples give the interval between its quantiles.

    With fewer predictions, or if all of them are right or none, it is Wilson's score interval.
    The bootstrap would be too narrow then: resamples of equal predictions do not differ.

    Args:
        right: Number of right predictions.
        count: Number of predictions, at least 1.
        level: Probability of the interval. Defaults to 0.95.

    Returns:
        Lower and upper bound of the accuracy.

    Raises:
        ValueError: If `right` is not in `range(count + 1)`, or `count` is 0.

    Example:

    >>> from dlrecipes.metrics import accuracy_interval
    >>> accuracy_interval(90, 100)
    (0.84, 0.95)
    >>> low, high = accuracy_interval(4, 4)
    >>> round(low, 2), high
    (0.51, 1.0)

    Reference:
        Efron and Tibshirani, 1993, "An introduction to the bootstrap", sections 5.2 and 13.3.
        Wilson, 1927, "Probable inference, the law of succession, and statistical inference".
        https://doi.org/10.1080/01621459.1927.10502953
    """
    if count < 1 or not 0 <= right <= count:
        raise ValueError(f"right must be from 0 to count, and count at least 1: {right}, {count}.")
    if right in (0, count) or count < LEAST_FOR_BOOTSTRAP:
        return _wilson_interval(right, count, level)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    k = np.arange(count + 1)
    ways = logs[-1] - logs - logs[::-1]
    cumulative = np.cumsum(
        np.exp(ways + k * np.log(right / count) + (count - k) * np.log1p(-right / count))
    )
    tail = (1 - level) / 2
    low, high = np.searchsorted(cumulative / cumulative[-1], [tail, 1 - tail])
    return float(low / count), float(high / count)


def _wilson_interval(right: int, count: int, level: float) -> tuple[float, float]:
    """Returns the accuracies whose normal approximation makes the result plausible enough."""
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    centre = right + z2 / 2
    half = (z2 * (right * (count - right) / count + z2 / 4)) ** 0.5
    # Rounding errors must not move the bounds of equal predictions off 0 and 1.
    low = 0.0 if right == 0 else (centre - half) / (count + z2)
    high = 1.0 if right == count else (centre + half) / (count + z2)
    return low, high


def classification_metrics(
    probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Returns the metrics of a classifier by name, as a recipe's `evaluate` returns them.

    Args:
        probabilities: Probability of each class, shape `(n, classes)`.
        labels: True classes, integers of shape `(n,)`.
        class_names: Names of the classes, in the order of the columns.

    Returns:
        `accuracy` and its 95 % interval, `accuracy_low` and `accuracy_high` (see
        `accuracy_interval`); `error`; `cross_entropy`; `top_5_accuracy`, with at least 10 classes;
        `macro_f1`; `expected_calibration_error`; and, for each class with examples,
        `accuracy_by_class` (the recall), `precision_by_class` and `f1_by_class`.

    Raises:
        ValueError: If shapes or classes do not fit.

    Example:

    >>> from dlrecipes.metrics import classification_metrics
    >>> probabilities = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> metrics = classification_metrics(probabilities, [0, 1, 1], ["cat", "dog"])
    >>> metrics["accuracy_by_class"], metrics["precision_by_class"]
    ({'cat': 1.0, 'dog': 0.5}, {'cat': 0.5, 'dog': 1.0})
    """
    values, truth = _checked(probabilities, labels)
    classes = len(class_names)
    if values.shape[1] != classes:
        raise ValueError(f"probabilities have {values.shape[1]} columns for {classes} names.")
    scores = class_scores(matrix := confusion_matrix(truth, values.argmax(axis=1), classes))
    right, count = int(np.trace(matrix)), len(truth)
    low, high = accuracy_interval(right, count)
    likelihood = np.maximum(values[np.arange(count), truth].astype(np.float64), 1e-12)
    metrics: dict[str, Any] = {
        "accuracy": right / count,
        "accuracy_low": low,
        "accuracy_high": high,
        "error": (count - right) / count,
        "cross_entropy": float(-np.log(likelihood).mean()),
    }
    if classes >= MIN_CLASSES_FOR_TOP_K:
        metrics[f"top_{TOP_K}_accuracy"] = top_k_accuracy(values, truth)
    metrics["macro_f1"] = scores.macro_f1
    metrics["expected_calibration_error"] = reliability(values, truth).expected_calibration_error
    by_class = {"accuracy": scores.recall, "precision": scores.precision, "f1": scores.f1}
    for name, column in by_class.items():
        metrics[f"{name}_by_class"] = {
            class_name: float(column[row])
            for row, class_name in enumerate(class_names)
            if scores.count[row]
        }
    return metrics


def _checked(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, truth = np.asarray(probabilities), np.asarray(labels)
    if values.ndim != 2 or truth.shape != values.shape[:1] or not values.size:
        raise ValueError(
            "probabilities must have the shape (n, classes) and labels the shape (n,), with n at "
            f"least 1, not {values.shape} and {truth.shape}."
        )
    if not np.isfinite(values).all():
        raise ValueError("probabilities contain NaN or infinity.")
    _check_classes("labels", truth, values.shape[1])
    return values, truth


def _check_classes(name: str, values: np.ndarray, classes: int) -> None:
    if values.size and values.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, not {values.dtype}.")
    if values.size and (values.min() < 0 or values.max() >= classes):
        raise ValueError(
            f"{name} must be from 0 to {classes - 1}, not {values.min()} to {values.max()}."
        )
