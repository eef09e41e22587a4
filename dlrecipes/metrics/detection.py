"""Metrics of object detectors, from predicted and true boxes.

An image is a mapping of arrays. Predictions have `boxes` (left, top, right and bottom in pixels of
the original image, shape `(n, 4)`), `scores` and `classes` of shape `(n,)`; truths have `boxes`,
`classes` and, optionally, `ignored` of shape `(n,)`: objects that VOC calls difficult, or COCO
crowds. A prediction that finds an ignored object counts neither as a hit nor as a miss, nor does
the object; their overlap is the ordinary intersection over union, as in VOC, for crowds as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlrecipes._utils.boxes import pairwise_iou
from dlrecipes.metrics._box_matching import (
    checked,
    checked_boxes,
    collect_hits,
    match_boxes,
)
from dlrecipes.metrics._coco_evaluation import NUMBERS, SIZES, CocoResults, evaluate
from dlrecipes.metrics.detection_curves import IOU_THRESHOLD, mean_average_precision_interval

# Predictions below it do not count as confused: the default of Ultralytics' matrix.
SCORE_THRESHOLD = 0.25
# Places of the overlaps 0.5 and 0.75 among COCO's.
_HALF, _THREE_QUARTERS = 0, 5


def detection_metrics(
    predictions: Sequence[Mapping[str, np.ndarray]],
    truths: Sequence[Mapping[str, np.ndarray]],
    names: Sequence[str],
) -> dict[str, Any]:
    """Returns COCO's metrics of a detector by name, as a recipe's `evaluate` returns them.

    Precision is read at the recalls 0, 0.01, ..., 1. A prediction finds the object of its class
    that it overlaps most and that no prediction with a higher score has found. In each image the
    100 predictions of a class with the highest scores count. Equal scores rank in the order of
    images and predictions.

    Args:
        predictions: Boxes, scores and classes of each image.
        truths: Boxes, classes and ignored objects of each image.
        names: Names of the classes.

    Returns:
        Fractions from 0 to 1; those that are undefined are left out:

        - `map`: mean average precision over overlaps from 0.5 to 0.95 in steps of 0.05; `map50` and
          `map75`: for one overlap; `map50_low` and `map50_high`: 95 % bootstrap interval of `map50`
          over images, left out if resamples do not differ, as those of a single image.
        - `map_small`, `map_medium`, `map_large`: for boxes of up to 32² square pixels, up to 96²,
          and more.
        - `ar1`, `ar10`, `ar100`: mean recall over the same overlaps with at most 1, 10 and 100
          predictions of a class in an image; `ar_small`, `ar_medium`, `ar_large`.
        - `map_by_class`, `map50_by_class`, `ar100_by_class`: for the classes with objects.

        And `objects_by_class`, the number of objects of every class: a class with 0 is in no mean.
        Without any object it stands alone.

    Raises:
        ValueError: If shapes or classes do not fit, or a number is not finite.

    Example:

    >>> from dlrecipes.metrics import detection_metrics
    >>> predictions = [{"boxes": [[0, 0, 40, 40]], "scores": [0.9], "classes": [0]}]
    >>> truths = [{"boxes": [[0, 0, 40, 50]], "classes": [0]}]
    >>> metrics = detection_metrics(predictions, truths, ["cat", "dog"])
    >>> metrics["map50"], round(metrics["map"], 2), metrics["objects_by_class"]
    (1.0, 0.7, {'cat': 1, 'dog': 0})

    Reference:
        Lin et al., 2014, "Microsoft COCO: common objects in context",
        https://arxiv.org/abs/1405.0312, and https://cocodataset.org/#detection-eval; Everingham et
        al., 2010, "The PASCAL visual object classes (VOC) challenge".
    """
    guesses, objects = checked(predictions, truths, len(names))
    hits = collect_hits(guesses, objects, len(names), IOU_THRESHOLD)
    counts = dict(zip(names, hits.objects.sum(axis=0).tolist(), strict=True))
    if not any(counts.values()):
        return {"objects_by_class": counts}
    results = evaluate(guesses, objects, len(names))
    low, high = mean_average_precision_interval(hits) or (None, None)
    metrics = {"map": results.average(), "map50": results.average(overlap=_HALF)}
    metrics |= {"map50_low": low, "map50_high": high}
    metrics |= _by_overlap_and_size(results)
    return {**_defined(metrics), **_by_class(results, names), "objects_by_class": counts}


def _by_overlap_and_size(results: CocoResults) -> dict[str, float | None]:
    metrics = {"map75": results.average(overlap=_THREE_QUARTERS)}
    metrics |= {f"map_{size}": results.average(size=size) for size in SIZES[1:]}
    metrics |= {f"ar{number}": results.average("recall", number=number) for number in NUMBERS}
    return metrics | {f"ar_{size}": results.average("recall", size=size) for size in SIZES[1:]}


def _by_class(results: CocoResults, names: Sequence[str]) -> dict[str, dict[str, float]]:
    rows = list(enumerate(names))
    return {
        "map_by_class": _defined({n: results.average(own=row) for row, n in rows}),
        "map50_by_class": _defined({n: results.average(overlap=_HALF, own=row) for row, n in rows}),
        "ar100_by_class": _defined({n: results.average("recall", own=row) for row, n in rows}),
    }


def _defined(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}


def detection_confusion(
    predictions: Sequence[Mapping[str, np.ndarray]],
    truths: Sequence[Mapping[str, np.ndarray]],
    num_classes: int,
    iou_threshold: float = IOU_THRESHOLD,
    score_threshold: float = SCORE_THRESHOLD,
) -> np.ndarray:
    """Counts the objects of each class by the class that they are predicted as, or background.

    In the order of the scores, each prediction finds the object of any class that it overlaps
    most, among those that no other prediction has found. Ignored objects count nowhere, nor do
    predictions that find nothing else.

    Args:
        predictions: Boxes, scores and classes of each image, as `detection_metrics` takes them.
        truths: Boxes, classes and ignored objects of each image, as `detection_metrics` takes them.
        num_classes: Number of classes.
        iou_threshold: Least intersection over union of a prediction and the object that it finds.
            Defaults to 0.5.
        score_threshold: Least score of a prediction. Defaults to 0.25.

    Returns:
        Integers of shape `(num_classes + 1, num_classes + 1)`, as `[truth, prediction]`. The last
        column has the objects that are missed, the last row the predictions on the background.

    Raises:
        ValueError: If shapes or classes do not fit.

    Example:

    >>> from dlrecipes.metrics import detection_confusion
    >>> boxes = [[0, 0, 10, 10], [50, 50, 60, 60]]
    >>> predictions = [{"boxes": boxes, "scores": [0.9, 0.7], "classes": [0, 1]}]
    >>> truths = [{"boxes": boxes[:1], "classes": [1]}]
    >>> detection_confusion(predictions, truths, 2).tolist()
    [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    """
    guesses, objects = checked(predictions, truths, num_classes)
    matrix = np.zeros((num_classes + 1, num_classes + 1), int)
    for everything, truth in zip(guesses, objects, strict=True):
        kept = everything["scores"] >= score_threshold
        prediction = {name: values[kept] for name, values in everything.items()}
        matches = match_boxes(prediction, truth, iou_threshold, with_classes=False)
        found = matches.truth >= 0
        pairs = truth["classes"][matches.truth[found]], prediction["classes"][found]
        np.add.at(matrix, pairs, 1)
        missed = ~matches.found & ~truth["ignored"]
        np.add.at(matrix[:, num_classes], truth["classes"][missed], 1)
        wrong = ~found & ~matches.ignored
        np.add.at(matrix[num_classes], prediction["classes"][wrong], 1)
    return matrix


def proposal_recall(
    proposals: Sequence[np.ndarray],
    truths: Sequence[Mapping[str, np.ndarray]],
    numbers: Sequence[int],
    iou_thresholds: Sequence[float] = (0.5, 0.7),
) -> np.ndarray | None:
    """Returns which fraction of the objects the best proposals cover, by their number.

    An object is covered if at least one of the proposals overlaps it enough; classes do not
    count, nor do ignored objects.

    Args:
        proposals: Boxes of each image in pixels of the original image, shape `(n, 4)`, the best
            first.
        truths: Boxes and ignored objects of each image, as `detection_metrics` takes them.
        numbers: Numbers of proposals for each image, at least 1.
        iou_thresholds: Least intersections over union. Defaults to `(0.5, 0.7)`.

    Returns:
        Recalls from 0 to 1, shape `(thresholds, numbers)`; `None` without any object.

    Raises:
        ValueError: If shapes do not fit.

    Example:

    >>> from dlrecipes.metrics import proposal_recall
    >>> proposals = [[[0, 0, 10, 10], [50, 50, 60, 60]]]
    >>> truths = [{"boxes": [[50, 50, 60, 60]], "classes": [0]}]
    >>> proposal_recall(proposals, truths, [1, 2], [0.5]).tolist()
    [[0.0, 1.0]]

    Reference:
        Hosang, Benenson, Dollár and Schiele, 2016, "What makes for effective detection
        proposals?", section 4.1. https://arxiv.org/abs/1502.05082
    """
    if len(proposals) != len(truths):
        raise ValueError(
            "proposals and truths must have one entry for each image, not "
            f"{len(proposals)} and {len(truths)}."
        )
    limits, thresholds = np.asarray(numbers), np.asarray(iou_thresholds)
    covered, count = np.zeros((len(thresholds), len(limits)), int), 0
    for row, (boxes, truth) in enumerate(zip(proposals, truths, strict=True)):
        objects = checked_boxes(truth["boxes"], f"truths[{row}]")
        objects = objects[~np.asarray(truth.get("ignored", np.zeros(len(objects))), bool)]
        count += len(objects)
        overlap = pairwise_iou(checked_boxes(boxes, f"proposals[{row}]"), objects)
        if overlap.size:
            enough = overlap[None] >= thresholds[:, None, None]
            first = np.where(enough.any(axis=1), enough.argmax(axis=1), np.inf)
            covered += (first[:, None] < limits[None, :, None]).sum(axis=2)
    return covered / count if count else None
