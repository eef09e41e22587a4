"""Coats: colours and patterns, with one distribution for cats and dogs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlrecipes.data.generated.cats_dogs import shapes as s
from dlrecipes.data.generated.cats_dogs.rendering import View
from dlrecipes.data.generated.chance import Chance

COLOURS = {
    "black": (0.17, 0.16, 0.16),
    "slate": (0.31, 0.32, 0.35),
    "silver": (0.62, 0.61, 0.60),
    "white": (0.93, 0.91, 0.88),
    "cream": (0.86, 0.76, 0.60),
    "ginger": (0.80, 0.48, 0.20),
    "sand": (0.72, 0.58, 0.40),
    "brown": (0.40, 0.26, 0.16),
    "sable": (0.52, 0.39, 0.27),
}
# Colours of the markings that go with a ground colour.
MARKINGS = {
    "black": ("white", "sable", "slate"),
    "slate": ("white", "black", "silver"),
    "silver": ("slate", "black", "white"),
    "white": ("black", "ginger", "brown", "slate"),
    "cream": ("white", "sand", "ginger"),
    "ginger": ("white", "brown", "cream"),
    "sand": ("brown", "white", "black"),
    "brown": ("white", "sand", "cream"),
    "sable": ("black", "brown", "cream"),
}
PATTERNS = {
    "plain": 2.0, "stripes": 2.2, "patches": 1.6, "spots": 0.7, "bib": 2.2, "points": 1.2,
    "saddle": 1.3,
}  # fmt: skip
_WARM = np.array([1.0, 0.2, -1.0])
_WHITE = np.array(COLOURS["white"])
_PINK = np.array((0.80, 0.55, 0.50))
IRISES = {
    "cat": ((0.62, 0.72, 0.20), (0.82, 0.68, 0.18), (0.35, 0.62, 0.38), (0.45, 0.68, 0.85),
            (0.80, 0.50, 0.14)),
    "dog": ((0.26, 0.15, 0.08), (0.34, 0.20, 0.10), (0.18, 0.11, 0.07), (0.45, 0.28, 0.12),
            (0.30, 0.18, 0.09), (0.50, 0.66, 0.80)),
}  # fmt: skip


@dataclass
class Coat:
    """Colours of the surfaces of one animal.

    Args:
        ground: Colour of each surface, float32 of shape `(surfaces, 3)`.
        marking: Colour of the pattern on each surface, of the same shape.
        amount: How much of the pattern each surface shows, float32 of shape `(surfaces,)`.
        pattern: Key of `PATTERNS`.
        spacing: Distance of stripes, in units of the trunk's length.
    """

    ground: np.ndarray
    marking: np.ndarray
    amount: np.ndarray
    pattern: str
    spacing: float


def coat(species: str, chance: Chance) -> Coat:
    """Returns a random coat; only the colour of the eyes depends on the species."""
    name = chance.one_of(tuple(COLOURS))
    base, other = (np.array(COLOURS[n]) for n in (name, chance.one_of(MARKINGS[name])))
    base, other = (
        np.clip(c * chance.about(1.0, 0.10) + chance.about(0.0, 0.02) * _WARM, 0.05, 0.97)
        for c in (base, other)
    )
    pattern = chance.weighted(PATTERNS)
    ground = np.tile(base, (s.SURFACES, 1))
    amount = np.zeros(s.SURFACES)
    body, limbs = [s.BACK, s.CHEST, s.HEAD, s.BROW], [s.LEG, s.TAIL, s.TIP]
    if pattern == "stripes":
        amount[[*body, *limbs]] = chance.between(0.55, 0.95)
        other = base * chance.between(0.35, 0.6) if base.max() > 0.3 else base + 0.18
    elif pattern in ("patches", "spots"):
        amount[[*body, *limbs, s.PAW]] = 1.0
    elif pattern == "saddle":
        amount[[s.BACK, s.HEAD, s.TAIL, s.TIP]] = 1.0
    # The face stays legible.
    amount[[s.HEAD, s.BROW]] *= 0.6
    white = _WHITE * chance.between(0.92, 1.02)
    light = white if chance.happens(0.6) else np.clip(base * 1.35 + 0.06, 0, 0.95)
    if pattern == "bib" or (pattern in ("stripes", "plain", "saddle") and chance.happens(0.45)):
        ground[[s.CHEST, s.MUZZLE, s.PAW]] = light
        if chance.happens(0.5):
            ground[s.TIP] = light
        if chance.happens(0.4):
            ground[[s.BROW, s.LEG]] = light
    if pattern == "points":
        dark = base * 0.3
        ground[[s.MUZZLE, s.EAR, s.PAW, s.TAIL, s.TIP, s.BROW]] = dark
        ground[s.LEG] = 0.5 * (dark + base)
    elif chance.happens(0.3):
        ground[s.EAR] = ground[s.EAR] * 0.6
    nose = (0.78, 0.48, 0.46) if chance.happens(0.4) else (0.13, 0.10, 0.10)
    nose = nose if species == "cat" else (0.10, 0.09, 0.09)
    ground[s.NOSE] = nose
    ground[s.INNER_EAR] = 0.35 * base + 0.65 * _PINK
    ground[s.RIM], ground[s.PUPIL] = base * 0.25, (0.04, 0.04, 0.04)
    ground[s.IRIS] = chance.one_of(IRISES[species])
    ground[s.TONGUE] = (0.86, 0.42, 0.45)
    ground[s.COLLAR] = chance.one_of(((0.8, 0.1, 0.12), (0.1, 0.3, 0.7), (0.15, 0.5, 0.25),
                                      (0.85, 0.7, 0.1), (0.5, 0.2, 0.5)))  # fmt: skip
    marking = np.tile(other, (s.SURFACES, 1))
    return Coat(ground.astype("float32"), marking.astype("float32"), amount.astype("float32"),
                pattern, chance.between(0.10, 0.17))  # fmt: skip


def colours(view: View, seen: np.ndarray, worn: Coat, chance: Chance) -> np.ndarray:
    """Returns the colours of the pixels that show the animal, before they are lit.

    Args:
        view: View of the animal.
        seen: Flat indices of those pixels, of shape `(n,)`.
        worn: Coat of the animal.
        chance: Random numbers of the image.

    Returns:
        float32 array of shape `(n, 3)`.
    """
    side = len(view.depth)
    surface = view.surfaces[view.number.ravel()[seen]]
    tint = worn.ground[surface]
    mask = worn.amount[surface]
    zoom = side / 128
    if worn.pattern in ("stripes", "patches", "spots", "saddle"):
        kind = {"stripes": "spots", "patches": "clouds", "spots": "spots", "saddle": "spots"}
        blobs = chance.tile(kind[worn.pattern], side, side, zoom).ravel()[seen]
        if worn.pattern == "stripes":
            wave = np.sin(_along(view, seen) * (6.28 / worn.spacing / view.scale) + 1.1 * blobs)
            mask = mask * np.clip(1.6 * wave + 0.2, 0, 1)
        elif worn.pattern == "saddle":
            rows = (seen // side).astype("float32")
            top, low = rows.min(), rows.max()
            mask = mask * np.clip(4 * (0.42 - (rows - top) / (low - top + 1)) + 0.5 * blobs, 0, 1)
        else:
            edge = 0.25 if worn.pattern == "patches" else 0.9
            mask = mask * np.clip(4 * (blobs - edge) + 0.5, 0, 1)
        tint += mask[:, None] * (worn.marking[surface] - tint)
    return tint


def _along(view: View, seen: np.ndarray) -> np.ndarray:
    """Returns how far along its shape each pixel lies, in pixels; across it on the head."""
    side = len(view.depth)
    number = view.number.ravel()[seen]
    column = np.where((view.surfaces == s.HEAD) | (view.surfaces == s.BROW), 1, 0)
    way = view.axes[np.arange(len(column)), :, column]
    way = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
    start = (way * view.centres).sum(axis=1)
    way, start = way.astype("float32"), start.astype("float32")
    x, y = (seen % side).astype("float32"), (seen // side).astype("float32")
    direction = way[number]
    place = direction[:, 0] * x + direction[:, 1] * y + direction[:, 2] * view.depth.ravel()[seen]
    return place - start[number]
