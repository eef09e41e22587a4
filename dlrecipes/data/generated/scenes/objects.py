"""The six classes of the scenes: drawings whose colours are chosen elsewhere."""

from __future__ import annotations

import math

from dlrecipes.data.generated.chance import Chance
from dlrecipes.data.generated.scenes.outlines import (
    Part,
    corners,
    ellipse,
    heart,
    rectangle,
    star,
)


def draw_car(chance: Chance) -> list[Part]:
    """Returns a car from the side."""
    roof, sill = chance.between(-0.27, -0.19), chance.between(-0.06, -0.01)
    floor, wheel = chance.between(0.13, 0.17), chance.between(0.085, 0.115)
    front, back = chance.between(0.16, 0.3), chance.between(0.3, 0.46)
    slope = chance.between(0.08, 0.16)
    nose = chance.between(0.02, 0.07)
    cabin = corners((-back, sill), (0.35 * slope - back, roof), (front - slope, roof),
                    (front + 0.04, sill))  # fmt: skip
    body = corners((-0.48, sill), (0.42, sill + nose), (0.5, sill + 1.6 * nose), (0.5, floor),
                   (-0.5, floor), (-0.5, sill + 0.05))  # fmt: skip
    parts = [Part(cabin, chance.one_of(("main", "second"))), Part(body, "main")]
    pillar = chance.between(-0.14, 0.0)
    top = roof + 0.04
    for left, right, lean in (
        (0.35 * slope - back + 0.05, pillar - 0.015, 0.03),
        (pillar + 0.015, front - slope - 0.01, slope),
    ):
        low = (left - (0.03 if lean < 0.05 else 0.0), sill), (right + max(lean - 0.03, 0.0), sill)
        parts.append(Part(corners((left, top), (right, top), low[1], low[0]), "light"))
    for x in (chance.between(-0.33, -0.27), chance.between(0.25, 0.31)):
        parts.append(Part(ellipse(x, floor, wheel, wheel), "dark"))
        parts.append(Part(ellipse(x, floor, 0.45 * wheel, 0.45 * wheel), "light"))
    if chance.happens(0.5):
        parts.append(Part(rectangle(0.44, sill + 1.8 * nose, 0.5, sill + 1.8 * nose + 0.05),
                          "third"))  # fmt: skip
    return parts


def draw_fish(chance: Chance) -> list[Part]:
    """Returns a fish from the side."""
    height, tail = chance.between(0.21, 0.29), chance.between(0.19, 0.26)
    fork, joint = chance.between(0.04, 0.12), chance.between(-0.24, -0.18)
    parts = [Part(corners((joint, 0.0), (-0.5, -tail), (fork - 0.5, 0.0), (-0.5, tail)), "second")]
    if chance.happens(0.75):
        fin = corners((-0.12, -0.8 * height), (-0.1, -1.35 * height), (0.2, -0.8 * height))
        parts.append(Part(fin, "second"))
    if chance.happens(0.5):
        fin = corners((0.0, 0.8 * height), (-0.1, 1.25 * height), (0.14, 0.85 * height))
        parts.append(Part(fin, "second"))
    parts.append(Part(ellipse(0.12, 0.0, 0.38, height), "main"))
    decor = chance.weighted({"bands": 1.0, "gill": 1.0, "none": 0.5})
    if decor == "bands":
        for x in (-0.08, 0.1):
            reach = height * math.sqrt(1 - ((x - 0.12 + 0.03) / 0.38) ** 2) * 0.97
            parts.append(Part(rectangle(x, -reach, x + 0.07, reach), "third"))
    elif decor == "gill":
        parts.append(Part(ellipse(0.22, 0.0, 0.07, 0.65 * height, 1.57, 4.71), "third"))
    if chance.happens(0.5):
        parts.append(Part(corners((0.12, 0.02), (-0.06, -0.05), (-0.06, 0.11)), "second"))
    eye = chance.between(0.055, 0.07)
    parts.append(Part(ellipse(0.33, -0.22 * height, eye, eye), "light"))
    parts.append(Part(ellipse(0.34, -0.22 * height, 0.55 * eye, 0.55 * eye), "dark"))
    return parts


