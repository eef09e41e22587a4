"""Precision and recall of detectors by score, and the score from which a prediction is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dlrecipes.metrics._box_matching import Hits, checked, collect_hits

# Recalls at which COCO reads the precision.
RECALLS = np.linspace(0, 1, 101)
IOU_THRESHOLD = 0.5
RESAMPLES = 500
# Weights of predictions in resamples that are held in memory at once.
_WEIGHTS = 4_000_000
# Means that differ by less are equal except for rounding errors.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall of one class by the least score of its predictions.

    Args:
        scores: Distinct scores of the predictions, descending, shape `(n,)`.
        precision: Fraction of the predictions with at least this score that find an object, shape
            `(n,)`.
        recall: Fraction of the objects that they find, shape `(n,)`.
        interpolated: Largest precision at the recalls 0, 0.01, ..., 1 and above; 0 where no score
            reaches a recall. Shape `(101,)`.
        objects: Number of objects, at least 1; ignored ones are not counted.
    """

    scores: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    interpolated: np.ndarray
    objects: int

    @property
    def average_precision(self) -> float:
        """COCO's average precision: the mean of `interpolated`, from 0 to 1."""
        return float(self.interpolated.mean())


class ScoreThreshold(NamedTuple):
    """A score, and what the predictions with at least this score achieve, from 0 to 1.

    Args:
        threshold: The score.
        precision: Fraction of these predictions that find an object.
        recall: Fraction of the objects that they find.
        f1: Harmonic mean of both.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


def precision_recall_curves(
    predictions: Sequence[Mapping[str, np.ndarray]],
    truths: Sequence[Mapping[str, np.ndarray]],
    names: Sequence[str],
    iou_threshold: float = IOU_THRESHOLD,
) -> dict[str, PrecisionRecall]:
    """Returns precision and recall of each class that has objects.

    Args:
        predictions: Boxes, scores and classes of each image, as `detection_metrics` takes them.
        truths: Boxes, classes and ignored objects of each image, as `detection_metrics` takes them.
        names: Names of the classes.
        iou_threshold: Least intersection over union of a prediction and the object that it finds.
            Defaults to 0.5.

    Returns:
        Curves by name, in the order of the names.

    Raises:
        ValueError: If shapes or classes do not fit.

    Example:

    >>> from dlrecipes.metrics import precision_recall_curves
    >>> boxes = [[0, 0, 10, 10], [50, 50, 60, 60]]
    >>> predictions = [{"boxes": boxes, "scores": [0.9, 0.8], "classes": [0, 0]}]
    >>> truths = [{"boxes": boxes[:1], "classes": [0]}]
    >>> curve = precision_recall_curves(predictions, truths, ["cat"])["cat"]
    >>> curve.precision.tolist(), curve.recall.tolist(), curve.average_precision
    ([1.0, 0.5], [1.0, 1.0], 1.0)

    Reference:
        Everingham et al., 2010, "The PASCAL visual object classes (VOC) challenge", section 4.2;
        and Lin et al., 2014, "Microsoft COCO", https://arxiv.org/abs/1405.0312.
    """
    guesses, objects = checked(predictions, truths, len(names))
    hits = collect_hits(guesses, objects, len(names), iou_threshold)
    counts = hits.objects.sum(axis=0)
    curves = {}
    for row in np.flatnonzero(counts).tolist():
        own = hits.classes == row
        curves[names[row]] = _curve(hits.scores[own], hits.hits[own], int(counts[row]))
    return curves


def _curve(scores: np.ndarray, hits: np.ndarray, objects: int) -> PrecisionRecall:
    found, made = np.cumsum(hits), np.arange(1, len(hits) + 1)
    precision, recall = found / made, found / objects
    last = _last_of_each_score(scores)
    return PrecisionRecall(
        scores=scores[last],
        precision=precision[last],
        recall=recall[last],
        interpolated=_interpolated(precision, recall),
        objects=objects,
    )


def _last_of_each_score(scores: np.ndarray) -> np.ndarray:
    """Returns the places where predictions of one score end: a threshold keeps all or none."""
    return np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])


def _interpolated(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Returns COCO's 101 precisions: each the largest at its recall or a higher one."""
    highest = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return highest[np.searchsorted(recall, RECALLS)]


