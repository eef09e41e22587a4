"""Sheets of examples of a dataset: images by class, and texts."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dlrecipes.figures.charts import BLUE
from dlrecipes.figures.fonts import fit_fonts

# Pixels of an image with its margin, and of the title; `save` writes 120 pixels per inch.
SIDE, _GAP, _TITLE, _DPI = 96, 6, 44, 120
# Longest label, and pixels of a letter of the labels.
_LABEL, _LETTER = 24, 9.5
# Letters per line of a text, and pixels of a line.
_COLUMNS, _LINE = 100, 22


def example_images(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], title: str, side: int = SIDE
) -> Figure:
    """Draws examples of each class in a row after the name of the class.

    Args:
        rows: Name and images of each class: uint8 of shape `(height, width)` or `(height, width,
            channels)` with 1 or 3 channels. Images of any size are fitted into equal squares.
        title: Title of the figure.
        side: Pixels of a square. Defaults to 96.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import example_images
    >>> image = np.zeros((28, 28), "uint8")
    >>> figure = example_images([("zero", [image] * 3), ("one", [image])], "Examples")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['Examples', 'zero', 'one']
    """
    labels = [_shortened(label) for label, _ in rows]
    left = round(_GAP * 2 + _LETTER * max(map(_letters, labels), default=0))
    columns = max((len(images) for _, images in rows), default=1)
    width = max(left + columns * (side + _GAP) + _GAP, round(_LETTER * _letters(title)) + 2 * _GAP)
    height = _TITLE + len(rows) * (side + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    for row, (_, images) in enumerate(rows):
        for column, pixels in enumerate(images):
            image = _fitted(pixels, side)
            x0 = left + column * (side + _GAP) + (side - image.width) // 2
            y0 = _TITLE + row * (side + _GAP) + (side - image.height) // 2
            sheet.paste(image, (x0, y0))
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.imshow(np.asarray(sheet), interpolation="none", aspect="auto")
    axis.axis("off")
    axis.text(_GAP * 2, _TITLE / 2, title, fontsize=10, weight="bold", va="center")
    for row, label in enumerate(labels):
        y = _TITLE + row * (side + _GAP) + side / 2
        axis.text(left - _GAP, y, label, fontsize=9, ha="right", va="center")
    fit_fonts(figure)
    return figure


def example_texts(rows: Sequence[tuple[str, str]], title: str) -> Figure:
    """Draws texts, each after a heading such as its class or author.

    Args:
        rows: Heading and text of each example; either may be `""`. Long lines are wrapped.
        title: Title of the figure.

    Example:

    >>> from dlrecipes.figures import example_texts
    >>> figure = example_texts([("train", "To be, or not to be")], "Examples")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['Examples', 'train', 'To be, or not to be']
    """
    blocks: list[tuple[str, bool]] = []
    for heading, text in rows:
        blocks += [(heading, True)] if heading else []
        for line in text.splitlines():
            wide = sum(letter > "\u2e7f" for letter in line)
            columns = _COLUMNS // 2 if 2 * wide > len(line) else _COLUMNS
            blocks += [(part, False) for part in textwrap.wrap(line, columns) or [""]]
        blocks.append(("", False))
    height = _TITLE + len(blocks) * _LINE
    figure = Figure(figsize=(8, height / _DPI), dpi=_DPI)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, 8 * _DPI), ylim=(height, 0))
    axis.axis("off")
    axis.text(_GAP * 2, _TITLE / 2, title, fontsize=10, weight="bold", va="center")
    for row, (line, is_heading) in enumerate(blocks):
        if line:
            y = _TITLE + (row + 0.5) * _LINE
            colour = BLUE if is_heading else "black"
            axis.text(_GAP * 2, y, line, fontsize=9, va="center", color=colour)
    fit_fonts(figure)
    return figure


def _letters(text: str) -> int:
    """Returns the width of a text in letters of usual width."""
    wide = sum(1 for letter in text if unicodedata.east_asian_width(letter) in "WF")
    capital = sum(1 for letter in text if letter.isupper())
    return math.ceil(len(text) + 0.8 * wide + 0.6 * capital)


def _shortened(label: str) -> str:
    if _letters(label) <= _LABEL:
        return label
    kept = label
    while _letters(kept) >= _LABEL:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def _fitted(pixels: np.ndarray, longest: int) -> Image.Image:
    """Returns an image that fits the square; small ones are enlarged without smoothing."""
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    scale = longest / max(image.size)
    if scale >= 2:
        # Whole factors keep the pixels square.
        scale = np.floor(scale)
    size = [max(1, round(side * scale)) for side in image.size]
    way = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    return image.resize((size[0], size[1]), way)
