"""Generated facades: label maps of their parts, and photographs.

A design is a list of rectangles with a class each, which the label map shows directly. The
photograph paints the same rectangles with materials, shadows, light and objects in the street,
which do not appear in the map.
"""

from __future__ import annotations

import numpy as np

from dlrecipes.data.generated.facade_layout import CLASSES, Part, box, design
from dlrecipes.data.generated.facade_rendering import photograph

__all__ = ["CLASSES", "PALETTE", "classes_of", "coloured", "generated_facades", "is_label_map"]

# Colours of the classes in the label maps of the CMP facade database.
PALETTE = np.array(
    [
        [0, 0, 170],
        [0, 0, 255],
        [0, 85, 255],
        [0, 170, 255],
        [0, 255, 255],
        [85, 255, 170],
        [170, 255, 85],
        [255, 255, 0],
        [255, 170, 0],
        [255, 85, 0],
        [255, 0, 0],
        [170, 0, 0],
    ],
    "uint8",
)
# Pixels compared with the palette at once: the comparison of each takes 384 bytes.
PIXELS = 16_384
# Images are label maps if this fraction of their pixels lies within this distance of a colour of
# the palette: JPEG blurs the edges.
NEAR, MOSTLY = 70.0, 0.75


def generated_facades(
    count: int, seed: int, size: int = 64, first: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns label maps and photographs of generated facades, deterministic by seed.

    Args:
        count: Number of facades, at least 1.
        seed: Random seed, at least 0; a facade depends on the seed and on its number.
        size: Height and width in pixels, at least 32. Defaults to 64.
        first: Number of the first facade, at least 0. Defaults to 0.

    Returns:
        Label maps, uint8 of shape `(count, size, size)`, indices of `CLASSES`; photographs,
        uint8 of shape `(count, size, size, 3)`.

    Raises:
        ValueError: If an argument is out of bounds.

    Example:

    >>> from dlrecipes.data.generated.facades import CLASSES, generated_facades
    >>> maps, photographs = generated_facades(2, seed=0, size=32)
    >>> maps.shape, photographs.shape, int(maps.max()) < len(CLASSES)
    ((2, 32, 32), (2, 32, 32, 3), True)

    Reference:
        Tyleček and Šára, 2013, "Spatial pattern templates for recognition of objects with
        regular structure" (the classes).
    """
    bounds = {"count": (count, 1), "size": (size, 32), "seed": (seed, 0), "first": (first, 0)}
    for name, (value, least) in bounds.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value!r}.")
    maps, photographs = [], []
    for number in range(first, first + count):
        rng = np.random.default_rng([seed, number])
        parts = design(rng)
        maps.append(_map(parts, size))
        photographs.append(photograph(parts, size, rng))
    return np.stack(maps), np.stack(photographs)


def coloured(maps: np.ndarray) -> np.ndarray:
    """Returns label maps as images in the colours of the CMP database.

    Args:
        maps: Indices of `CLASSES`, integers of any shape `(...)`.

    Returns:
        uint8 array of shape `(..., 3)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.generated.facades import coloured
    >>> coloured(np.array([0, 2])).tolist()
    [[0, 0, 170], [0, 85, 255]]
    """
    return PALETTE[maps]


def classes_of(images: np.ndarray) -> np.ndarray:
    """Returns the class of each pixel by its nearest colour, which tolerates JPEG compression.

    Args:
        images: Coloured label maps, uint8 of shape `(..., 3)`.

    Returns:
        Indices of `CLASSES`, uint8 of shape `(...)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.generated.facades import classes_of
    >>> classes_of(np.array([[4, 80, 250]], "uint8")).tolist()
    [2]
    """
    pixels = images.reshape(-1, 3)
    nearest = np.empty(len(pixels), "uint8")
    for start in range(0, len(pixels), PIXELS):
        gaps = pixels[start : start + PIXELS, None].astype("int32") - PALETTE.astype("int32")
        nearest[start : start + PIXELS] = (gaps**2).sum(axis=-1).argmin(axis=-1)
    return nearest.reshape(images.shape[:-1])


def is_label_map(images: np.ndarray) -> bool:
    """Returns whether images are label maps in the colours of the CMP database.

    Three quarters of the pixels of the first eight images must be near a colour of `PALETTE`,
    which tolerates JPEG compression.

    Args:
        images: uint8 array of shape `(count, height, width, 3)`.

    Example:

    >>> from dlrecipes.data.generated.facades import coloured, generated_facades, is_label_map
    >>> maps, photographs = generated_facades(2, seed=0, size=32)
    >>> is_label_map(coloured(maps)), is_label_map(photographs)
    (True, False)
    """
    first = images[:8].astype("float32")
    gaps = np.linalg.norm(first[..., None, :] - PALETTE.astype("float32"), axis=-1).min(axis=-1)
    return bool(np.mean(gaps < NEAR) > MOSTLY)


def _map(parts: list[Part], size: int) -> np.ndarray:
    classes = np.zeros((size, size), "uint8")
    for part in parts:
        classes[box(part, size)] = part.kind
    return classes
