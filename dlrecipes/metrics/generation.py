"""Similarity of generated and real examples by features: Frechet distance, precision, recall."""

from __future__ import annotations

import numpy as np


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Returns the Frechet distance between two sets of features, modelled as normal distributions.

    With features of Inception v3 this is the FID. With other features it is not comparable with
    published values.

    Args:
        real: Features of real examples, shape `(count, features)`, at least two examples.
        generated: Features of generated examples, shape `(count, features)`, at least two.

    Returns:
        The squared distance, at least 0.

    Raises:
        ValueError: If the shapes do not match, or a feature is NaN or infinite.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.generation import frechet_distance
    >>> points = np.array([[0.0], [2.0]])
    >>> round(frechet_distance(points, points + 3), 3)  # the means are 3 apart
    9.0

    Reference:
        Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter, 2017, "GANs trained by a two
        time-scale update rule converge to a local Nash equilibrium", equation 6.
        https://arxiv.org/abs/1706.08500
    """
    real, generated = _checked(real, generated)
    gap = real.mean(axis=0) - generated.mean(axis=0)
    first, second = (np.atleast_2d(np.cov(part, rowvar=False)) for part in (real, generated))
    # The trace of the root of a product is the sum of the singular values of the product of the
    # roots. Unlike the root of the product, it exists for the covariances of few examples.
    overlap = np.linalg.norm(_root(first) @ _root(second), "nuc")
    distance = gap @ gap + np.trace(first + second) - 2 * overlap
    return float(max(distance, 0.0))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Returns the symmetric square root of a covariance matrix, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def precision_recall(
    real: np.ndarray, generated: np.ndarray, neighbours: int = 3
) -> tuple[float, float]:
    """Returns the fraction of generated examples that look real, and of real examples covered.

    The region of a set is the union of balls around its points; each radius is the distance to
    the point's `neighbours`-th nearest neighbour. Precision is the fraction of generated points
    in the real region; recall is the fraction of real points in the generated region.

    Unusual real points have large balls, and one of them may contain all generated points, however
    many there are. So precision says little if recall is near 0.

    Args:
        real: Features of real examples, shape `(count, features)`.
        generated: Features of generated examples, shape `(count, features)`.
        neighbours: Number of the neighbour whose distance is a ball's radius, at least 1.
            Defaults to 3.

    Returns:
        Precision and recall, each in [0, 1].

    Raises:
        ValueError: If the shapes do not match, or a set has no more points than `neighbours`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.generation import precision_recall
    >>> real = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> precision_recall(real, np.array([[0.5], [0.4], [30.0], [31.0]]), neighbours=1)
    (0.5, 0.0)

    Reference:
        Kynkaanniemi, Karras, Laine, Lehtinen and Aila, 2019, "Improved precision and recall
        metric for assessing generative models", equations 1 and 2.
        https://arxiv.org/abs/1904.06991
    """
    real, generated = _checked(real, generated)
    if neighbours < 1 or min(len(real), len(generated)) <= neighbours:
        smallest = min(len(real), len(generated))
        raise ValueError(f"neighbours must be from 1 to {smallest - 1}, not {neighbours}.")
    distances = _distances(generated, real)
    inside_real = distances <= _radii(real, neighbours)[None]
    inside_generated = _radii(generated, neighbours)[None] >= distances.T
    return float(inside_real.any(axis=1).mean()), float(inside_generated.any(axis=1).mean())


def nearest_distance(points: np.ndarray) -> float:
    """Returns the mean distance to the nearest other point, which is near 0 if all are similar.

    Args:
        points: Points, shape `(count, features)`, at least two.
    """
    points, _ = _checked(points, points)
    return float(_radii(points, 1).mean())


def _radii(points: np.ndarray, neighbours: int) -> np.ndarray:
    distances = _distances(points, points)
    np.fill_diagonal(distances, -1.0)
    # The first entry of each row is the point itself.
    return np.partition(distances, neighbours, axis=1)[:, neighbours]


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(first, second)


def _checked(real: np.ndarray, generated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    real, generated = np.asarray(real, "float64"), np.asarray(generated, "float64")
    fits = real.ndim == generated.ndim == 2 and real.shape[1] == generated.shape[1]
    if not fits or min(len(real), len(generated)) < 2:
        raise ValueError(
            "Features must have shape (count, features) with at least two examples each, not "
            f"{real.shape} and {generated.shape}."
        )
    if not (np.isfinite(real).all() and np.isfinite(generated).all()):
        raise ValueError("Features contain NaN or infinity.")
    return real, generated
