"""X and O drawn in a grid of 9x9 cells: the smallest task that needs a convolutional network."""

from __future__ import annotations

import numpy as np

CLASSES = ("o", "x")
GRID = 9
# Each cell's ink is the mean of this many samples in each direction.
_FINER = 4


def x_or_o(count: int, seed: int, size: int = 36, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns images of X and O in a grid of 9x9 cells, deterministic by seed.

    The letters are shifted, turned, stretched, shrunk and drawn with thin or thick strokes, dark
    on light or light on dark. A few cells are stained.

    Args:
        count: Number of images, at least 1.
        seed: Random seed, at least 0; an image depends on the seed and on its number.
        size: Height and width in pixels, at least 9. The cells are squares of equal size if it is
            a multiple of 9. Defaults to 36: 4 pixels per cell.
        first: Number of the first image, at least 0. Defaults to 0.

    Returns:
        Grey images, uint8 of shape `(count, size, size, 3)` with three equal channels; labels,
        int32 of shape `(count,)`, indices of `CLASSES`. Images 2k and 2k + 1 are one of each
        class, in random order.

    Raises:
        ValueError: If an argument is out of bounds.

    Example:

    >>> from dlrecipes.data.generated.x_or_o import CLASSES, x_or_o
    >>> images, labels = x_or_o(4, seed=0)
    >>> images.shape, sorted(CLASSES[label] for label in labels)
    ((4, 36, 36, 3), ['o', 'o', 'x', 'x'])
    """
    bounds = {"count": (count, 1), "seed": (seed, 0), "size": (size, GRID), "first": (first, 0)}
    for name, (value, least) in bounds.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value!r}.")
    numbers = np.arange(first, first + count)
    swapped = [np.random.default_rng([seed, n // 2, 1]).random() < 0.5 for n in numbers.tolist()]
    labels = ((numbers + swapped) % 2).astype("int32")
    rngs = [np.random.default_rng([seed, n]) for n in numbers.tolist()]
    traits = np.array([rng.random(12) for rng in rngs], "float32").T[:, :, None, None]
    stains = np.array([rng.random((2, GRID, GRID)) for rng in rngs], "float32")
    cells = _photographed(_ink(labels, traits), traits, stains)
    columns = np.arange(size) * GRID // size
    grey = cells[:, columns][:, :, columns]
    return np.repeat(grey[..., None], 3, axis=-1), labels


def _ink(labels: np.ndarray, traits: np.ndarray) -> np.ndarray:
    """Returns the ink of each cell from 0 to 1, of shape `(count, 9, 9)`."""
    steps = (np.arange(GRID * _FINER, dtype="float32") + 0.5) / _FINER - GRID / 2
    # Small letters move farther.
    tall = 2.4 + 1.7 * traits[0]
    wide = tall * (0.75 + 0.25 * traits[1])
    room = np.maximum(GRID / 2 - tall, 0.0)
    x = steps[None, None, :] - (2 * traits[2] - 1) * room
    y = steps[None, :, None] - (2 * traits[3] - 1) * room
    angle = (2 * traits[4] - 1) * 0.6
    along = (np.cos(angle) * x + np.sin(angle) * y) / wide
    across = (np.cos(angle) * y - np.sin(angle) * x) / tall
    # Thick strokes would fill a small letter.
    half = (0.45 + 0.45 * traits[5]) * np.minimum(1, tall / 3.3)
    radius = np.sqrt(along**2 + across**2)
    mean = (wide + tall) / 2
    # A ring around the ellipse, and two bars between the corners of the box.
    ring = half - np.abs(radius - 1) * mean + 0.25
    bars = half - np.abs(np.abs(along) - np.abs(across)) * mean * 0.71
    bars = np.where(np.maximum(np.abs(along), np.abs(across)) <= 1, bars, -1)
    inside = np.where(labels[:, None, None] == CLASSES.index("x"), bars, ring) > 0
    blocks = inside.reshape(len(labels), GRID, _FINER, GRID, _FINER)
    return np.clip(1.6 * blocks.mean(axis=(2, 4), dtype="float32") - 0.3, 0, 1)


def _photographed(ink: np.ndarray, traits: np.ndarray, stains: np.ndarray) -> np.ndarray:
    """Returns uint8 cells with random grey levels of ink and paper, and stains."""
    stained = stains[:, 0] < 0.02
    ink = np.where(stained, 1 - ink, ink)
    dark, light = 0.25 * traits[6], 0.65 + 0.35 * traits[7]
    inverted = traits[8] < 0.5
    paper, letter = np.where(inverted, dark, light), np.where(inverted, light, dark)
    grey = paper + (letter - paper) * ink + 0.12 * (stains[:, 1] - 0.5)
    return (np.clip(grey, 0, 1) * 255).round().astype("uint8")
