"""Drawings that belong to no class: shapes and pieces that resemble parts of the objects."""

from __future__ import annotations

import math

import numpy as np

from dlrecipes.data.generated.chance import Chance
from dlrecipes.data.generated.scenes.outlines import Part, corners, ellipse, rectangle, regular


def draw_disc(chance: Chance) -> list[Part]:
    """Returns a disc, a ring or a wheel."""
    parts = [Part(ellipse(0, 0, 0.5, 0.5), "main")]
    if chance.happens(0.6):
        inner = chance.between(0.15, 0.36)
        parts.append(Part(ellipse(0, 0, inner, inner), chance.one_of(("second", "light"))))
    return parts


def draw_polygon(chance: Chance) -> list[Part]:
    """Returns a triangle, a square, a pentagon or a hexagon."""
    sides = chance.one_of((3, 4, 5, 6))
    parts = [Part(regular(sides, 0.5), "main")]
    if chance.happens(0.4):
        parts.append(Part(regular(sides, 0.25), "second"))
    return parts


def draw_slab(chance: Chance) -> list[Part]:
    """Returns a rectangle, perhaps with a window."""
    high = chance.between(0.08, 0.4)
    parts = [Part(rectangle(-0.5, -high, 0.5, high), "main")]
    if chance.happens(0.4):
        parts.append(Part(rectangle(-0.2, -0.5 * high, 0.1, 0.5 * high), "light"))
    return parts


def draw_cross(chance: Chance) -> list[Part]:
    """Returns a cross."""
    arm = chance.between(0.1, 0.18)
    return [
        Part(rectangle(-0.5, -arm, 0.5, arm), "main"),
        Part(rectangle(-arm, -0.5, arm, 0.5), "main"),
    ]


def draw_cloud(chance: Chance) -> list[Part]:
    """Returns a cloud."""
    parts = [Part(ellipse(x, 0.05, 0.22, 0.17), "main") for x in (-0.28, 0.28)]
    return [*parts, Part(ellipse(chance.between(-0.1, 0.1), 0, 0.28, 0.24), "main")]


def draw_leaf(chance: Chance) -> list[Part]:
    """Returns a leaf with its vein: as long as a fish, but pointed and without an eye."""
    wide = chance.between(0.12, 0.2)
    x = np.linspace(-0.5, 0.5, 11)
    edge = np.column_stack([x, wide * np.cos(math.pi * x)])
    return [
        Part(np.vstack([edge, edge[::-1] * [1, -1]]), "main"),
        Part(rectangle(-0.6, -0.02, 0.4, 0.02), "second"),
    ]


def draw_arrow(chance: Chance) -> list[Part]:
    """Returns an arrow."""
    shaft, head = chance.between(0.06, 0.12), chance.between(0.2, 0.3)
    return [
        Part(corners((0.05, -head), (0.5, 0.0), (0.05, head)), "main"),
        Part(rectangle(-0.5, -shaft, 0.06, shaft), chance.one_of(("main", "second"))),
    ]


def draw_moon(chance: Chance) -> list[Part]:
    """Returns a half moon or a thick crescent."""
    bulge = chance.between(-0.35, 0.2)
    outer = ellipse(0.2, 0, 0.5, 0.5, 0.5 * math.pi, 1.5 * math.pi)
    inner = ellipse(0.2, 0, bulge, 0.5, 1.5 * math.pi, 0.5 * math.pi)
    return [Part(corners(*outer.tolist(), *inner.tolist()), "main")]


CLUTTER = (
    draw_disc,
    draw_polygon,
    draw_slab,
    draw_cross,
    draw_cloud,
    draw_leaf,
    draw_arrow,
    draw_moon,
)
