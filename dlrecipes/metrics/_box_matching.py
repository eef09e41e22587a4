"""Predicted boxes matched with true ones: who finds which object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# COCO counts this many predictions of a class in an image: those with the highest scores.
MOST_PREDICTIONS = 100
Image = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class BoxMatches:
    """The matches of one image.

    Args:
        truth: Index of the object that each prediction finds, or -1. Shape `(predictions,)`.
        ignored: Whether a prediction counts neither as a hit nor as a miss, because it finds an
            ignored object. Shape `(predictions,)`.
        found: Whether a prediction finds an object. Shape `(objects,)`.
    """

    truth: np.ndarray
    ignored: np.ndarray
    found: np.ndarray


@dataclass(frozen=True)
class Hits:
    """The predictions of all images that count, those with the highest scores first.

    Args:
        scores: Shape `(n,)`, descending.
        classes: Class of each prediction, shape `(n,)`.
        images: Number of its image, shape `(n,)`.
        hits: Whether it finds an object, shape `(n,)`.
        objects: Number of objects that are not ignored, shape `(images, classes)`.
    """

    scores: np.ndarray
    classes: np.ndarray
    images: np.ndarray
    hits: np.ndarray
    objects: np.ndarray


def checked(
    predictions: Sequence[Image], truths: Sequence[Image], classes: int
) -> tuple[list[Image], list[Image]]:
    """Returns predictions and truths as arrays: float64 boxes and scores, int64 classes.

    Raises:
        ValueError: If numbers of images, shapes or classes do not fit, or a number is not finite.
    """
    if len(predictions) != len(truths):
        raise ValueError(
            "predictions and truths must have one entry for each image, not "
            f"{len(predictions)} and {len(truths)}."
        )
    guesses = [
        _arrays(entry, f"predictions[{row}]", ("scores",), classes)
        for row, entry in enumerate(predictions)
    ]
    objects = [_arrays(entry, f"truths[{row}]", (), classes) for row, entry in enumerate(truths)]
    return guesses, objects


def _arrays(entry: Image, where: str, more: Iterable[str], classes: int) -> Image:
    boxes = checked_boxes(entry["boxes"], where)
    arrays: dict[str, Any] = {
        "boxes": boxes,
        "classes": np.asarray(entry["classes"]).reshape(-1),
        "ignored": np.zeros(len(boxes), bool),
    }
    arrays |= {name: np.asarray(entry[name], np.float64).reshape(-1) for name in more}
    if "ignored" in entry:
        arrays["ignored"] = np.asarray(entry["ignored"], bool).reshape(-1)
    for name, values in arrays.items():
        if len(values) != len(boxes):
            raise ValueError(f"{where} has {len(boxes)} boxes, but {len(values)} {name}.")
    if not all(np.isfinite(arrays[name]).all() for name in more):
        raise ValueError(f"{where} has scores that are NaN or infinite.")
    own = arrays["classes"]
    if own.size and (own.dtype.kind not in "iu" or own.min() < 0 or own.max() >= classes):
        raise ValueError(
            f"{where} has classes that are not integers from 0 to {classes - 1}. Padding must be "
            "left out."
        )
    return arrays | {"classes": own.astype(np.int64)}


def checked_boxes(boxes: Any, where: str) -> np.ndarray:
    """Returns boxes as float64 of shape `(n, 4)`."""
    values = np.asarray(boxes, np.float64)
    values = values.reshape(0, 4) if not values.size else values
    if values.ndim != 2 or values.shape[1] != 4:
        raise ValueError(f"{where} has boxes of shape {values.shape}, not (n, 4).")
    if not np.isfinite(values).all():
        raise ValueError(f"{where} has boxes with NaN or infinity.")
    return values


def areas(boxes: np.ndarray) -> np.ndarray:
    """Returns the areas of boxes in square pixels; 0 for empty and for inverted ones."""
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def pairwise_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the intersection over union of boxes of shapes `(n, 4)` and `(m, 4)`: `(n, m)`."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    union = areas(first)[:, None] + areas(second)[None] - common
    return common / np.where(union > 0, union, 1)


def match_boxes(
    prediction: Image,
    truth: Image,
    iou_threshold: float,
    with_classes: bool = True,
) -> BoxMatches:
    """Matches the predictions of an image with its objects, as COCO does for one threshold.

    In the order of the scores, each prediction finds the object of its class that it overlaps
    most, among those that no other prediction has found. A prediction that finds none, but
    overlaps an ignored object of its class, is ignored, as are all predictions of a class after
    the first 100.

    Args:
        prediction: Arrays as `checked` returns them.
        truth: The same.
        iou_threshold: Least intersection over union.
        with_classes: Whether classes count: without them, predictions find objects of any class,
            and all predictions are matched. Defaults to `True`.
    """
    scores, ignored = prediction["scores"], truth["ignored"]
    matches = BoxMatches(
        np.full(len(scores), -1),
        np.zeros(len(scores), bool),
        np.zeros(len(ignored), bool),
    )
    overlap = pairwise_iou(prediction["boxes"], truth["boxes"])
    enough = np.greater_equal(overlap, iou_threshold)
    order = np.argsort(-scores, kind="stable")
    if with_classes:
        enough &= prediction["classes"][:, None] == truth["classes"][None]
        surplus = order[_rank(prediction["classes"][order]) >= MOST_PREDICTIONS]
        enough[surplus] = False
        matches.ignored[surplus] = True
    for row in order[enough.any(axis=1)[order]]:
        free = np.flatnonzero(enough[row] & ~matches.found & ~ignored)
        if len(free):
            best = free[np.argmax(overlap[row, free])]
            matches.truth[row] = best
            matches.found[best] = True
        else:
            matches.ignored[row] = (enough[row] & ignored).any()
    return matches


def _rank(classes: np.ndarray) -> np.ndarray:
    """Returns how many earlier entries each entry's class has."""
    if len(classes) <= MOST_PREDICTIONS:
        return np.zeros(len(classes), int)
    ranks = np.empty(len(classes), int)
    for own in np.unique(classes):
        ranks[classes == own] = np.arange((classes == own).sum())
    return ranks


def collect_hits(
    predictions: Sequence[Image], truths: Sequence[Image], classes: int, iou_threshold: float
) -> Hits:
    """Matches all images and returns the predictions that count.

    Args:
        predictions: Arrays as `checked` returns them.
        truths: The same.
        classes: Number of classes.
        iou_threshold: Least intersection over union.
    """
    objects = np.zeros((len(truths), classes), int)
    parts = [(np.zeros(0), np.zeros(0, int), np.zeros(0, int), np.zeros(0, bool))]
    for row, (prediction, truth) in enumerate(zip(predictions, truths, strict=True)):
        matches = match_boxes(prediction, truth, iou_threshold)
        counted = ~matches.ignored
        own = prediction["classes"][counted]
        is_hit = matches.truth[counted] >= 0
        parts.append((prediction["scores"][counted], own, np.full(len(own), row), is_hit))
        np.add.at(objects[row], truth["classes"][~truth["ignored"]], 1)
    scores, own, images, hits = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(-scores, kind="stable")
    return Hits(
        scores=scores[order],
        classes=own[order],
        images=images[order],
        hits=hits[order],
        objects=objects,
    )
