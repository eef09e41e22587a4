"""One scene: where objects and clutter lie, their colours and their light."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence

import numpy as np

from dlrecipes.data.generated.chance import Chance
from dlrecipes.data.generated.scenes.clutter import CLUTTER
from dlrecipes.data.generated.scenes.objects import OBJECTS
from dlrecipes.data.generated.scenes.outlines import Part
from dlrecipes.data.generated.scenes.raster import (
    MARGIN,
    PATTERNS,
    Colour,
    Fill,
    Pattern,
    Raster,
)

FEWEST, MOST = 3, 12
# Longest side of an object, as a fraction of the image's; scenes of many objects have smaller ones.
SMALLEST, LARGEST = 0.16, 0.55
# Part of an object that is seen at least.
LEAST_SEEN = 0.6
# Places that are tried for an object before it is left out.
TRIES = 12
# Areas that are kept free for the next drawing, more than any has.
_SPARE = 25
_WHITE, _BLACK = (252, 250, 242), (25, 22, 30)


class Collage:
    """A scene that is painted object by object.

    Args:
        size: Height and width in pixels.
        chance: Random numbers of the scene.
    """

    def __init__(self, size: int, chance: Chance):
        self._chance, self._raster = chance, Raster(size, LEAST_SEEN)
        self._palette = [_colour(chance) for _ in range(int(chance.between(5, 9)))]
        self.classes: list[str] = []
        self._backdrop()
        for _ in range(int(chance.between(3, 8))):
            self._add_clutter(chance.between(0.06, 0.3))
        count = int(chance.between(FEWEST, MOST + 1))
        largest = LARGEST - 0.022 * (count - FEWEST)
        sizes = [SMALLEST * (largest / SMALLEST) ** chance.between(0, 1) for _ in range(count)]
        # Small objects tend to lie in front.
        for length in sorted(sizes, key=lambda length: -length * chance.between(0.6, 1.6)):
            self._add_object(length)
            if chance.happens(0.25):
                self._add_clutter(chance.between(0.04, 0.12))
        while len(self.classes) < FEWEST:
            self._add_object(SMALLEST)

    def boxes(self) -> np.ndarray:
        """Returns the tight boxes of what is seen of the objects, float32 of shape `(n, 4)`."""
        return self._raster.boxes()

    def image(self) -> np.ndarray:
        """Returns the image with light and grain, uint8 of shape `(size, size, 3)`."""
        chance, size = self._chance, self._raster.size
        dark = _blend(self._palette[0], _BLACK, 0.8)
        ink = chance.weighted({dark: 2.0, _WHITE: 1.0, None: 1.0})
        pixels = self._raster.pixels(ink).astype("float32")
        light = np.full((size, size), chance.about(1.0, 0.08), "float32")
        for kind, low, high in (("clouds", 0.01, 0.06), ("fine", 0, 0.04), ("white", 0.01, 0.04)):
            light += chance.between(low, high) * chance.tile(kind, size, size, size / 64)
        pixels *= light[..., None]
        pixels += 0.5
        return np.clip(pixels, 0, 255, out=pixels).astype("uint8")

    def _backdrop(self) -> None:
        """Paints the ground: a plain or patterned colour, and up to three hills."""
        chance, raster = self._chance, self._raster
        low, high = -MARGIN, 1 + MARGIN
        ground = np.array([(low, low), (high, low), (high, high), (low, high)])
        colours = [_muted(chance.one_of(self._palette), chance) for _ in range(4)]
        fills = [Fill(raster.to_pixels(ground), colours[0], self._pattern(colours[0], 0.6))]
        top = chance.between(0.15, 0.6)
        for colour in colours[1 : 1 + int(chance.between(0, 4))]:
            x = np.linspace(low, high, 25)
            wave = np.sin(x * chance.between(3, 9) + chance.between(0, 6.3))
            y = top + chance.between(0.02, 0.08) * wave + chance.about(0.0, 0.15) * (x - 0.5)
            hill = np.vstack([np.column_stack([x, y]), ground[2:]])
            fills.append(Fill(raster.to_pixels(hill), colour, self._pattern(colour, 0.5)))
            top += chance.between(0.12, 0.4)
        raster.paint(fills, is_object=False)

    def _add_clutter(self, length: float) -> None:
        draw = self._chance.one_of(CLUTTER)
        self._place(draw(self._chance), length, math.pi, False, tries=2)

    def _add_object(self, length: float) -> None:
        name = self._chance.one_of(tuple(OBJECTS))
        draw, angle = OBJECTS[name]
        if self._place(draw(self._chance), length, angle, True, TRIES):
            self.classes.append(name)

    def _place(
        self, parts: Sequence[Part], length: float, angle: float, is_object: bool, tries: int
    ) -> bool:
        """Paints a drawing where it hides no object too much, and returns whether it could."""
        chance, raster = self._chance, self._raster
        if raster.room() < _SPARE:
            return False
        ends = np.cumsum([len(part.points) for part in parts]).tolist()
        shape = np.concatenate([part.points for part in parts]) * length
        for _ in range(tries):
            turn, mirror = chance.between(-angle, angle), chance.one_of((-1, 1))
            x, y = chance.between(0.0, 1.0), chance.between(0.0, 1.0)
            c, s = math.cos(turn), math.sin(turn)
            points = raster.to_pixels(shape @ [[c * mirror, s * mirror], [-s, c]] + [x, y])
            paints = self._paints(raster.colour_at(x, y))
            patterns = {"main": self._pattern(paints["main"], 0.3)}
            fills = [
                Fill(points[start:end], paints[part.paint], patterns.get(part.paint))
                for part, start, end in zip(parts, [0, *ends], ends, strict=False)
            ]
            if raster.paint(fills, is_object):
                return True
        return False

    def _pattern(self, colour: Colour, probability: float) -> Pattern | None:
        """Returns a pattern in a similar or another colour, or `None`."""
        chance = self._chance
        if not chance.happens(probability):
            return None
        second = chance.one_of(self._palette)
        if chance.happens(0.6):
            second = _blend(colour, chance.one_of((_WHITE, _BLACK)), chance.between(0.12, 0.3))
        place = (chance.between(0, 1), chance.between(0, 1))
        return Pattern(int(chance.between(0, PATTERNS)), place, second)

    def _paints(self, behind: Colour) -> dict[str, Colour]:
        """Returns the colours of a drawing that is seen before a colour."""
        chance = self._chance
        main = _farthest([chance.one_of(self._palette) for _ in range(3)], behind)
        second = _farthest([chance.one_of(self._palette) for _ in range(2)], main)
        third = _farthest([chance.one_of(self._palette), _blend(main, _BLACK, 0.4)], main)
        return {
            "main": main,
            "second": second,
            "third": third,
            "light": _blend(chance.one_of(self._palette), _WHITE, 0.8),
            "dark": _blend(chance.one_of(self._palette), _BLACK, 0.8),
        }


def _colour(chance: Chance) -> Colour:
    """Returns a colour of any hue, from pastel to deep."""
    hue, saturation = chance.between(0, 1), chance.between(0.3, 0.9)
    value = chance.between(0.75, 1.0) if chance.happens(0.7) else chance.between(0.3, 0.75)
    red, green, blue = (round(255 * v) for v in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def _muted(colour: Colour, chance: Chance) -> Colour:
    """Returns a colour that is mixed with white, grey or black."""
    other = chance.weighted({_WHITE: 3.0, (128, 128, 128): 0.5, _BLACK: 1.0})
    return _blend(colour, other, chance.between(0.0, 0.7))


def _blend(colour: Colour, other: Colour, part: float) -> Colour:
    red, green, blue = (round(a + part * (b - a)) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _farthest(colours: Sequence[Colour], other: Colour) -> Colour:
    return max(colours, key=lambda colour: math.dist(colour, other))
