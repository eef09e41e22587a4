"""Segmentation scores: pixel accuracy, class accuracy and intersection over union."""

from __future__ import annotations

import numpy as np


def segmentation_scores(
    truth: np.ndarray, predicted: np.ndarray, num_classes: int
) -> dict[str, float]:
    """Returns the scores of fully convolutional networks: accuracies and intersection over union.

    Args:
        truth: True class of each pixel, integers of any shape.
        predicted: Predicted class of each pixel, of the same shape.
        num_classes: Number of classes.

    Returns:
        `pixel_accuracy`, the fraction of correct pixels; `class_accuracy` and `class_iou`, the
        means over the classes that occur in `truth` of the fraction of correct pixels and of
        intersection over union.

    Raises:
        ValueError: If the shapes differ, there are no pixels, or a class is out of bounds.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.segmentation import segmentation_scores
    >>> segmentation_scores(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    {'pixel_accuracy': 0.75, 'class_accuracy': 0.8333333333333333, 'class_iou': 0.5833333333333333}

    Reference:
        Long, Shelhamer and Darrell, 2015, "Fully convolutional networks for semantic
        segmentation", section 5. https://arxiv.org/abs/1411.4038
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape or not truth.size:
        raise ValueError(
            "truth and predicted must have the same shape and not be empty, not "
            f"{truth.shape} and {predicted.shape}."
        )
    for classes in (truth, predicted):
        if classes.min() < 0 or classes.max() >= num_classes:
            raise ValueError(f"Classes must be from 0 to {num_classes - 1}.")
    pairs = num_classes * truth.ravel().astype("int64") + predicted.ravel()
    counts = np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
    correct, true_pixels, predicted_pixels = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    union = true_pixels + predicted_pixels - correct
    occurs = true_pixels > 0
    return {
        "pixel_accuracy": float(correct.sum() / counts.sum()),
        "class_accuracy": float((correct[occurs] / true_pixels[occurs]).mean()),
        "class_iou": float((correct[occurs] / union[occurs]).mean()),
    }
