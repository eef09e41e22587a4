"""Rendering of shapes: the shape that each pixel shows, and its distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlrecipes.data.generated.cats_dogs.shapes import INNER_EAR, Ear, Shapes

FAR = np.float32(-1e3)
# Surfaces from this one on keep their edges; the others blend like clay.
_FIRST_HARD = INNER_EAR
# How far neighbouring shapes blend, in units of the trunk's length.
_BLEND = 0.09


@dataclass
class View:
    """Rendered shapes, at twice the size of the image.

    Args:
        depth: Distance towards the camera in pixels, float32 of shape `(rows, columns)`; `FAR`
            where nothing is seen.
        number: Shape of each pixel, uint8 of shape `(rows, columns)`.
        surfaces: Surface of each shape, uint8 of shape `(n,)`.
        centres: Centres of the shapes in pixels, of shape `(n, 3)`.
        axes: Axes of the shapes in pixels, of shape `(n, 3, 3)`.
        offset: Column and row of the origin of space.
        scale: Pixels per unit of space.
    """

    depth: np.ndarray
    number: np.ndarray
    surfaces: np.ndarray
    centres: np.ndarray
    axes: np.ndarray
    offset: tuple[float, float]
    scale: float

    def to_pixels(self, places: np.ndarray) -> np.ndarray:
        """Returns places in space, of shape `(..., 3)`, in pixels."""
        return places * [self.scale, -self.scale, self.scale] + [*self.offset, 0.0]


def render(
    shapes: Shapes, scale: float, offset: tuple[float, float], fur: np.ndarray, shag: float
) -> View:
    """Returns a view of the shapes from the front.

    Args:
        shapes: Shapes of the animal.
        scale: Pixels per unit of space.
        offset: Column and row of the origin.
        fur: Noise that ruffles the edges, float32 of shape `(side, side)`, the size of the view.
        shag: Length of the hair in pixels.
    """
    centres, axes, surfaces = shapes.placed()
    depth, number = np.full(fur.shape, FAR, "float32"), np.zeros(fur.shape, "uint8")
    flip = np.array([scale, -scale, scale])
    view = View(depth, number, surfaces, centres * flip + [*offset, 0.0], axes * flip[:, None],
                offset, scale)  # fmt: skip
    with np.errstate(invalid="ignore"):
        _ellipsoids(view, fur, shag)
    for ear in shapes.ears:
        _ear(view, ear, fur, shag)
    return view


def _ellipsoids(view: View, fur: np.ndarray, shag: float) -> None:
    """Draws the ellipsoids; depth is measured in units in which shapes blend over 1/4."""
    side, unit = len(view.depth), 4 * _BLEND * view.scale
    spread = view.axes @ view.axes.transpose(0, 2, 1)
    reach = np.sqrt(spread[:, [0, 1], [0, 1]]) + 1
    low = np.clip(view.centres[:, :2] - reach, 0, side).astype(int).tolist()
    high = np.clip(view.centres[:, :2] + reach + 2, 0, side).astype(int).tolist()
    terms, thick = _terms(view, spread, side, unit)
    hard = view.surfaces >= _FIRST_HARD
    rough = np.where(hard, 0.0, 2 * shag / (reach.min(axis=1) + 1) * thick).tolist()
    for number, (left, top) in enumerate(low):
        right, bottom = high[number]
        if left >= right or top >= bottom:
            continue
        squares, x, plane = terms[0][:, number, left:right]
        y_squares, y, y_plane = terms[1][:, number, top:bottom, None]
        box = (slice(top, bottom), slice(left, right))
        surface = x * y
        surface += squares
        surface -= y_squares
        if rough[number]:
            surface += rough[number] * fur[box]
        # NaN beyond the edge, which `fmax` ignores and comparisons deny.
        np.sqrt(surface, out=surface)
        surface += plane
        surface += y_plane
        depth = view.depth[box]
        gap = surface - depth
        np.copyto(view.number[box], number, where=gap > 0)
        np.fmax(surface, depth, out=depth)
        if rough[number]:
            # A smooth maximum joins neighbouring shapes without a crease.
            np.abs(gap, out=gap)
            np.subtract(np.float32(0.25), gap, out=gap)
            np.fmax(gap, 0, out=gap)
            gap *= gap
            depth += gap
    seen = view.depth > FAR
    np.multiply(view.depth, unit, out=view.depth, where=seen)


def _terms(view: View, spread: np.ndarray, side: int, unit: float):
    """Returns what each row and column adds to the depth of each ellipsoid, and its thickness.

    The depth is `sqrt(a(x) - b(y) + c(x) d(y)) + e(x) + f(y)`, in the given unit.

    Returns:
        `(a, c, e)` and `(b, d, f)`, float32 arrays of shape `(3, n, side)`; the squared thickness,
        of shape `(n,)`.
    """
    flat = np.linalg.inv(spread[:, :2, :2])
    slope = (flat @ spread[:, :2, 2:])[:, :, 0] / unit
    thick = spread[:, 2, 2] / unit**2 - (slope * spread[:, :2, 2]).sum(axis=1) / unit
    thick = np.maximum(thick, 1e-9)
    flat = flat * thick[:, None, None]
    line = np.arange(side)
    dx, dy = (line - view.centres[:, axis, None] for axis in (0, 1))
    columns = np.stack([thick[:, None] - flat[:, 0, 0, None] * dx * dx, dx, slope[:, 0, None] * dx])
    rows = np.stack([
        flat[:, 1, 1, None] * dy * dy,
        -2 * flat[:, 0, 1, None] * dy,
        view.centres[:, 2, None] / unit + slope[:, 1, None] * dy,
    ])  # fmt: skip
    return (columns.astype("float32"), rows.astype("float32")), thick


def _ear(view: View, ear: Ear, fur: np.ndarray, shag: float) -> None:
    """Draws a flat ear, whose inside is seen where it faces the camera."""
    foot = view.to_pixels(ear.foot)
    along, across = (v * [view.scale, -view.scale, view.scale] for v in (ear.along, ear.across))
    flat = _broadened(np.column_stack([across[:2], along[:2]]), float(np.linalg.norm(across)))
    det = flat[0, 0] * flat[1, 1] - flat[0, 1] * flat[1, 0]
    side = len(view.depth)
    corners = foot[:2] + flat.T[[0, 0, 1, 1, 1]] * [[1], [-1], [1], [1], [1]]
    corners[3:] += flat[:, 0] * [[1], [-1]]
    left, top = np.clip(corners.min(axis=0), 0, side).astype(int)
    right, bottom = np.clip(corners.max(axis=0) + 2, 0, side).astype(int)
    if left >= right or top >= bottom or abs(det) < 1e-6:
        return
    dx = np.arange(left, right, dtype="float32") - float(foot[0])
    dy = (np.arange(top, bottom, dtype="float32") - float(foot[1]))[:, None]
    (a, b), (c, d) = (flat / det).tolist()
    # Places along the ear, from 0 at the base to 1 at the tip, and across it.
    s, t = np.abs(d * dx - b * dy), a * dy - c * dx
    if ear.pointed:
        width = (1 - t) * (1 + 0.55 * t)
    else:
        width = np.sqrt(np.clip((1 - t) * (t + 0.16), 0, None)) * (0.96 + 0.52 * t)
    box = (slice(top, bottom), slice(left, right))
    wide = max(1.0, float(np.linalg.norm(across)))
    inside = width - s + (0.5 * shag / wide) * fur[box]
    z = float(foot[2]) + t * float(along[2]) + 0.35 * wide * np.minimum(width, 1) * (1 - s)
    depth = view.depth[box]
    nearer = (inside > 0) & (t > -0.15) & (t < 1) & (z > depth)
    np.copyto(depth, z, where=nearer)
    np.copyto(view.number[box], ear.number, where=nearer)
    # The inside of a pricked ear faces forward.
    if ear.pointed and across[0] * along[1] < across[1] * along[0]:
        inner = nearer & (inside > 0.34 + 0.1 * t) & (t > 0.02)
        np.copyto(view.number[box], ear.number + 1, where=inner)
        depth[inner] -= 0.17 * wide


def _broadened(flat: np.ndarray, wide: float) -> np.ndarray:
    """Returns an ear's directions, the first one changed so that an ear on edge has some width."""
    length = float(np.hypot(*flat[:, 1])) or 1.0
    normal = np.array([flat[1, 1], -flat[0, 1]]) / length
    seen = float(normal @ flat[:, 0])
    if abs(seen) < 0.3 * wide:
        flat[:, 0] += normal * (np.copysign(0.3 * wide, seen) - seen)
    return flat
