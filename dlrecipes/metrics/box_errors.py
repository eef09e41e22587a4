"""Mistakes of object detectors, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dlrecipes.metrics._box_matching import areas, checked, match_boxes, pairwise_iou
from dlrecipes.metrics.detection_curves import IOU_THRESHOLD

DUPLICATE, WRONG_CLASS, INACCURATE, BACKGROUND = KINDS = (
    "duplicate",
    "wrong class",
    "inaccurate box",
    "background",
)
MISSED = "missed"
# Least overlap of an inaccurate box with its object: TIDE's threshold of the background.
_NEARBY = 0.1


class DetectionError(NamedTuple):
    """One mistake.

    Args:
        image: Number of the image.
        place: Index of the prediction among those of its image; for a missed object, index of the
            object.
        kind: One of `KINDS`, or `"missed"`.
    """

    image: int
    place: int
    kind: str


def detection_errors(
    predictions: Sequence[Mapping[str, np.ndarray]],
    truths: Sequence[Mapping[str, np.ndarray]],
    num_classes: int,
    score_threshold: float = 0.0,
    iou_threshold: float = IOU_THRESHOLD,
) -> tuple[list[DetectionError], list[DetectionError]]:
    """Returns wrong predictions with their kinds, and missed objects.

    A wrong prediction is a duplicate if it overlaps an object of its class that has been found by
    a prediction with a higher score; of a wrong class if it overlaps an object of another class;
    inaccurate if it overlaps an object of its class by 0.1 or more, but not enough; and on the
    background otherwise.

    Args:
        predictions: Boxes, scores and classes of each image, as `detection_metrics` takes them.
        truths: Boxes, classes and ignored objects of each image, as `detection_metrics` takes them.
        num_classes: Number of classes.
        score_threshold: Least score of a prediction. Defaults to 0.0.
        iou_threshold: Least intersection over union of a prediction and the object that it finds.
            Defaults to 0.5.

    Returns:
        Wrong predictions, those with the highest scores first; and missed objects, the largest
        first.

    Raises:
        ValueError: If shapes or classes do not fit.

    Example:

    >>> from dlrecipes.metrics import detection_errors
    >>> predictions = [{"boxes": [[0, 0, 10, 10]], "scores": [0.9], "classes": [0]}]
    >>> truths = [{"boxes": [[0, 0, 10, 10]], "classes": [1]}]
    >>> wrong, missed = detection_errors(predictions, truths, 2)
    >>> wrong[0].kind, missed[0].kind
    ('wrong class', 'missed')

    Reference:
        Bolya, Foley, Hays and Hoffman, 2020, "TIDE: a general toolbox for identifying object
        detection errors", section 2.2. https://arxiv.org/abs/2008.08115
    """
    guesses, objects = checked(predictions, truths, num_classes)
    wrong: list[tuple[float, DetectionError]] = []
    missed: list[tuple[float, DetectionError]] = []
    for number, (everything, truth) in enumerate(zip(guesses, objects, strict=True)):
        rows = np.flatnonzero(everything["scores"] >= score_threshold)
        prediction = {name: values[rows] for name, values in everything.items()}
        matches = match_boxes(prediction, truth, iou_threshold)
        places = np.flatnonzero((matches.truth < 0) & ~matches.ignored)
        kinds = _kinds(prediction, truth, places, iou_threshold)
        for place, kind in zip(places, kinds, strict=True):
            error = DetectionError(number, int(rows[place]), kind)
            wrong.append((float(prediction["scores"][place]), error))
        sizes = areas(truth["boxes"])
        for place in np.flatnonzero(~matches.found & ~truth["ignored"]):
            missed.append((float(sizes[place]), DetectionError(number, int(place), MISSED)))
    return _largest_first(wrong), _largest_first(missed)


def _kinds(
    prediction: Mapping[str, np.ndarray],
    truth: Mapping[str, np.ndarray],
    places: np.ndarray,
    iou_threshold: float,
) -> list[str]:
    overlap = pairwise_iou(prediction["boxes"][places], truth["boxes"])
    same = prediction["classes"][places][:, None] == truth["classes"][None]
    enough = overlap >= iou_threshold
    conditions = [enough & same, enough & ~same, (overlap >= _NEARBY) & same]
    return [
        next((kind for kind, found in zip(KINDS, found_by, strict=False) if found), BACKGROUND)
        for found_by in zip(*(condition.any(axis=1) for condition in conditions), strict=True)
    ]


def _largest_first(errors: list[tuple[float, DetectionError]]) -> list[DetectionError]:
    return [error for _, error in sorted(errors, key=lambda pair: -pair[0])]
