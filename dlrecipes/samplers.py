"""Sampling from scores with top-k and top-p, in TensorFlow's graph and in NumPy.

The random numbers are a hash of a seed and a counter. A SavedModel that samples in its graph and an
application that runs `model.tflite` with NumPy therefore generate the same sequence from the same
seed. The functions whose names end in `_numpy` work without TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

# The hash is one of 2**24 equally likely numbers, all of which are exact in float32 as well.
LEVELS = 2**24
_MODULUS = 2**32

Integers = TypeVar("Integers", int, np.ndarray, "tf.Tensor")


def uniform(seed: Integers, number: int | Integers) -> Integers:
    """Returns random numbers in [0, 1) that depend on a seed and a counter alone.

    The result is a hash in 64-bit integer arithmetic, so that Python, NumPy and TensorFlow agree
    exactly, and other languages can reproduce it.

    Args:
        seed: Seeds: an int, an int64 array or an int64 tensor, of any shape.
        number: Counter of the random number, at least 0, of a shape that broadcasts with `seed`.

    Returns:
        A float for an int; otherwise float64 of the broadcast shape.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.samplers import uniform
    >>> f"{uniform(7, 0):.4f} {uniform(7, 1):.4f}"
    '0.0739 0.6813'
    >>> bool(uniform(np.array([7, 8]), 1)[0] == uniform(7, 1))
    True

    Reference:
        Salmon, Moraes, Dror and Shaw, 2011, "Parallel random numbers: as easy as 1, 2, 3"
        (random numbers as a function of a key and a counter); the mixing function is the
        finalizer of MurmurHash3.
    """
    mixed = _mix(seed % _MODULUS)
    mixed = _mix((mixed + _multiply(number + 1, 0x9E3779B9)) % _MODULUS)
    return mixed // (_MODULUS // LEVELS) / LEVELS


def _mix(x: Integers) -> Integers:
    x = _multiply(x ^ x // 2**16, 0x85EBCA6B)
    x = _multiply(x ^ x // 2**13, 0xC2B2AE35)
    return x ^ x // 2**16


def _multiply(x: Integers, factor: int) -> Integers:
    # In two halves, since the product of two 32-bit integers overflows int64.
    low, high = x % 2**16, x // 2**16
    return (low * factor + (high * factor) % 2**16 * 2**16) % _MODULUS


def pick(weights: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Returns one index per row, sampled with probabilities proportional to weights.

    Args:
        weights: Weights of at least 0, float64 of shape `(batch, choices)`. A row of zeros yields
            the last index.
        uniforms: Random numbers in [0, 1), float64 of shape `(batch,)`.

    Returns:
        int32 of shape `(batch,)`.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.samplers import pick
    >>> weights = tf.constant([[1.0, 3.0], [1.0, 3.0]], tf.float64)
    >>> pick(weights, tf.constant([0.2, 0.3], tf.float64)).numpy().tolist()
    [0, 1]
    """
    import tensorflow as tf

    totals = tf.cumsum(weights, axis=1)
    below = totals <= uniforms[:, None] * totals[:, -1:]
    return tf.minimum(tf.reduce_sum(tf.cast(below, tf.int32), axis=1), tf.shape(weights)[1] - 1)


