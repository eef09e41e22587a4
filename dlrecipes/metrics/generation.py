"""How like real examples generated ones are, by features: Frechet distance, precision, recall."""

from __future__ import annotations

import numpy as np

# A little is added to covariances of few examples, whose roots are no numbers otherwise.
RIDGE = 1e-6


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Returns the Frechet distance of two sets of features, each taken for a normal distribution.

    With features of Inception v3 it is the FID; with other features it is not to be compared
    with published ones.

    Args:
        real: Features of real examples, shape `(count, features)`, at least two.
        generated: Those of generated examples, likewise.

    Raises:
        ValueError: If the shapes do not fit, or a feature is no number.

    Example:

    >>> points = np.array([[0.0], [2.0]])
    >>> round(frechet_distance(points, points + 3), 3)  # the means are 3 apart
    9.0

    Reference:
        Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter, 2017, "GANs trained by a two
        time-scale update rule converge to a local Nash equilibrium", equation 6.
    """
    from scipy import linalg

    real, generated = _checked(real, generated)
    gap = real.mean(axis=0) - generated.mean(axis=0)
    one, other = (np.atleast_2d(np.cov(part, rowvar=False)) for part in (real, generated))
    ridge = RIDGE * np.eye(len(one))
    root = linalg.sqrtm((one + ridge) @ (other + ridge))
    # Tiny imaginary parts are the arithmetic's.
    distance = gap @ gap + np.trace(one + other) - 2 * np.trace(np.real(root))
    return float(max(distance, 0.0))


def precision_recall(
    real: np.ndarray, generated: np.ndarray, neighbours: int = 3
) -> tuple[float, float]:
    """Returns how much of what is generated looks real, and how much of the real is generated.

    A set's region is the union of balls about its points, each as wide as the distance to its
    `neighbours`-th nearest. Precision is the share of generated points in the real region,
    recall that of real points in the generated one.

    Args:
        real: Features of real examples, shape `(count, features)`.
        generated: Those of generated examples, likewise.
        neighbours: Which neighbour's distance is a ball's radius, at least 1.

    Raises:
        ValueError: If the shapes do not fit, or there are not more points than neighbours.

    Example:

    >>> real = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> precision_recall(real, np.array([[0.5], [0.4], [30.0], [31.0]]), neighbours=1)
    (0.5, 0.0)

    Reference:
        Kynkaanniemi, Karras, Laine, Lehtinen and Aila, 2019, "Improved precision and recall
        metric for assessing generative models", equations 1 and 2.
    """
    real, generated = _checked(real, generated)
    if neighbours < 1 or min(len(real), len(generated)) <= neighbours:
        raise ValueError(f"neighbours must be from 1 to less than the points, not {neighbours}.")
    between = _distances(generated, real)
    inside_real = between <= _radii(real, neighbours)[None]
    inside_generated = _radii(generated, neighbours)[None] >= between.T
    return float(inside_real.any(axis=1).mean()), float(inside_generated.any(axis=1).mean())


def nearest_distance(points: np.ndarray) -> float:
    """Returns the mean distance of points to their nearest other: near 0 where they are all alike.

    Args:
        points: Shape `(count, features)`, at least two.
    """
    points, _ = _checked(points, points)
    return float(_radii(points, 1).mean())


def _radii(points: np.ndarray, neighbours: int) -> np.ndarray:
    distances = _distances(points, points)
    np.fill_diagonal(distances, -1.0)
    # The first of each row is the point itself.
    return np.partition(distances, neighbours, axis=1)[:, neighbours]


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(first, second)


def _checked(real: np.ndarray, generated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    real, generated = np.asarray(real, "float64"), np.asarray(generated, "float64")
    fits = real.ndim == generated.ndim == 2 and real.shape[1] == generated.shape[1]
    if not fits or min(len(real), len(generated)) < 2:
        raise ValueError(
            "Features must be of shape (count, features), at least two of each, not "
            f"{real.shape} and {generated.shape}."
        )
    if not (np.isfinite(real).all() and np.isfinite(generated).all()):
        raise ValueError("A feature is no number.")
    return real, generated
