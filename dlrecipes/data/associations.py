"""Associations: the ids that occur in the same documents as an id, and how strongly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

_ROWS = 512


def associations(
    documents: Sequence[Iterable[int]],
    size: int,
    num_candidates: int | None = None,
    most: int = 32,
    strongest: float = 3.0,
    belief: float = 4.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns, for each id, the ids that it shares most documents with, strongest first.

    The strength is the pointwise mutual information of occurring in one document, clipped to
    `[0, strongest]` and multiplied by `n / (n + belief)` for `n` common documents, so that few of
    them count less. Each candidate is associated with itself by `strongest`.

    Args:
        documents: Distinct ids of each document, from 0 to below `size`.
        size: Number of ids, at least 1.
        num_candidates: Number of ids, from 0, that may be associated with others; the rest, such
            as labels of documents, only have associations. Defaults to `size`.
        most: Largest number of associations per id. Defaults to 32.
        strongest: Largest strength. Defaults to 3.0.
        belief: Number of common documents that halves the strength. Defaults to 4.0.

    Returns:
        Ids, int32, and strengths, float32, of shape `(size, min(most, num_candidates))`. Where an
        id has fewer associations the strength is 0.

    Raises:
        ValueError: If there is no document, or an id is out of bounds.

    Example:

    >>> from dlrecipes.data.associations import associations
    >>> ids, strengths = associations([[0, 1], [0, 1], [2]], size=3)
    >>> ids[0].tolist(), [f"{strength:.3f}" for strength in strengths[0]]
    ([0, 1, 2], ['3.000', '0.135', '0.000'])

    Reference:
        Church and Hanks, 1990, "Word association norms, mutual information, and lexicography".
    """
    from scipy.sparse import csr_matrix

    rows = [sorted(document) for document in documents]
    if not rows or any(row and not 0 <= row[0] <= row[-1] < size for row in rows):
        raise ValueError(f"documents must hold ids from 0 to below {size}, at least one document.")
    num_candidates = size if num_candidates is None else num_candidates
    ends = np.cumsum([0, *map(len, rows)])
    flat = np.concatenate([np.array(row, "int32") for row in rows])
    occurs = csr_matrix((np.ones(len(flat), "float32"), flat, ends), (len(rows), size))
    counts = np.maximum(np.asarray(occurs.sum(axis=0)).ravel(), 1)
    most = min(most, num_candidates)
    ids, strengths = np.zeros((size, most), "int32"), np.zeros((size, most), "float32")
    for start in range(0, size, _ROWS):
        part = slice(start, min(start + _ROWS, size))
        common = np.asarray((occurs[:, part].T @ occurs[:, :num_candidates]).todense())
        with np.errstate(divide="ignore"):
            expected = counts[:num_candidates]
            strength = np.log(common * len(rows) / counts[part, None] / expected)
        strength = np.clip(strength, 0, strongest) * common / (common + belief)
        own = np.arange(part.start, min(part.stop, num_candidates))
        strength[own - start, own] = strongest
        best = np.argsort(-strength, axis=1, kind="stable")[:, :most]
        ids[part], strengths[part] = best, np.take_along_axis(strength, best, axis=1)
    return ids, strengths
