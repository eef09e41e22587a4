"""Embeddings counted from a text: tokens that have the same neighbours lie close together."""

from __future__ import annotations

import numpy as np

# Neighbours' counts are raised to it, by which rare ones count for more.
SMOOTHING = 0.75
POWER_ITERATIONS = 3


def cooccurrence_embeddings(
    ids: np.ndarray, size: int, units: int, window: int = 7, deviation: float = 0.1, seed: int = 0
) -> np.ndarray:
    """Returns embeddings of tokens from how often which stand near which.

    They are a truncated singular value decomposition of the positive mutual information of
    tokens at most `window` apart, each pair counted by the inverse of its distance. A network
    that begins with them need not learn from single errors what the text as a whole tells.

    Args:
        ids: Token ids of texts, integers of shape `(texts, time)`; 0 is padding.
        size: Number of ids, above each of them.
        units: Numbers of an embedding, at least 1; those beyond `size` are 0.
        window: How far apart two tokens of a pair stand at most, at least 1.
        deviation: Standard deviation of all numbers that are returned, above 0.
        seed: Decides the decomposition's first guess.

    Returns:
        float32 of shape `(size, units)`. Tokens that do not occur have zeros.

    Raises:
        ValueError: If a number is out of its bounds, or the ids have another shape.

    Example:

    >>> ids = np.array([[1, 2, 5, 6], [3, 2, 5, 6], [1, 4, 6, 5], [3, 4, 6, 5]])
    >>> found = cooccurrence_embeddings(ids, 7, 2)
    >>> bool(np.linalg.norm(found[1] - found[3]) < np.linalg.norm(found[1] - found[6]))
    True

    Reference:
        Levy and Goldberg, 2014, "Neural word embedding as implicit matrix factorization",
        section 4.2; Levy, Goldberg and Dagan, 2015, "Improving distributional similarity with
        lessons learned from word embeddings", section 3 (smoothing, weights of distance and
        the square root of the singular values).
    """
    from scipy.sparse import csr_matrix
    from sklearn.utils.extmath import randomized_svd

    for name, value in (("size", size), ("units", units), ("window", window)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}.")
    if not deviation > 0:
        raise ValueError(f"deviation must be above 0, not {deviation}.")
    ids = np.asarray(ids)
    if ids.ndim != 2 or (ids.size and not 0 <= ids.min() <= ids.max() < size):
        raise ValueError(
            f"ids must have shape (texts, time) and be from 0 to below {size}; "
            f"these have shape {ids.shape}."
        )
    met = csr_matrix((size, size))
    for distance in range(1, min(window, ids.shape[1] - 1) + 1):
        one, other = ids[:, :-distance].ravel(), ids[:, distance:].ravel()
        real = (one > 0) & (other > 0)
        weights = np.full(np.count_nonzero(real), 1.0 / distance)
        met += csr_matrix((weights, (one[real], other[real])), (size, size))
    met = (met + met.T).tocoo()
    found = np.zeros((size, units), "float32")
    if not met.nnz:
        return found
    often = np.asarray(met.sum(axis=1)).ravel()
    smoothed = often**SMOOTHING
    information = np.log(met.data / often[met.row] / (smoothed / smoothed.sum())[met.col])
    kept = information > 0
    matrix = csr_matrix((information[kept], (met.row[kept], met.col[kept])), (size, size))
    if not matrix.nnz:
        return found
    left, values, _ = randomized_svd(
        matrix, min(units, size), n_iter=POWER_ITERATIONS, random_state=seed
    )
    # What does not occur has no length but the arithmetic's.
    made = np.where(often[:, None] > 0, left * np.sqrt(values), 0.0)
    found[:, : made.shape[1]] = made * (deviation / made.std())
    return found
