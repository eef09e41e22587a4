"""Segmentation: how well classes of pixels are told, overall and class by class."""

from __future__ import annotations

import numpy as np


def segmentation_scores(truth: np.ndarray, found: np.ndarray, num_classes: int) -> dict[str, float]:
    """Returns the scores of fully convolutional networks: accuracies and intersection over union.

    Args:
        truth: The class of each pixel, integers of any shape.
        found: What was told, of the same shape.
        num_classes: Number of classes.

    Returns:
        `pixel_accuracy`; `class_accuracy` and `class_iou`, the means over the classes that occur
        in `truth`: of the share that is found, and of intersection over union.

    Raises:
        ValueError: If the shapes differ, there is no pixel, or a class is out of its bounds.

    Example:

    >>> segmentation_scores(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    {'pixel_accuracy': 0.75, 'class_accuracy': 0.8333333333333333, 'class_iou': 0.5833333333333333}

    Reference:
        Long, Shelhamer and Darrell, 2015, "Fully convolutional networks for semantic
        segmentation", section 5.
    """
    truth, found = np.asarray(truth), np.asarray(found)
    if truth.shape != found.shape or not truth.size:
        raise ValueError(
            f"truth and found must be of one shape and not empty, not {truth.shape} and "
            f"{found.shape}."
        )
    for array in (truth, found):
        if array.min() < 0 or array.max() >= num_classes:
            raise ValueError(f"Classes must be from 0 to {num_classes - 1}.")
    pairs = num_classes * truth.ravel().astype("int64") + found.ravel()
    counts = np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
    right, real, told = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    occurs = real > 0
    return {
        "pixel_accuracy": float(right.sum() / counts.sum()),
        "class_accuracy": float((right[occurs] / real[occurs]).mean()),
        "class_iou": float((right[occurs] / (real + told - right)[occurs]).mean()),
    }