def choose(
    scores: tf.Tensor,
    allowed: tf.Tensor,
    top_k: tf.Tensor,
    top_p: tf.Tensor,
    uniforms: tf.Tensor,
) -> tf.Tensor:
    """Returns one id per row, sampled from the softmax of the allowed scores.

    Divide the scores by the sampling temperature first; below 1 it sharpens the distribution.

    Args:
        scores: Logits, float32 of shape `(batch, vocabulary)`.
        allowed: Whether each id may be sampled, bool of the same shape, true at least once per row.
        top_k: Number of highest scores to keep, int32 of shape `(batch,)`; 0 keeps all.
        top_p: Probability mass to keep, float32 of shape `(batch,)`: the smallest set of most
            likely ids that reaches it, after `top_k`; 1 keeps all.
        uniforms: Random numbers in [0, 1), float64 of shape `(batch,)`; see `uniform`.

    Returns:
        int32 of shape `(batch,)`.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.samplers import choose, uniform
    >>> seeds = tf.constant([0, 1, 2], tf.int64)
    >>> scores = tf.tile([[2.0, 1.0, 0.0, -1.0]], [3, 1]) / 0.8
    >>> top_k, top_p = tf.constant([2, 0, 0]), tf.constant([1.0, 0.5, 1.0])
    >>> ids = choose(scores, scores < 2, top_k, top_p, uniform(seeds, 0))
    >>> ids.shape, bool(tf.reduce_all((ids > 0) & (ids < 4)))
    (TensorShape([3]), True)

    Reference:
        Fan, Lewis and Dauphin, 2018, "Hierarchical neural story generation", section 5.4 (top-k),
        https://arxiv.org/abs/1805.04833; Holtzman, Buys, Du, Forbes and Choi, 2020, "The curious
        case of neural text degeneration", section 3.1 (top-p), https://arxiv.org/abs/1904.09751.
    """
    import tensorflow as tf

    scores = tf.where(allowed, scores, float("-inf"))
    is_truncated = tf.reduce_any((top_k > 0) | (top_p < 1))
    scores = tf.cond(is_truncated, lambda: _truncate(scores, top_k, top_p), lambda: scores)
    best = tf.reduce_max(scores, axis=1, keepdims=True)
    return pick(tf.exp(tf.cast(scores - best, tf.float64)), uniforms)


def _truncate(scores: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    size = tf.shape(scores)[1]
    ordered = tf.sort(scores, axis=1, direction="DESCENDING")
    most = tf.where(top_k > 0, tf.minimum(top_k, size), size)
    within = tf.range(size)[None] < most[:, None]
    weights = tf.exp(tf.cast(ordered - ordered[:, :1], tf.float64))
    weights = tf.where(within, weights, 0.0)
    before = tf.cumsum(weights, axis=1, exclusive=True)
    limit = tf.cast(top_p, tf.float64)[:, None] * tf.reduce_sum(weights, axis=1, keepdims=True)
    kept = tf.reduce_sum(tf.cast(within & (before < limit), tf.int32), axis=1)
    last = tf.gather(ordered, tf.maximum(kept, 1) - 1, axis=1, batch_dims=1)
    return tf.where(scores >= last[:, None], scores, float("-inf"))


def pick_numpy(weights: np.ndarray, uniform: float) -> int:
    """Returns an index sampled with probabilities proportional to weights; `pick` for one row.

    Args:
        weights: Weights of at least 0, float64 of shape `(choices,)`.
        uniform: Random number in [0, 1).

    Example:

    >>> import numpy as np
    >>> from dlrecipes.samplers import pick_numpy
    >>> pick_numpy(np.array([1.0, 3.0]), 0.2), pick_numpy(np.array([1.0, 3.0]), 0.3)
    (0, 1)
    """
    totals = np.cumsum(weights)
    return min(int((totals <= uniform * totals[-1]).sum()), len(weights) - 1)


def choose_numpy(
    scores: np.ndarray, allowed: np.ndarray, top_k: int, top_p: float, uniform: float
) -> int:
    """Returns an id sampled from the softmax of the allowed scores; `choose` for one row.

    Args:
        scores: Logits, float32 of shape `(vocabulary,)`.
        allowed: Whether each id may be sampled, bool of the same shape, true at least once.
        top_k: Number of highest scores to keep; 0 keeps all.
        top_p: Probability mass to keep, above 0; 1 keeps all.
        uniform: Random number in [0, 1).

    Example:

    >>> import numpy as np
    >>> from dlrecipes.samplers import choose_numpy
    >>> scores = np.array([2.0, 1.0, 0.0], "float32")
    >>> choose_numpy(scores, scores < 2, top_k=1, top_p=1.0, uniform=0.9)
    1
    """
    scores = np.where(allowed, scores, -np.inf)
    if top_k > 0 or top_p < 1:
        ordered = np.sort(scores)[::-1]
        weights = np.exp((ordered - ordered[0]).astype("float64"))
        weights[top_k or len(weights) :] = 0
        before = np.cumsum(weights) - weights
        limit = float(np.float32(top_p)) * weights.sum()
        kept = int(((before < limit) & (weights > 0)).sum())
        scores = np.where(scores >= ordered[max(kept, 1) - 1], scores, -np.inf)
    return pick_numpy(np.exp((scores - scores.max()).astype("float64")), uniform)
