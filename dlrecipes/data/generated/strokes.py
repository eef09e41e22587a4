"""Pen strokes: smooth curves through control points, drawn in the format of MNIST."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

# Side of the images, and of the box that the ink fills.
SIZE, FILLED = 28, 20
# Images that are drawn at once; more do not fit into a processor's cache.
_CHUNK = 16


class Path(NamedTuple):
    """Control points of a pen's path.

    Args:
        points: float32 array of shape `(points, 2)`: x to the right and y down, from 0 to 1.
        numbers: int array of shape `(points,)`: number of each point in the text, where a corner,
            which is two points, has one.
        strokes: Slice of each stroke's points.
    """

    points: np.ndarray
    numbers: np.ndarray
    strokes: tuple[slice, ...]


@lru_cache(maxsize=256)
def parse(form: str) -> Path:
    """Returns the control points of a form (see `dlrecipes.data.generated.digit_styles.Style`).

    Raises:
        ValueError: If a corner is the first or last point of a stroke, or a stroke has one point.

    Example:

    >>> from dlrecipes.data.generated.strokes import parse
    >>> path = parse("0,0 100,0! 50,100 / 20,50 80,50")
    >>> len(path.points), path.numbers.tolist(), [stroke.stop for stroke in path.strokes]
    (6, [0, 1, 1, 2, 3, 4], [4, 6])
    """
    points: list[tuple[float, float]] = []
    numbers: list[int] = []
    strokes = []
    number = 0
    for stroke in form.split("/"):
        start, texts = len(points), stroke.split()
        if len(texts) < 2 or "!" in texts[0] + texts[-1]:
            raise ValueError(f"{form!r}: a stroke has two points or more, and no corner at an end.")
        for text in texts:
            x, y = text.rstrip("!").split(",")
            repeats = 1 + text.endswith("!")
            points += [(float(x) / 100, float(y) / 100)] * repeats
            numbers += [number] * repeats
            number += 1
        strokes.append(slice(start, len(points)))
    return Path(np.array(points, "float32"), np.array(numbers), tuple(strokes))


@lru_cache(maxsize=256)
def curve_weights(form: str, count: int) -> np.ndarray:
    """Returns the weights of a form's control points in points along its curve.

    The curve passes through the control points (a Catmull-Rom spline); two equal points make a
    corner.

    Args:
        form: Form as text.
        count: Number of points on the curve, about evenly spaced over all strokes.

    Returns:
        float32 array of shape `(count, control points)`.
    """
    points, _, strokes = parse(form)
    gaps = [np.linalg.norm(np.diff(points[stroke], axis=0), axis=1) for stroke in strokes]
    lengths = np.array([gap.sum() for gap in gaps])
    counts = np.maximum(3, np.round(count * lengths / lengths.sum()).astype(int))
    counts[lengths.argmax()] += count - counts.sum()
    weights = np.zeros((count, len(points)), "float32")
    row = 0
    for stroke, gap, number in zip(strokes, gaps, counts.tolist(), strict=True):
        last = len(gap)
        along = np.concatenate([[0], np.cumsum(gap)])
        place = np.interp(np.linspace(0, along[-1], number), along, np.arange(last + 1))
        before = np.minimum(place.astype(int), last - 1)
        t = place - before
        spline = (
            (-t + 2 * t**2 - t**3) / 2,
            1 - 2.5 * t**2 + 1.5 * t**3,
            (t + 4 * t**2 - 3 * t**3) / 2,
            (t**3 - t**2) / 2,
        )
        rows = np.arange(row, row + number)
        for offset, weight in enumerate(spline, -1):
            columns = stroke.start + np.clip(before + offset, 0, last)
            np.add.at(weights, (rows, columns), weight)
        row += number
    return weights


def draw(points: np.ndarray, widths: np.ndarray, blur: np.ndarray) -> np.ndarray:
    """Returns images of pen strokes in the format of MNIST's digits.

    The longer side of the ink fills 20 pixels, and its centre of mass is on the pixel of row and
    column 14 of 28, as far as whole pixels and the edges allow.

    Args:
        points: float32 of shape `(count, points, 2)`: points on each image's strokes, x to the
            right and y down, in any unit. They are the centres of discs, so neighbours have to be
            closer than the pen is wide.
        widths: float32 of shape `(count, points)`: the pen's width at each point, in pixels.
        blur: float32 of shape `(count, 1)`: width of the strokes' edges, in pixels.

    Returns:
        uint8 array of shape `(count, 28, 28)`, light on black.
    """
    radii = widths / 2
    mean = radii.mean(axis=1)
    low, high = points.min(axis=1), points.max(axis=1)
    side = np.maximum((high - low).max(axis=1), 1e-3)
    scale = (FILLED - 2 * mean) / side
    placed = (points - (low + high)[:, None] / 2) * scale[:, None, None] + FILLED / 2
    # The disc with the least power (squared distance minus squared radius) covers a pixel best. The
    # power is a sum of a row's part and a column's part.
    steps = np.arange(FILLED, dtype="float32") + 0.5
    columns = (steps - placed[..., :1]) ** 2
    lines = (steps - placed[..., 1:]) ** 2 - radii[..., None] ** 2
    images = np.zeros((len(points), SIZE, SIZE), "uint8")
    for start in range(0, len(points), _CHUNK):
        rows = slice(start, start + _CHUNK)
        power = (lines[rows, :, :, None] + columns[rows, :, None]).min(axis=1)
        power = power.reshape(len(power), -1)
        radius = mean[rows, None]
        distance = np.sqrt(np.maximum(power + radius**2, 0)) - radius
        ink = np.clip(0.5 - distance / blur[rows], 0, 1)
        # Thin strokes between pixels would be grey; MNIST's are white at their middle.
        ink = ink / np.maximum(ink.max(axis=1, keepdims=True), 1e-3)
        ink = (ink * 255).round().astype("uint8").reshape(-1, FILLED, FILLED)
        _place(ink, images[rows])
    return images


def _place(ink: np.ndarray, images: np.ndarray) -> None:
    """Copies each box into its image, with the centre of mass on the pixel of row and column 14."""
    steps, middle = np.arange(FILLED) + 0.5, SIZE // 2 + 0.5
    mass = ink.sum(axis=(1, 2), dtype="float64")
    room = SIZE - FILLED
    tops, lefts = (
        np.clip(np.round(middle - ink.sum(axis=axis) @ steps / mass), 0, room).astype(int)
        for axis in (2, 1)
    )
    for image, box, top, left in zip(images, ink, tops.tolist(), lefts.tolist(), strict=True):
        image[top : top + FILLED, left : left + FILLED] = box
