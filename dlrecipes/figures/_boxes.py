"""Boxes drawn on an image with Pillow alone: neither Matplotlib nor TensorFlow is loaded."""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, sqrt
from typing import Any

from PIL import Image, ImageColor, ImageDraw

from dlrecipes.figures._pillow_text import line_height, text_image

Box = tuple[int, int, int, int]

# Colours that people with a colour vision deficiency distinguish as well (Okabe and Ito, 2008,
# "Color universal design").
_PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
# Saturation and brightness of further colours: neighbours on the wheel differ in both.
_SHADES = ((0.95, 0.70), (0.50, 0.95), (1.0, 0.95), (0.55, 0.60))
_GOLDEN_ANGLE = 0.381966
# Lines and letters of an image, as parts of the square root of its area, and the least ones.
_LINE, _LEAST_LINE = 1 / 220, 2
_LETTERS, _LEAST_LETTERS = 1 / 34, 11
# Length of a dash and of a gap, in widths of the line.
_DASH, _GAP = 4, 3


def box_colours(names: Sequence[str]) -> dict[str, str]:
    """Returns a colour for each class, which depends on its place among the classes alone.

    Args:
        names: Names of all classes of a model or of a dataset, in their order.

    Returns:
        Hexadecimal colours, such as `"#e69f00"`, by name.

    Example:

    >>> from dlrecipes.figures import box_colours
    >>> box_colours(["cat", "dog"])
    {'cat': '#e69f00', 'dog': '#56b4e9'}
    """
    return {name: _colour(place) for place, name in enumerate(names)}


def draw_boxes(
    image: Image.Image,
    boxes: Any,
    labels: Sequence[str],
    scores: Any = None,
    colours: Mapping[str, str] | None = None,
    dashed: bool = False,
    scale: float = 1.0,
) -> Image.Image:
    """Returns a copy of an image with boxes, each with its label and its score.

    Lines and letters grow with the image. Labels stay inside the image and avoid one another
    where there is room; each stands on its box's colour, in black or white, whichever contrasts
    more. A label that is wider than the image is cut, with an ellipsis before its score, and
    characters that no font has are written by their names.

    Args:
        image: Image of any mode; it is drawn on as RGB.
        boxes: Left, top, right and bottom of each box in pixels, shape `(n, 4)`. Parts outside
            the image are not drawn.
        labels: Names of the boxes' classes, `n` strings; a box with the label `""` gets no text
            without a score.
        scores: Score of each box, from 0 to 1, shape `(n,)`. Defaults to `None`: none is written.
        colours: Colours by label, as `box_colours` returns them. Defaults to a colour that is
            computed from the label, so that it is the same on all images; two labels may then get
            similar ones. A label without a colour gets such a one.
        dashed: Whether the lines are dashed, as for the truth next to predictions. Defaults to
            `False`.
        scale: Factor of the widths of lines and the size of letters. Defaults to 1.0.

    Returns:
        RGB image of the same size.

    Raises:
        ValueError: If there are not as many boxes as labels and scores, or one is not finite.

    Example:

    >>> from PIL import Image
    >>> from dlrecipes.figures import draw_boxes
    >>> image = Image.new("RGB", (320, 240), "white")
    >>> draw_boxes(image, [[20, 40, 120, 200]], ["cat"], [0.97]).size
    (320, 240)
    """
    rows = _checked(boxes, labels, scores)
    drawn = image.convert("RGB")
    side = sqrt(drawn.width * drawn.height)
    line = max(_LEAST_LINE, round(scale * side * _LINE))
    size = max(_LEAST_LETTERS, round(scale * side * _LETTERS))
    order = sorted(range(len(rows)), key=lambda row: scores[row] if scores is not None else 0)
    places = {row: place for row in order if (place := _inside(rows[row], drawn.size))}
    paint = {row: (colours or {}).get(labels[row]) or _hashed(labels[row]) for row in places}
    draw = ImageDraw.Draw(drawn)
    for row, place in places.items():
        _outline(draw, place, paint[row], line, dashed)
    taken: list[Box] = []
    # Surer boxes choose the places of their labels first.
    for row in reversed(places):
        score = "" if scores is None else f"{float(scores[row]):.2f}"
        _label(drawn, places[row], (labels[row], score), paint[row], size, taken)
    return drawn


def _checked(boxes: Any, labels: Sequence[str], scores: Any) -> list[tuple[float, ...]]:
    rows = [tuple(float(edge) for edge in box) for box in boxes]
    if len(rows) != len(labels) or (scores is not None and len(rows) != len(scores)):
        counts = f"{len(rows)} boxes, {len(labels)} labels"
        counts += "" if scores is None else f", {len(scores)} scores"
        raise ValueError(f"Each box must have a label and, with scores, a score: {counts}.")
    for row in rows:
        if len(row) != 4 or not all(map(isfinite, row)):
            raise ValueError(f"A box must be four finite numbers, not {row}.")
    return rows


