"""Random numbers of `tf.random.stateless_uniform` with NumPy; does not load TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_KEY = (0x3EC8F720, 0x02461E29)
_FACTORS = (0xD2511F53, 0xCD9E8D57)
_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)


def stateless_uniform(
    shape: Sequence[int], seed: tuple[int, int], minval: float, maxval: float
) -> np.ndarray:
    """Returns the numbers of `tf.random.stateless_uniform` on a CPU, bit for bit.

    Args:
        shape: Shape of the result.
        seed: Two int32 numbers.
        minval: Lower bound.
        maxval: Upper bound, which is not reached.

    Returns:
        float32 array.

    Example:

    >>> from dlrecipes.data.philox import stateless_uniform
    >>> stateless_uniform((2,), (7, 0), 0.0, 1.0).shape
    (2,)

    Reference:
        Salmon, Moraes, Dror and Shaw, 2011, "Parallel random numbers: as easy as 1, 2, 3"
        (Philox 4x32 with 10 rounds), https://doi.org/10.1145/2063384.2063405.
    """
    # TensorFlow mixes the seed before it is used as key and counter.
    words = [part >> shift & 0xFFFFFFFF for part in seed for shift in (0, 32)]
    mixed = _philox(np.array([words], np.uint64), _KEY)[0]
    count = math.prod(shape)
    counters = np.zeros((-(-count // 4), 4), np.uint64)
    counters[:, 0] = np.arange(len(counters))
    counters[:, 2:] = mixed[2:]
    bits = _philox(counters, (int(mixed[0]), int(mixed[1]))).ravel()[:count]
    # 23 bits are the fraction of a number from 1 to 2.
    unit = ((bits & np.uint64(0x7FFFFF)) | np.uint64(127 << 23)).astype(np.uint32).view(np.float32)
    unit = unit - np.float32(1)
    return (unit * np.float32(maxval - minval) + np.float32(minval)).reshape(shape)


def _philox(counters: np.ndarray, key: Sequence[int]) -> np.ndarray:
    """Returns four 32-bit numbers per counter; both uint64 of shape `(count, 4)`."""
    a, b, c, d = counters.T
    first, second = key
    for _ in range(_ROUNDS):
        one, other = np.uint64(_FACTORS[0]) * a, np.uint64(_FACTORS[1]) * c
        a, b, c, d = (
            other >> np.uint64(32) ^ b ^ np.uint64(first),
            other & _LOW,
            one >> np.uint64(32) ^ d ^ np.uint64(second),
            one & _LOW,
        )
        first, second = (
            (number + step) & 0xFFFFFFFF
            for number, step in zip((first, second), _STEPS, strict=True)
        )
    return np.stack([a, b, c, d], axis=-1)
