"""Painting of polygons, so that the object that owns each pixel is known exactly."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
from PIL import Image, ImageChops, ImageDraw

# Pixels of the painting per pixel of the image, along each axis.
FINER = 2
# Width that is painted beyond each edge of the image, as a fraction of its side.
MARGIN = 0.3
# Areas that a painting can have; their numbers have 8 bits.
AREAS = 256
# Number of patterns.
PATTERNS = 12
Box = tuple[int, int, int, int]
Colour = tuple[int, int, int]


class Pattern(NamedTuple):
    """A second colour on a polygon.

    Args:
        kind: Number of the pattern, from 0 to `PATTERNS - 1`.
        place: Place of its tile, two numbers from 0 to 1.
        colour: Red, green and blue, from 0 to 255.
    """

    kind: int
    place: tuple[float, float]
    colour: Colour


class Fill(NamedTuple):
    """A polygon and its colours.

    Args:
        points: Corners in pixels of the painting, of shape `(n, 2)`.
        colour: Red, green and blue, from 0 to 255.
        pattern: Second colour, or `None`.
    """

    points: np.ndarray
    colour: Colour
    pattern: Pattern | None = None


class _Area(NamedTuple):
    """Pixels of one colour: their owner, and the polygon that they belong to."""

    colour: Colour
    owner: int
    part: int


class Raster:
    """A painting that stores the number of an area for each pixel, at a higher resolution.

    Args:
        size: Height and width of the image in pixels.
        least_seen: Part of an object that must be seen, of its pixels in a larger image in which
            nothing covers it.
    """

    def __init__(self, size: int, least_seen: float):
        self.size, self._least = size, least_seen
        self._side, self._margin = size * FINER, round(size * FINER * MARGIN)
        self._full = self._side + 2 * self._margin
        end = self._margin + self._side
        self._frame: Box = (self._margin, self._margin, end, end)
        self._image = Image.new("L", (self._full, self._full))
        self._draw = ImageDraw.Draw(self._image)
        self._areas = [_Area((0, 0, 0), 0, 0)]
        # By owner, of which the first stands for everything that is not an object.
        self._whole, self._seen, self._bounds = [0], [0], [(0, 0, 0, 0)]

    def room(self) -> int:
        """Returns how many further areas can be painted: one per polygon and one per pattern."""
        return AREAS - len(self._areas)

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Returns places in the image, from 0 to 1, in pixels of the painting."""
        return points * self._side + self._margin

    def colour_at(self, x: float, y: float) -> Colour:
        """Returns the colour of a place in the image, from 0 to 1."""
        column, row = (int(min(v, 0.999) * self._side) + self._margin for v in (x, y))
        return self._areas[cast(int, self._image.getpixel((column, row)))].colour

    def paint(self, fills: Sequence[Fill], is_object: bool) -> bool:
        """Paints a drawing, unless an object would be hidden too much, and returns whether it did.

        Args:
            fills: Polygons in the order in which they cover one another.
            is_object: Whether the drawing is an object, which must be seen itself.
        """
        box = self._reach(np.concatenate([fill.points for fill in fills]))
        inner = _common(box, self._frame)
        covered = any(_overlap(inner, bounds) for bounds in self._bounds[1:])
        if not (covered or is_object):
            self._fill(fills, 0, box)
            return True
        pixels, start = self._image.crop(box), len(self._areas)
        before = self._counts(inner)[:start] if covered else []
        self._fill(fills, len(self._whole) * is_object, box)
        after = self._counts(inner)
        seen, whole = list(self._seen), list(self._whole)
        for area, old, new in zip(self._areas, before, after, strict=False):
            seen[area.owner] += new - old
        if is_object:
            seen.append(sum(after[start:]))
            whole.append(sum((after if inner == box else self._counts(box))[start:]))
        pairs = zip(seen[1:], whole[1:], strict=True)
        if any(part < max(1, self._least * every) for part, every in pairs):
            self._image.paste(pixels, box)
            del self._areas[start:]
            return False
        self._seen, self._whole = seen, whole
        if is_object:
            self._bounds.append(inner)
        return True

    def boxes(self) -> np.ndarray:
        """Returns the tight boxes of what is seen of the objects.

        Returns:
            float32 of shape `(objects, 4)`: left, top, right and bottom in pixels of the image.
        """
        table = self._table([area.owner for area in self._areas])
        owners = np.asarray(self._image.crop(self._frame).point(table))
        boxes = []
        for owner, bounds in enumerate(self._bounds[1:], 1):
            left, top, right, bottom = (edge - self._margin for edge in bounds)
            part = owners[top:bottom, left:right] == owner
            columns, rows = (np.flatnonzero(part.any(axis=axis)) for axis in (0, 1))
            boxes.append(
                (left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1)
            )
        return np.array(boxes, "float32").reshape(-1, 4) / FINER

    def pixels(self, ink: Colour | None) -> np.ndarray:
        """Returns the image, uint8 of shape `(size, size, 3)`.

        Args:
            ink: Colour of thin lines along the edges of all polygons, inside them; `None` for no
                lines.
        """
        image = self._image.crop(self._frame)
        palette = np.zeros((AREAS, 3), "uint8")
        palette[: len(self._areas)] = [area.colour for area in self._areas]
        if ink is not None:
            palette[0] = ink
            image = Image.fromarray(np.where(self._edges(image), np.uint8(0), np.asarray(image)))
        image.putpalette(palette.tobytes())
        return np.asarray(image.convert("RGB").reduce(FINER))

    def _reach(self, points: np.ndarray) -> Box:
        """Returns the part of the painting that polygons can cover."""
        low = points.min(axis=0).tolist()
        high = points.max(axis=0).tolist()
        left, top = (min(max(int(edge) - 2, 0), self._full) for edge in low)
        right, bottom = (min(max(int(edge) + 3, 0), self._full) for edge in high)
        return left, top, right, bottom

    def _fill(self, fills: Sequence[Fill], owner: int, box: Box) -> None:
        for points, colour, pattern in fills:
            number = len(self._areas)
            self._draw.polygon(points.ravel().tolist(), fill=number)
            self._areas.append(_Area(colour, owner, number))
            if pattern:
                mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
                ImageDraw.Draw(mask).polygon((points - box[:2]).ravel().tolist(), fill=255)
                tile = patterns(self._side, self._full)[pattern.kind]
                x, y = (
                    round(v * (self._full - e))
                    for v, e in zip(pattern.place, mask.size, strict=True)
                )
                tile = tile.crop((x, y, x + mask.width, y + mask.height))
                self._image.paste(number + 1, box, ImageChops.darker(mask, tile))
                self._areas.append(_Area(pattern.colour, owner, number))

    def _counts(self, box: Box) -> list[int]:
        """Returns the pixels of each area in a part of the painting."""
        if box[2] <= box[0] or box[3] <= box[1]:
            return [0] * AREAS
        return self._image.crop(box).histogram()

    def _edges(self, image: Image.Image) -> np.ndarray:
        """Returns which pixels are close to one of a polygon that was painted earlier."""
        part = np.asarray(image.point(self._table([area.part for area in self._areas])))
        edges = np.zeros(part.shape, bool)
        edges[2:] = part[2:] > part[:-2]
        edges[:-2] |= part[:-2] > part[2:]
        edges[:, 2:] |= part[:, 2:] > part[:, :-2]
        edges[:, :-2] |= part[:, :-2] > part[:, 2:]
        return edges

    def _table(self, values: list[int]) -> list[int]:
        return values + [0] * (AREAS - len(values))


@functools.lru_cache(maxsize=2)
def patterns(side: int, full: int) -> list[Image.Image]:
    """Returns stripes, dots, checks and waves, each in three ways, as masks of 0 and 255.

    Args:
        side: Height and width of the painted image.
        full: Height and width of a mask.
    """
    y, x = np.mgrid[:full, :full].astype("float32") / side
    masks = []
    for period, angle in ((0.045, 0.4), (0.06, 1.6), (0.08, 2.6)):
        c, s = np.cos(angle) / period, np.sin(angle) / period
        u, v = c * x + s * y, c * y - s * x
        masks += [
            u % 1 < 0.45,
            (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.1,
            (u % 1 < 0.5) == (v % 1 < 0.5),
            (u + 0.25 * np.sin(6.283 * v)) % 1 < 0.4,
        ]
    return [Image.fromarray(mask.astype("uint8") * 255) for mask in masks]


def _overlap(box: Box, other: Box) -> bool:
    left, top, right, bottom = _common(box, other)
    return left < right and top < bottom


def _common(box: Box, other: Box) -> Box:
    return (
        max(box[0], other[0]),
        max(box[1], other[1]),
        min(box[2], other[2]),
        min(box[3], other[3]),
    )
