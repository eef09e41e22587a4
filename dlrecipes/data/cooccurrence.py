"""Embeddings from cooccurrence counts: tokens with the same neighbours lie close together."""

from __future__ import annotations

import numpy as np

# Exponent of the neighbours' counts; below 1 it gives rare neighbours more weight.
SMOOTHING = 0.75
POWER_ITERATIONS = 3


def cooccurrence_embeddings(
    ids: np.ndarray, size: int, units: int, window: int = 7, deviation: float = 0.1, seed: int = 0
) -> np.ndarray:
    """Returns token embeddings computed from how often tokens occur near one another.

    The embeddings are a truncated singular value decomposition of the positive pointwise mutual
    information of tokens at most `window` apart, where each pair is weighted by the inverse of
    its distance. A network that is initialized with them starts from statistics of the whole
    text, which it would otherwise learn from single examples.

    Args:
        ids: Token ids of the texts, integers of shape `(texts, time)`; 0 is padding.
        size: Number of ids, larger than each of them.
        units: Size of an embedding, at least 1; units beyond `size` are 0.
        window: Maximum distance between the two tokens of a pair, at least 1. Defaults to 7.
        deviation: Standard deviation of the returned numbers, above 0. Defaults to 0.1.
        seed: Seed of the randomized decomposition. Defaults to 0.

    Returns:
        float32 array of shape `(size, units)`; the rows of tokens that do not occur are zero.

    Raises:
        ValueError: If an argument is out of bounds, or `ids` has another shape.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.cooccurrence import cooccurrence_embeddings
    >>> ids = np.array([[1, 2, 5, 6], [3, 2, 5, 6], [1, 4, 6, 5], [3, 4, 6, 5]])
    >>> vectors = cooccurrence_embeddings(ids, 7, 2)
    >>> bool(np.linalg.norm(vectors[1] - vectors[3]) < np.linalg.norm(vectors[1] - vectors[6]))
    True

    Reference:
        Levy and Goldberg, 2014, "Neural word embedding as implicit matrix factorization",
        section 4.2; Levy, Goldberg and Dagan, 2015, "Improving distributional similarity with
        lessons learned from word embeddings", section 3 (smoothing, weights of distance and
        the square root of the singular values), https://doi.org/10.1162/tacl_a_00134.
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
            f"ids must have shape (texts, time) and lie from 0 to below {size}; "
            f"got shape {ids.shape}" + (f", {ids.min()} to {ids.max()}." if ids.size else ".")
        )
    counts = csr_matrix((size, size))
    for distance in range(1, min(window, ids.shape[1] - 1) + 1):
        first, second = ids[:, :-distance].ravel(), ids[:, distance:].ravel()
        real = (first > 0) & (second > 0)
        weights = np.full(np.count_nonzero(real), 1.0 / distance)
        counts += csr_matrix((weights, (first[real], second[real])), (size, size))
    counts = (counts + counts.T).tocoo()
    embeddings = np.zeros((size, units), "float32")
    if not counts.nnz:
        return embeddings
    totals = np.asarray(counts.sum(axis=1)).ravel()
    smoothed = totals**SMOOTHING
    information = np.log(counts.data / totals[counts.row] / (smoothed / smoothed.sum())[counts.col])
    kept = information > 0
    matrix = csr_matrix((information[kept], (counts.row[kept], counts.col[kept])), (size, size))
    if not matrix.nnz:
        return embeddings
    left, values, _ = randomized_svd(
        matrix, min(units, size), n_iter=POWER_ITERATIONS, random_state=seed
    )
    # Rows of tokens that do not occur are zero only up to rounding.
    vectors = np.where(totals[:, None] > 0, left * np.sqrt(values), 0.0)
    embeddings[:, : vectors.shape[1]] = vectors * (deviation / vectors.std())
    return embeddings