def draw_heart(chance: Chance) -> list[Part]:
    """Returns a heart."""
    width, height = chance.between(0.85, 1.0), chance.between(0.8, 1.0)
    parts = [Part(heart(width, height), "main")]
    decor = chance.weighted({"inner": 1.0, "gloss": 1.0, "none": 1.0})
    if decor == "inner":
        inner = chance.between(0.5, 0.72)
        parts.append(Part(inner * heart(width, height) - [0, 0.02], "second"))
    elif decor == "gloss":
        parts.append(Part(ellipse(-0.24 * width, -0.22 * height, 0.08, 0.06), "light"))
    return parts


def draw_house(chance: Chance) -> list[Part]:
    """Returns a house from the front."""
    half, eaves = chance.between(0.28, 0.42), chance.between(-0.16, 0.0)
    over, ridge = chance.between(0.04, 0.09), chance.between(-0.5, -0.42)
    flat = chance.weighted({0.0: 1.5, 0.45: 1.0})
    parts = []
    if chance.happens(0.5):
        x = chance.one_of((-1, 1)) * half * 0.55
        parts.append(Part(rectangle(x - 0.05, ridge + 0.02, x + 0.05, eaves), "third"))
    roof = corners((-half - over, eaves), (-flat * half, ridge), (flat * half, ridge),
                   (half + over, eaves))  # fmt: skip
    parts += [Part(rectangle(-half, eaves - 0.01, half, 0.5), "main"), Part(roof, "second")]
    door, side = chance.between(0.07, 0.1), chance.one_of((-0.5, 0.0, 0.5)) * half
    top = chance.between(0.12, 0.2)
    parts.append(Part(rectangle(side - door, top, side + door, 0.5), "third"))
    window, y = chance.between(0.06, 0.09), chance.between(0.09, 0.15)
    for place in (-0.55, 0.55) if side == 0 else (-0.9 * side / half,):
        x = place * half
        parts.append(Part(rectangle(x - window, y, x + window, y + 2 * window), "light"))
    if not flat and chance.happens(0.4):
        parts.append(Part(ellipse(0, 0.45 * ridge + 0.55 * eaves, 0.06, 0.06), "light"))
    return parts


def draw_star(chance: Chance) -> list[Part]:
    """Returns a star with five tips."""
    inner = chance.between(0.21, 0.26)
    parts = [Part(star(5, 0.5, inner), "main")]
    decor = chance.weighted({"inner": 1.0, "disc": 0.6, "none": 1.2})
    if decor == "inner":
        parts.append(Part(chance.between(0.45, 0.65) * star(5, 0.5, inner), "second"))
    elif decor == "disc":
        parts.append(Part(ellipse(0, 0, 0.12, 0.12), "second"))
    return parts


def draw_tree(chance: Chance) -> list[Part]:
    """Returns a tree: a fir, or one with a round crown."""
    trunk = chance.between(0.045, 0.08)
    foot = Part(rectangle(-trunk, 0.1, trunk, 0.5), "second")
    if chance.happens(0.5):
        width, bottom = chance.between(0.24, 0.36), chance.between(0.26, 0.34)
        tiers = chance.one_of((2, 3))
        step = (bottom + 0.5) / (tiers + 0.4)
        crown = []
        for tier in reversed(range(tiers)):
            peak, wide = -0.5 + tier * step, width * (0.65 + 0.35 * tier / (tiers - 1))
            low = peak + 1.4 * step
            crown.append(Part(corners((0, peak), (wide, low), (-wide, low)), "main"))
        return [foot, *crown]
    wide, high = chance.between(0.28, 0.38), chance.between(0.28, 0.34)
    middle = high - 0.5
    parts = [foot, Part(ellipse(0, middle, wide, high), "main")]
    if chance.happens(0.6):
        parts[1:1] = [
            Part(ellipse(side * 0.6 * wide, middle + 0.35 * high, 0.6 * wide, 0.6 * high), "main")
            for side in (-1, 1)
        ]
    if chance.happens(0.5):
        for _ in range(4):
            x, y = chance.between(-0.6, 0.6) * wide, middle + chance.between(-0.6, 0.6) * high
            parts.append(Part(ellipse(x, y, 0.04, 0.04), "third"))
    return parts


# Each class with its drawing, and the angle in radians that it may be turned by.
OBJECTS = {
    "car": (draw_car, 0.25),
    "fish": (draw_fish, 0.3),
    "heart": (draw_heart, 0.4),
    "house": (draw_house, 0.2),
    "star": (draw_star, 0.35),
    "tree": (draw_tree, 0.2),
}
