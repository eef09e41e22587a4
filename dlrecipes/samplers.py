"""Drawing one character from scores, in TensorFlow's graph; `lite.py` has the same in NumPy."""

from __future__ import annotations

import tensorflow as tf

# A draw is one of so many equally likely numbers below 1.
DRAWS = 2**24
_MASK = 2**32


def uniform(seed: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """Returns the numbers in [0, 1), float64 of shape `(batch,)`, of a seed and a count alone.

    A hash, in arithmetic that every language has: an application that drives `model.tflite`
    by itself can draw the same poems.

    Args:
        seed: int64 of shape `(batch,)`.
        number: Which draw, from 0; a scalar.

    Reference:
        Salmon, Moraes, Dror and Shaw, 2011, "Parallel random numbers: as easy as 1, 2, 3"
        (random numbers as a function of a key and a counter); the mixing is MurmurHash3's.
    """
    mixed = _mix(tf.cast(seed, tf.int64) % _MASK)
    mixed = _mix((mixed + _times(tf.cast(number, tf.int64) + 1, 0x9E3779B9)) % _MASK)
    return tf.cast(mixed // 256, tf.float64) / DRAWS


def _mix(x: tf.Tensor) -> tf.Tensor:
    x = tf.bitwise.bitwise_xor(x, x // 2**16)
    x = _times(x, 0x85EBCA6B)
    x = tf.bitwise.bitwise_xor(x, x // 2**13)
    x = _times(x, 0xC2B2AE35)
    return tf.bitwise.bitwise_xor(x, x // 2**16)


def _times(x: tf.Tensor, factor: int) -> tf.Tensor:
    # In two halves, so that 64 bits are enough.
    low, high = x % 2**16, x // 2**16
    return (low * factor + (high * factor) % 2**16 * 2**16) % _MASK


def choose(
    scores: tf.Tensor,
    allowed: tf.Tensor,
    top_k: tf.Tensor,
    top_p: tf.Tensor,
    drawn: tf.Tensor,
) -> tf.Tensor:
    """Returns one id a row, int32, drawn by the softmax of the scores of those allowed.

    Args:
        scores: float32 of shape `(batch, vocabulary)`.
        allowed: bool of the same shape; at least one in each row.
        top_k: int32 of shape `(batch,)`: one of so many best ones; 0 for all.
        top_p: float32 of shape `(batch,)`: of those, one of the best whose share it is; 1 for
            all.
        drawn: Numbers in [0, 1), float64 of shape `(batch,)`.

    Reference:
        Holtzman, Buys, Du, Forbes and Choi, 2020, "The curious case of neural text
        degeneration", section 3.1 (nucleus sampling).
    """
    scores = tf.where(allowed, scores, float("-inf"))
    narrows = tf.reduce_any((top_k > 0) | (top_p < 1))
    scores = tf.cond(narrows, lambda: _narrowed(scores, top_k, top_p), lambda: scores)
    best = tf.reduce_max(scores, axis=1, keepdims=True)
    share = tf.cumsum(tf.exp(tf.cast(scores - best, tf.float64)), axis=1)
    below = share <= drawn[:, None] * share[:, -1:]
    return tf.reduce_sum(tf.cast(below, tf.int32), axis=1)


def _narrowed(scores: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
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