def _colour(place: int) -> str:
    if place < len(_PALETTE):
        return _PALETTE[place]
    shade = _SHADES[place % len(_SHADES)]
    rgb = colorsys.hsv_to_rgb(place * _GOLDEN_ANGLE % 1, *shade)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def _hashed(label: str) -> str:
    """Returns a colour of a label, the same in every process."""
    return _colour(zlib.crc32(label.encode("utf-8", "replace")) % 96)


def _inside(box: Sequence[float], size: tuple[int, int]) -> Box | None:
    """Returns the first and last pixels of a box's part in the image; `None` without one."""
    left, top, right, bottom = box
    width, height = size
    if right <= 0 or bottom <= 0 or left >= width or top >= height or right < left or bottom < top:
        return None
    first = min(max(round(left), 0), width - 1), min(max(round(top), 0), height - 1)
    # Pixel i extends from i to i + 1.
    last = min(round(right), width) - 1, min(round(bottom), height) - 1
    return *first, max(last[0], first[0]), max(last[1], first[1])


def _outline(draw: ImageDraw.ImageDraw, box: Box, colour: str, line: int, dashed: bool) -> None:
    """Draws a box's lines in a dark frame, so that they are seen on any background."""
    rim = max(1, line // 3)
    sides = list(_sides(box, line, dashed))
    for left, top, right, bottom in sides:
        draw.rectangle((left - rim, top - rim, right + rim, bottom + rim), fill="black")
    for side in sides:
        draw.rectangle(side, fill=colour)


def _sides(box: Box, line: int, dashed: bool) -> Iterator[Box]:
    """Yields filled rectangles, in inclusive pixels, that make up the four lines or dashes."""
    left, top, right, bottom = box
    across, down = min(line, right - left + 1) - 1, min(line, bottom - top + 1) - 1
    for x0, x1 in _dashes(left, right, line, dashed):
        yield x0, top, x1, top + down
        yield x0, bottom - down, x1, bottom
    for y0, y1 in _dashes(top, bottom, line, dashed):
        yield left, y0, left + across, y1
        yield right - across, y0, right, y1


def _dashes(first: int, last: int, line: int, dashed: bool) -> Iterator[tuple[int, int]]:
    """Yields the dashes from one corner to the other; each side begins and ends with one."""
    length = last - first + 1
    gaps = round((length / line - _DASH) / (_DASH + _GAP)) if dashed else 0
    if gaps < 1:
        yield first, last
        return
    step = (length - _DASH * line) / gaps
    for number in range(gaps + 1):
        start = round(first + number * step)
        yield start, min(start + _DASH * line - 1, last)


def _label(
    image: Image.Image,
    box: Box,
    texts: tuple[str, str],
    colour: str,
    size: int,
    taken: list[Box],
) -> None:
    """Writes a label and a score at a box, and adds their place to those that are taken."""
    pad = max(2, size // 6)
    name, score = texts
    ending = f" {score}" if name and score else score
    written = text_image(name, size, _contrast(colour), image.width - 2 * pad, ending)
    if written is None or line_height(size) > image.height:
        return
    width, height = written.width + 2 * pad, written.height
    place = _place(box, (width, height), image.size, taken)
    taken.append(place)
    left, top, right, bottom = place
    ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), colour, outline="black")
    image.paste(written, (left + pad, top), written)


def _place(box: Box, size: tuple[int, int], image: tuple[int, int], taken: list[Box]) -> Box:
    """Returns the first free place for a label at its box, or else the one that covers least."""
    width, height = size
    left, top, right, bottom = box
    places = []
    for x in (left, right + 1 - width):
        for y in (top - height, top, bottom + 1, bottom + 1 - height):
            if 0 <= y <= image[1] - height:
                x0 = min(max(x, 0), image[0] - width)
                places.append((x0, y, x0 + width, y + height))
    if not places:  # The box is lower than a label, in an image that hardly has room for one.
        x0, y0 = min(left, image[0] - width), min(top, image[1] - height)
        places = [(x0, y0, x0 + width, y0 + height)]
    return min(places, key=lambda place: sum(_common_area(place, other) for other in taken))


def _common_area(a: Box, b: Box) -> int:
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(across, 0) * max(down, 0)


def _contrast(colour: str) -> str:
    """Returns black or white, whichever differs more in luminance (WCAG 2.2) from a colour."""
    parts = [part / 255 for part in ImageColor.getrgb(colour)[:3]]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # Contrast with white, 1.05 / (L + 0.05), equals the one with black where L is 0.179.
    return "black" if luminance > 0.179 else "white"
