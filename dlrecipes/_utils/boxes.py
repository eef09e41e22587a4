"""Areas and overlaps of boxes, with NumPy: left, top, right and bottom in pixels."""

from __future__ import annotations

import numpy as np


def areas(boxes: np.ndarray) -> np.ndarray:
    """Returns the areas of boxes of shape `(n, 4)` in square pixels.

    The area of an empty or an inverted box is 0.
    """
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def pairwise_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the intersection over union of boxes of shapes `(n, 4)` and `(m, 4)`: `(n, m)`."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    union = areas(first)[:, None] + areas(second)[None] - common
    return common / np.where(union > 0, union, 1)
