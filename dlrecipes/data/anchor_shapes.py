"""Sizes and aspect ratios of anchor boxes that suit the boxes of a data set."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

# Boxes whose sides differ by less than this factor count as equal while shapes are searched.
_CELL = 2 ** (1 / 8)
# Starts of the search, and its steps as factors of a size or a ratio, from coarse to fine.
_STARTS, _STEPS = 4, (1.3, 1.1, 1.03, 1.01)
# Digits of the result.
_DIGITS = 3


class AnchorShapes(NamedTuple):
    """Sizes and ratios of anchor boxes, and how well they suit the boxes of a data set.

    Args:
        sizes: Square roots of the anchors' areas, in pixels, ascending.
        ratios: Heights of the anchors divided by their widths, ascending.
        mean_iou: Mean over the boxes of the overlap (IoU) with the best anchor on the same centre.
    """

    sizes: tuple[float, ...]
    ratios: tuple[float, ...]
    mean_iou: float


def suggest_anchors(
    sizes: Any, num_sizes: int = 3, num_ratios: int = 3, seed: int = 0
) -> AnchorShapes:
    """Returns the sizes and ratios of anchor boxes that overlap best with given boxes.

    The distance of a box and an anchor is 1 - IoU, as in k-means clustering of box dimensions.
    Clusters are not free, since `dlrecipes.layers.AnchorBoxes` combines each size with each ratio:
    sizes and ratios are clustered on a logarithmic scale, and then changed one by one while the
    mean IoU increases.

    Args:
        sizes: Widths and heights of the boxes in pixels of the network's input, shape `(boxes, 2)`,
            each above 0.
        num_sizes: Most sizes, at least 1. Defaults to 3.
        num_ratios: Most ratios, at least 1. Defaults to 3.
        seed: Seed of the random starts of the search. Defaults to 0.

    Returns:
        Sizes and ratios of three digits for `AnchorBoxes`, and the mean IoU. There are fewer of
        them than asked for if the boxes have fewer shapes.

    Raises:
        ValueError: If there are no boxes, a side is not above 0, or a number is below 1.

    Example:

    >>> from dlrecipes.data.anchor_shapes import suggest_anchors
    >>> shapes = suggest_anchors([[10, 40], [20, 80], [30, 30]], num_sizes=3, num_ratios=2)
    >>> shapes.sizes, shapes.ratios, round(shapes.mean_iou, 6)
    ((20.0, 30.0, 40.0), (1.0, 4.0), 1.0)

    Reference:
        Redmon and Farhadi, 2017, "YOLO9000: better, faster, stronger", section 2, "Dimension
        clusters". https://arxiv.org/abs/1612.08242
    """
    boxes = np.asarray(sizes, float)
    if boxes.ndim != 2 or boxes.shape[1] != 2 or not len(boxes):
        raise ValueError(f"sizes must be of shape (boxes, 2), not {boxes.shape}.")
    if not (np.isfinite(boxes) & (boxes > 0)).all():
        raise ValueError("sizes must be widths and heights above 0.")
    for name, value in {"num_sizes": num_sizes, "num_ratios": num_ratios}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value!r}.")
    rng = np.random.default_rng(seed)
    cells, weights = _cells(boxes)
    places = _logarithms(cells)
    best, best_iou = np.zeros(0), -1.0
    for start in range(_STARTS):
        clusters = [
            _clusters(values, weights, count, rng if start else None)
            for values, count in zip(places, (num_sizes, num_ratios), strict=True)
        ]
        shapes, iou = _refined(np.concatenate(clusters), num_sizes, cells, weights)
        if iou > best_iou:
            best, best_iou = shapes, iou
    own, ratios = _rounded(np.exp(best[:num_sizes])), _rounded(np.exp(best[num_sizes:]))
    iou = _mean_iou(np.log(own), np.log(ratios), boxes, np.full(len(boxes), 1 / len(boxes)))
    return AnchorShapes(tuple(own.tolist()), tuple(ratios.tolist()), iou)


def _cells(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean sides of groups of almost equal boxes, and each group's part of all boxes.

    Large data sets then take no longer than small ones.
    """
    keys = np.floor(np.log(boxes) / np.log(_CELL)).astype("int64")
    _, group, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    group = group.ravel()
    sums = np.stack([np.bincount(group, side) for side in np.log(boxes).T], axis=1)
    return np.exp(sums / counts[:, None]), counts / counts.sum()


def _logarithms(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the logarithms of the sizes and of the ratios of boxes."""
    width, height = np.log(boxes).T
    return (width + height) / 2, height - width


def _clusters(
    values: np.ndarray, weights: np.ndarray, count: int, rng: np.random.Generator | None
) -> np.ndarray:
    """Returns the centres of clusters of numbers by k-means, from quantiles or random starts."""
    order = np.argsort(values)
    parts = (np.arange(count) + 0.5) / count if rng is None else np.sort(rng.random(count))
    middles = np.cumsum(weights[order]) - weights[order] / 2
    centres = np.interp(parts, middles, values[order])
    for _ in range(20):
        nearest = np.abs(values[:, None] - centres).argmin(axis=1)
        totals = np.bincount(nearest, weights, count)
        means = np.bincount(nearest, weights * values, count) / np.maximum(totals, 1e-12)
        centres = np.where(totals > 0, means, centres)
    return centres


def _refined(
    shapes: np.ndarray, num_sizes: int, boxes: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Returns logarithms of sizes and ratios, changed one by one while the mean IoU increases."""
    best = _mean_iou(shapes[:num_sizes], shapes[num_sizes:], boxes, weights)
    for step in np.log(_STEPS):
        is_better = True
        while is_better:
            is_better = False
            for place in range(len(shapes)):
                for change in (-step, step):
                    other = shapes.copy()
                    other[place] += change
                    iou = _mean_iou(other[:num_sizes], other[num_sizes:], boxes, weights)
                    if iou > best + 1e-6:
                        shapes, best, is_better = other, iou, True
    return shapes, best


def _mean_iou(
    sizes: np.ndarray, ratios: np.ndarray, boxes: np.ndarray, weights: np.ndarray
) -> float:
    """Returns the weighted mean of the boxes' IoU with the best anchor on the same centre.

    Args:
        sizes: Logarithms of sizes.
        ratios: Logarithms of ratios.
        boxes: Widths and heights, of shape `(boxes, 2)`.
        weights: Weights of the boxes, whose sum is 1.
    """
    size, ratio = np.exp(sizes)[:, None], np.exp(ratios / 2)
    widths, heights = (size / ratio).ravel(), (size * ratio).ravel()
    common = np.minimum(boxes[:, :1], widths) * np.minimum(boxes[:, 1:], heights)
    areas = boxes[:, :1] * boxes[:, 1:] + widths * heights
    # Rounded once, so that it does not depend on the order of the boxes.
    return math.fsum(weights * (common / (areas - common)).max(axis=1))


def _rounded(values: np.ndarray) -> np.ndarray:
    """Returns the distinct values of three digits, ascending."""
    return np.unique([float(f"{value:.{_DIGITS}g}") for value in values])
