"""Outlines that drawings are made of, as polygons; y points down."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

# Corners of a polygon that stands for a full ellipse.
ROUND = 24


class Part(NamedTuple):
    """One area of a drawing.

    Args:
        points: Corners of a polygon, of shape `(n, 2)`; drawings are about 1 unit wide or high and
            centred on the origin.
        paint: Which of the drawing's colours fills it: `"main"`, `"second"`, `"third"`, `"light"`
            or `"dark"`.
    """

    points: np.ndarray
    paint: str


def ellipse(x: float, y: float, rx: float, ry: float, start=0.0, end=2 * math.pi) -> np.ndarray:
    """Returns an ellipse, or the part of it between two angles, closed by a straight line."""
    return _circle(start, end) * (rx, ry) + (x, y)


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Returns a rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def corners(*places: tuple[float, float]) -> np.ndarray:
    """Returns the polygon with the given corners."""
    return np.array(places)


def star(tips: int, radius: float, inner: float) -> np.ndarray:
    """Returns a star that points up; `inner` is the radius of its notches."""
    angles = np.arange(2 * tips) * (math.pi / tips) - math.pi / 2
    radii = np.where(np.arange(2 * tips) % 2, inner, radius)
    return np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])


def regular(sides: int, radius: float) -> np.ndarray:
    """Returns a regular polygon that points up."""
    angles = np.arange(sides) * (2 * math.pi / sides) - math.pi / 2
    return radius * np.column_stack([np.cos(angles), np.sin(angles)])


def heart(width: float, height: float) -> np.ndarray:
    """Returns a heart of the given size."""
    t = np.linspace(0, 2 * math.pi, ROUND + 8, endpoint=False)
    x = np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    y = (y - y.min()) / (y.max() - y.min()) - 0.5
    return np.column_stack([0.5 * width * x, height * y])


@functools.lru_cache(maxsize=32)
def _circle(start: float, end: float) -> np.ndarray:
    count = max(6, round(ROUND * abs(end - start) / (2 * math.pi)))
    angles = np.linspace(start, end, count, endpoint=abs(end - start) < 6)
    return np.column_stack([np.cos(angles), np.sin(angles)])
