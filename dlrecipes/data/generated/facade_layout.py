"""The design of a facade: rectangles with a class each, from back to front."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Classes of the CMP facade database, in its order.
CLASSES = (
    "background",
    "facade",
    "window",
    "door",
    "cornice",
    "sill",
    "balcony",
    "blind",
    "deco",
    "molding",
    "pillar",
    "shop",
)


class Part(NamedTuple):
    """A rectangle of a design.

    Args:
        kind: Index of `CLASSES`.
        left: Left edge as a fraction of the image's width.
        top: Top edge as a fraction of the image's height.
        right: Right edge as a fraction of the image's width.
        bottom: Bottom edge as a fraction of the image's height.
        style: Variant of the class's appearance. Defaults to 0.
    """

    kind: int
    left: float
    top: float
    right: float
    bottom: float
    style: int = 0


def design(rng: np.random.Generator) -> list[Part]:
    """Returns the parts of a random facade, from back to front."""
    kind = {name: number for number, name in enumerate(CLASSES)}
    top = rng.uniform(0.02, 0.22)
    left, right = (rng.uniform(0, 0.10) if rng.random() < 0.5 else 0.0 for _ in "lr")
    right = 1 - right
    parts = [Part(kind["facade"], left, top, right, 1.0)]
    floors, columns = int(rng.integers(2, 6)), int(rng.integers(2, 7))
    ground = rng.uniform(0.9, 1.4)
    height = (1 - top - 0.06) / (floors - 1 + ground)
    lines = [top + 0.06 + height * floor for floor in range(floors)] + [1.0]
    parts.append(Part(kind["cornice"], left, top, right, top + rng.uniform(0.03, 0.06)))
    if rng.random() < 0.5:
        width = rng.uniform(0.02, 0.045)
        for edge in (left, right - width):
            parts.append(Part(kind["pillar"], edge, top + 0.06, edge + width, 1.0))
    if rng.random() < 0.7:
        for line in lines[1:-1]:
            parts.append(Part(kind["molding"], left, line - 0.012, right, line + 0.008))
    pitch = (right - left) / columns
    wide, tall = rng.uniform(0.38, 0.66) * pitch, rng.uniform(0.5, 0.72) * height
    probabilities = {"sill": 0.6, "blind": 0.4, "deco": 0.4, "balcony": 0.5, "shop": 0.5}
    has = {name: rng.random() < probability for name, probability in probabilities.items()}
    balconies = {floor for floor in range(floors - 1) if rng.random() < 0.5}
    for floor in range(floors - 1):
        for column in range(columns):
            middle = left + (column + 0.5) * pitch
            low = lines[floor] + 0.5 * (height + tall)
            window = Part(
                kind["window"], middle - wide / 2, low - tall, middle + wide / 2, low,
                int(rng.integers(3)),
            )  # fmt: skip
            parts += _window(window, kind, has, floor in balconies, rng)
    return parts + _ground_floor(kind, has["shop"], left, right, lines[-2], pitch, wide, rng)


def _window(window: Part, kind, has, balcony: bool, rng) -> list[Part]:
    parts, wide, tall = [window], window.right - window.left, window.bottom - window.top
    if has["deco"]:
        over = 0.08 * tall
        parts.append(
            Part(kind["deco"], window.left - 0.1 * wide, window.top - 2 * over,
                 window.right + 0.1 * wide, window.top - over / 2)
        )  # fmt: skip
    if has["blind"]:
        if rng.random() < 0.5:
            for edge in (window.left - 0.24 * wide, window.right):
                blind = Part(kind["blind"], edge, window.top, edge + 0.24 * wide, window.bottom)
                parts.append(blind)
        elif rng.random() < 0.6:
            lowered = rng.uniform(0.2, 0.9) * tall
            parts.append(window._replace(kind=kind["blind"], bottom=window.top + lowered, style=1))
    if has["balcony"] and balcony:
        parts.append(
            Part(kind["balcony"], window.left - 0.18 * wide, window.bottom - 0.34 * tall,
                 window.right + 0.18 * wide, window.bottom + 0.06 * tall)
        )  # fmt: skip
    elif has["sill"]:
        parts.append(
            Part(kind["sill"], window.left - 0.08 * wide, window.bottom,
                 window.right + 0.08 * wide, window.bottom + 0.09 * tall)
        )  # fmt: skip
    return parts


def _ground_floor(kind, shops: bool, left, right, line, pitch, wide, rng) -> list[Part]:
    """Returns a door with shops or windows next to it."""
    columns = round((right - left) / pitch)
    entrance, parts = int(rng.integers(columns)), []
    for column in range(columns):
        middle = left + (column + 0.5) * pitch
        if column == entrance:
            half = 0.5 * min(0.62 * pitch, 0.14)
            parts.append(
                Part(kind["door"], middle - half, line + 0.25 * (1 - line), middle + half, 1)
            )
        elif shops:
            parts.append(
                Part(kind["shop"], middle - 0.45 * pitch, line + 0.12 * (1 - line),
                     middle + 0.45 * pitch, 0.97)
            )  # fmt: skip
        else:
            parts.append(
                Part(kind["window"], middle - wide / 2, line + 0.24 * (1 - line),
                     middle + wide / 2, line + 0.72 * (1 - line), int(rng.integers(3)))
            )  # fmt: skip
    return parts


def box(part: Part, size: int) -> tuple[slice, slice]:
    """Returns the rows and columns of a part in a square image: at least one of each."""
    edges = [round(np.clip(edge, 0, 1) * size) for edge in part[1:5]]
    left, top, right, bottom = edges
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))