def best_score_threshold(
    predictions: Sequence[Mapping[str, np.ndarray]],
    truths: Sequence[Mapping[str, np.ndarray]],
    num_classes: int,
    iou_threshold: float = IOU_THRESHOLD,
) -> ScoreThreshold | None:
    """Returns the score threshold with the largest F1, counted over all classes together.

    Choose it on validation data: on the test data it would be too good.

    Args:
        predictions: Boxes, scores and classes of each image, as `detection_metrics` takes them.
        truths: Boxes, classes and ignored objects of each image, as `detection_metrics` takes them.
        num_classes: Number of classes.
        iou_threshold: Least intersection over union of a prediction and the object that it finds.
            Defaults to 0.5.

    Returns:
        The threshold, halfway between the last score that is kept and the next lower one, or 0,
        so that rounding errors of the scores change nothing; and precision, recall and F1. `None`
        if no prediction finds an object: no threshold is then better than another.

    Raises:
        ValueError: If shapes or classes do not fit.

    Example:

    >>> from dlrecipes.metrics import best_score_threshold
    >>> boxes = [[0, 0, 10, 10], [50, 50, 60, 60]]
    >>> predictions = [{"boxes": boxes, "scores": [0.9, 0.7], "classes": [0, 0]}]
    >>> truths = [{"boxes": boxes[:1], "classes": [0]}]
    >>> round(best_score_threshold(predictions, truths, 1).threshold, 2)
    0.8
    """
    guesses, objects = checked(predictions, truths, num_classes)
    hits = collect_hits(guesses, objects, num_classes, iou_threshold)
    count, last = int(hits.objects.sum()), _last_of_each_score(hits.scores)
    found = np.cumsum(hits.hits)[last]
    if not found.any():
        return None
    f1 = 2 * found / (last + 1 + count)
    best = int(np.argmax(f1))
    lower = hits.scores[last[best + 1]] if best + 1 < len(last) else 0.0
    return ScoreThreshold(
        threshold=float((hits.scores[last[best]] + lower) / 2),
        precision=float(found[best] / (last[best] + 1)),
        recall=float(found[best] / count),
        f1=float(f1[best]),
    )


def mean_average_precision_interval(
    hits: Hits, level: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float] | None:
    """Returns the percentile bootstrap interval of the mean average precision, over images.

    Images are drawn with replacement. A class without objects in a resample is left out of its
    mean. The same data give the same interval.

    Args:
        hits: Predictions and objects of all images, for one threshold of the overlap.
        level: Probability of the interval. Defaults to 0.95.
        resamples: Number of resamples. Defaults to 500.

    Returns:
        Lower and upper bound; `None` without any object, or if all resamples have the same mean, as
        those of a single image: an interval without width would promise too much.

    Reference:
        Efron and Tibshirani, 1993, "An introduction to the bootstrap", section 13.3.
    """
    images, classes = hits.objects.shape
    if not hits.objects.any():
        return None
    rng = np.random.default_rng(0)
    rows = max(1, _WEIGHTS // max(images, len(hits.scores)))
    means = []
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        weights = rng.multinomial(images, np.full(images, 1 / images), size=count)
        values = np.stack([_weighted_precisions(hits, own, weights) for own in range(classes)])
        has_objects = ~np.isnan(values)
        kept = has_objects.any(axis=0)
        means.append(np.nansum(values, axis=0)[kept] / has_objects.sum(axis=0)[kept])
    tail = (1 - level) / 2
    every = np.concatenate(means)
    if np.ptp(every) < _ROUNDING:
        return None
    low, high = np.quantile(every, [tail, 1 - tail])
    return float(low), float(high)


def _weighted_precisions(hits: Hits, own: int, weights: np.ndarray) -> np.ndarray:
    """Returns the average precision of a class in each resample; NaN without objects.

    Args:
        hits: Predictions and objects.
        own: The class.
        weights: How often each resample has each image, shape `(resamples, images)`.
    """
    places = np.flatnonzero(hits.classes == own)
    is_hit = hits.hits[places]
    drawn = weights[:, hits.images[places]]
    made = np.cumsum(drawn, axis=1)[:, is_hit]
    found = np.cumsum(drawn[:, is_hit], axis=1)
    # Precision is largest where a prediction is a hit: the others need not be looked at.
    precision = found / np.maximum(made, 1)
    objects = weights @ hits.objects[:, own]
    values = np.full(len(weights), np.nan)
    for row in np.flatnonzero(objects):
        values[row] = _interpolated(precision[row], found[row] / objects[row]).mean()
    return values
