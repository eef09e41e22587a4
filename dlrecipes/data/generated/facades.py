"""Facades that are designed and then photographed: a map of their parts, and an image.

A design is a list of rectangles, each of a class; the map shows them plainly. The photograph
paints the same rectangles with materials, shadows, light and the street's clutter, of which the
map says nothing.
"""

from __future__ import annotations

import numpy as np

from dlrecipes.data.generated.facade_layout import CLASSES, Part, box, design
from dlrecipes.data.generated.facade_rendering import photograph

__all__ = ["CLASSES", "PALETTE", "classes_of", "coloured", "generated_facades"]

# The colours of the classes in the label maps of the CMP facade database.
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


def generated_facades(
    count: int, seed: int, size: int = 64, first: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns maps of facades and photographs of them, the same for the same seed.

    Args:
        count: How many, at least 1.
        seed: Decides everything, together with a facade's number.
        size: Height and width in pixels, at least 32.
        first: Number of the first facade: other numbers are other facades.

    Returns:
        Classes, uint8 of shape `(count, size, size)`, places in `CLASSES`; photographs, uint8
        of shape `(count, size, size, 3)`.

    Raises:
        ValueError: If an argument is out of its bounds.

    Example:

    >>> maps, photographs = generated_facades(2, seed=0, size=32)
    >>> maps.shape, photographs.shape, int(maps.max()) < len(CLASSES)
    ((2, 32, 32), (2, 32, 32, 3), True)

    Reference:
        Tylecek and Sara, 2013, "Spatial pattern templates for recognition of objects with
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
    """Returns maps of classes as images in the colours of the CMP database, uint8.

    Args:
        maps: Places in `CLASSES`, of any shape `(...)`; returns `(..., 3)`.
    """
    return PALETTE[maps]


def classes_of(images: np.ndarray) -> np.ndarray:
    """Returns the class of each pixel's nearest colour: label maps that were compressed, too.

    Args:
        images: uint8 of shape `(..., 3)`; returns `(...)`.
    """
    gaps = images[..., None, :].astype("int32") - PALETTE.astype("int32")
    return (gaps**2).sum(axis=-1).argmin(axis=-1).astype("uint8")


def _map(parts: list[Part], size: int) -> np.ndarray:
    found = np.zeros((size, size), "uint8")
    for part in parts:
        found[box(part, size)] = part.kind
    return found
