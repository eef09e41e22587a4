"""Names in figures: shortened where they are long, and placed where they overlap nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from math import cos, hypot, pi, sin
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

from dlrecipes.figures.fonts import drawable

# Distances of a label from its point, in points; a farther label gets a line to its point.
_DISTANCES = (5, 12, 20, 30, 42, 56, 72)
_NEAR = 20
# Radius of a small point, in points.
_SMALL = 3.6
# Directions in the order in which they are tried: up right, down right, ...
_DIRECTIONS = tuple(pi * k / 8 for k in (2, -2, 6, -6, 4, -4, 0, 8, 1, -1, 3, -3, 5, -5, 7, -7))


def text_width(text: str) -> float:
    """Returns the width of a text in letters of average width; East Asian ones count twice."""
    return sum(map(_letter_width, text))


def _letter_width(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0
    if unicodedata.east_asian_width(letter) in "WF":
        return 2
    return 1.5 if letter in "mwMW@%" else 1.2 if letter.isupper() else 1


def shortened(text: str, width: int) -> str:
    """Returns a text of limited width, with an ellipsis in place of its middle if it is longer.

    Characters that no font has are written by their names (see `drawable`).

    Args:
        text: Text in one line.
        width: Largest width, as `text_width` counts.
    """
    text = drawable(" ".join(text.split()))
    if text_width(text) <= width:
        return text
    # Names often differ at the end only, such as "tabby cat (left)" and "tabby cat (right)".
    tail = _beginning(text[::-1], width // 3)[::-1]
    return _beginning(text, width - 1 - text_width(tail)) + "…" + tail


def _beginning(text: str, width: float) -> str:
    while text_width(text) > width:
        text = text[:-1]
    return text


def label_points(
    axis: Axes, points: Sequence[tuple[str, float, float]], radii: Sequence[float] = ()
) -> None:
    """Writes each point's name where it overlaps no other name and no point.

    Args:
        axis: Axis whose limits are final. The place of its legend is left free.
        points: Name, x and y of each point; earlier names are placed first. A point with the name
            `""` is only left free.
        radii: Radius of each point's marker, in points of 1/72 inch. Defaults to small ones.
    """
    figure: Any = axis.figure
    canvas = FigureCanvasAgg(figure)
    # Positions are known once the figure has been drawn.
    canvas.draw()
    renderer = canvas.get_renderer()
    radii = [max(radius, _SMALL) for radius in radii or [0] * len(points)]
    taken = []
    for (_, x, y), radius in zip(points, radii, strict=True):
        centre, half = axis.transData.transform((x, y)), radius * figure.dpi / 72
        taken.append(Bbox([centre - half, centre + half]))
    if legend := axis.get_legend():
        taken.append(legend.get_window_extent(renderer))
    for (name, x, y), radius in zip(points, radii, strict=True):
        if name:
            taken.append(_label(axis, renderer, name, (x, y), radius, taken))


def _label(
    axis: Axes,
    renderer: Any,
    name: str,
    point: tuple[float, float],
    radius: float,
    taken: Sequence[Bbox],
) -> Bbox:
    """Writes a name at the first place that is free, or else at the first of all places."""
    inside = axis.get_window_extent(renderer)
    label = axis.annotate(drawable(name), point, (0, 0), textcoords="offset points", fontsize=9)
    places = list(_places(radius))
    for offset, alignment in [*places, places[0]]:
        label.set(position=offset, **alignment)
        box = label.get_window_extent(renderer)
        if _contains(inside, box) and not any(box.overlaps(other) for other in taken):
            break
    if hypot(*offset) > radius + _NEAR:
        line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkB": 3}
        axis.annotate("", point, offset, textcoords="offset points", arrowprops=line)
    return label.get_window_extent(renderer)


def _places(radius: float) -> Iterator[tuple[tuple[float, float], dict[str, str]]]:
    for distance in _DISTANCES:
        for angle in _DIRECTIONS:
            x, y = cos(angle), sin(angle)
            across = "center" if abs(x) < 0.3 else ("left" if x > 0 else "right")
            up = "center" if abs(y) < 0.3 else ("bottom" if y > 0 else "top")
            # Markers keep a square free.
            reach = distance + radius / max(abs(x), abs(y)) - _SMALL
            yield (reach * x, reach * y), {"ha": across, "va": up}


def _contains(outer: Bbox, box: Bbox) -> bool:
    return bool(
        outer.x0 <= box.x0 and box.x1 <= outer.x1 and outer.y0 <= box.y0 and box.y1 <= outer.y1
    )
