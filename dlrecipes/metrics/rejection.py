"""The least probability of a prediction below which a classifier answers that it knows none."""

from __future__ import annotations

import numpy as np

# Fraction of the examples of known classes that may be rejected by mistake.
MAX_DROP = 0.005


def rejection_threshold(
    truth: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    rejected: str,
    max_drop: float = MAX_DROP,
) -> float:
    """Returns the threshold with the best accuracy, counting predictions below it as rejected.

    Between thresholds of equal accuracy, it is the middle of the widest range of probabilities
    without a prediction. The accuracy on the examples of the other classes drops by at most
    `max_drop`.

    Args:
        truth: Names of the right classes, of shape `(count,)`.
        predicted: Names of the most probable classes.
        probabilities: Their probabilities.
        rejected: Name of the class of rejected examples.
        max_drop: Greatest drop of the accuracy on other classes. Defaults to 0.005.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics import rejection_threshold
    >>> truth = np.array(["fly", "pay", "none", "none"])
    >>> predicted = np.array(["fly", "pay", "pay", "none"])
    >>> rejection_threshold(truth, predicted, np.array([0.9, 0.8, 0.4, 0.9]), "none")
    0.6
    """
    edges = np.unique(np.concatenate([[0.0], probabilities.astype("float64"), [1.0]]))
    thresholds = np.concatenate([[0.0], (edges[:-1] + edges[1:]) / 2])
    widths = np.concatenate([[0.0], np.diff(edges)])
    is_right = np.where(probabilities >= thresholds[:, None], predicted, rejected) == truth
    scores = is_right.mean(axis=1)
    known = truth != rejected
    if known.any():
        accuracy = is_right[:, known].mean(axis=1)
        scores[accuracy < accuracy[0] - max_drop] = -1
    best = np.flatnonzero(scores == scores.max())
    return round(float(thresholds[best[widths[best].argmax()]]), 6)
