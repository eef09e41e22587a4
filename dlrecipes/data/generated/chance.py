"""Random numbers of one image, and the noise that gives surfaces their texture."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")
# Pixels after which noise repeats, and the largest part of a tile that is one slice of it.
TILE, _LARGEST = 320, 256
# Numbers that are sampled at once.
_NUMBERS = 400


class Chance:
    """Random numbers of one image, sampled in blocks because single samples are slow.

    Args:
        entropy: Numbers that determine the sequence, each at least 0.
    """

    def __init__(self, *entropy: int):
        generator = np.random.default_rng(entropy)
        blocks = (generator.random(_NUMBERS).tolist() for _ in itertools.count())
        self._numbers = itertools.chain.from_iterable(blocks)

    def between(self, low: float, high: float) -> float:
        """Returns a uniform number."""
        return low + (high - low) * next(self._numbers)

    def about(self, middle: float, deviation: float) -> float:
        """Returns a number near the middle: at most 2.5 deviations from it."""
        numbers = self._numbers
        total = next(numbers) + next(numbers) + next(numbers) - 1.5
        return middle + deviation * max(-2.5, min(2.5, 2 * total))

    def happens(self, probability: float) -> bool:
        """Returns `True` with the given probability."""
        return next(self._numbers) < probability

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        """Returns one of the choices, each with the same probability."""
        return choices[int(next(self._numbers) * len(choices))]

    def weighted(self, choices: dict[Choice, float]) -> Choice:
        """Returns one of the keys; the values are their weights."""
        left = next(self._numbers) * sum(choices.values())
        for choice, weight in choices.items():
            left -= weight
            if left < 0:
                return choice
        return choice

    def tile(self, kind: str, rows: int, columns: int, zoom: float = 1.0) -> np.ndarray:
        """Returns a random part of a noise tile, float32 of shape `(rows, columns)`; do not write.

        Args:
            kind: Key of `noise()`.
            rows: Height in pixels.
            columns: Width in pixels.
            zoom: Factor by which the blobs are enlarged. Defaults to 1.
        """
        tile = noise(zoom)[kind]
        r, c = int(next(self._numbers) * TILE), int(next(self._numbers) * TILE)
        if max(rows, columns) <= _LARGEST:
            return tile[r : r + rows, c : c + columns]
        return tile[np.ix_(np.arange(r, r + rows) % TILE, np.arange(c, c + columns) % TILE)]


@lru_cache(maxsize=4)
def noise(zoom: float) -> dict[str, np.ndarray]:
    """Returns noise tiles of mean 0 and deviation 1, the same in every run.

    Args:
        zoom: Factor by which the blobs are enlarged; 1 suits images of 64x64.

    Returns:
        float32 arrays that repeat every `TILE` pixels without a seam: `"white"`, `"fine"`,
        `"spots"`, `"clouds"` (from the smallest to the largest blobs), `"fur"` (short vertical
        strands) and `"grain"` (long horizontal ones).
    """
    rng = np.random.default_rng(20)
    across = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    blurs = {"white": (0.0, 0.0), "fine": (1.6, 1.6), "spots": (4.0, 4.0), "clouds": (13.0, 13.0),
             "fur": (1.5, 0.6), "grain": (1.0, 18.0)}  # fmt: skip
    tiles = {}
    for kind, (down, right) in blurs.items():
        white = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
        blur = zoom**2 * ((down * across[0]) ** 2 + (right * across[1]) ** 2)
        gauss = np.exp(-2 * np.pi**2 * blur)
        tile = np.fft.irfft2(white * gauss, (TILE, TILE))
        tile = ((tile - tile.mean()) / tile.std()).astype("float32")
        tiles[kind] = np.pad(tile, (0, _LARGEST), mode="wrap")
    return tiles
