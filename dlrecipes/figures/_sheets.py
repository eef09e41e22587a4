"""Sheets of images with captions, in which an image's pixel is a pixel of the figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from dlrecipes.figures._boxes import draw_boxes
from dlrecipes.figures._labels import shortened
from dlrecipes.figures.fonts import fit_fonts

# `save` writes 120 pixels per inch.
DPI = 120
# Pixels between cells; of the title, of the legend, of a heading and of a caption.
_GAP, _TITLE, _LEGEND, _HEADING, _CAPTION = 12, 40, 28, 34, 22
# Width and height of a sample in the legend, and pixels of a letter of the legend.
_SAMPLE, _LETTER = (40, 16), 7.6


class Cell(NamedTuple):
    """An image of a sheet, with the line below it; without one if it is `""`."""

    image: Image.Image
    caption: str = ""


class Sample(NamedTuple):
    """An entry of a sheet's legend: how a box is drawn, and what it means."""

    text: str
    colour: str
    dashed: bool


def sheet(
    sections: Sequence[tuple[str, Sequence[Cell]]],
    title: str,
    side: int,
    columns: int,
    legend: Sequence[Sample] = (),
) -> Figure:
    """Draws images in rows.

    Args:
        sections: Heading, or `""`, and images of each section; no side is longer than `side`.
        title: Title of the figure.
        side: Largest width and height of an image in pixels.
        columns: Number of images in a row.
        legend: Entries below the title. Defaults to none.
    """
    width = (
        max([columns * (side + _GAP), *(round(_sample_width(entry)) for entry in legend)]) + _GAP
    )
    lines = _lines(legend, width)
    y = _TITLE + _LEGEND * len(lines)
    texts: list[tuple[float, float, str, dict]] = []
    places: list[tuple[Image.Image, int, int]] = []
    for heading, cells in sections:
        if heading:
            texts.append((_GAP, y + _HEADING / 2, heading, {"weight": "bold", "fontsize": 9}))
            y += _HEADING
        for start in range(0, len(cells), columns):
            row = cells[start : start + columns]
            height = max(cell.image.height for cell in row)
            for column, (image, caption) in enumerate(row):
                x = _GAP + column * (side + _GAP)
                places.append((image, x + (side - image.width) // 2, y))
                line = shortened(caption, round(side / _LETTER))
                centre = {"ha": "center", "fontsize": 9}
                texts.append((x + side / 2, y + height + _CAPTION / 2, line, centre))
            y += height + _GAP + _CAPTION * any(cell.caption for cell in row)
    canvas = Image.new("RGB", (width, y), "white")
    draw = ImageDraw.Draw(canvas)
    for image, x, top in places:
        frame = (x - 1, top - 1, x + image.width, top + image.height)
        draw.rectangle(frame, outline="#cccccc")
        canvas.paste(image, (x, top))
    canvas, labels = _with_legend(canvas, lines)
    return _figure(canvas, title, [*texts, *labels])


def _sample_width(entry: Sample) -> float:
    return _SAMPLE[0] + 34 + _LETTER * len(entry.text)


def _lines(legend: Sequence[Sample], width: int) -> list[list[Sample]]:
    """Returns the entries of each line of a legend."""
    lines: list[list[Sample]] = []
    room = 0.0
    for entry in legend:
        if room < _sample_width(entry):
            lines.append([])
            room = width - _GAP
        lines[-1].append(entry)
        room -= _sample_width(entry)
    return lines


def _with_legend(
    canvas: Image.Image, lines: Sequence[Sequence[Sample]]
) -> tuple[Image.Image, list[tuple[float, float, str, dict]]]:
    texts = []
    width, height = _SAMPLE
    for number, line in enumerate(lines):
        x, top = float(_GAP), _TITLE + number * _LEGEND + (_LEGEND - height) // 2 - 4
        for entry in line:
            box = (x, top, x + width, top + height)
            # Samples are drawn on grey, on which white lines are seen.
            ImageDraw.Draw(canvas).rectangle(
                (x - 4, top - 4, x + width + 3, top + height + 3), "#bbbbbb"
            )
            part = canvas.crop((0, 0, canvas.width, _TITLE + len(lines) * _LEGEND))
            part = draw_boxes(
                part, [box], [""], colours={"": entry.colour}, dashed=entry.dashed, scale=0.5
            )
            canvas.paste(part, (0, 0))
            texts.append((x + width + 10, top + height / 2, entry.text, {"fontsize": 9}))
            x += _sample_width(entry)
    return canvas, texts


def _figure(
    canvas: Image.Image, title: str, texts: Sequence[tuple[float, float, str, dict]]
) -> Figure:
    figure = Figure(figsize=(canvas.width / DPI, canvas.height / DPI), dpi=DPI)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.imshow(np.asarray(canvas), interpolation="none", aspect="auto")
    axis.axis("off")
    line = shortened(title, round(canvas.width / 9.5))
    axis.text(_GAP, _TITLE / 2, line, fontsize=11, weight="bold", va="center")
    for x, y, text, style in texts:
        if text:
            axis.text(x, y, text, va="center", **style)
    fit_fonts(figure)
    return figure


def scaled(pixels: np.ndarray | Image.Image, side: int) -> tuple[Image.Image, float]:
    """Returns an image whose longer side has a length, and the factor of its coordinates.

    Args:
        pixels: Image, or uint8 array of shape `(height, width)` or `(height, width, 1 or 3)`.
        side: Length of the longer side in pixels.
    """
    image = as_image(pixels)
    factor = side / max(image.size)
    width, height = (max(1, round(length * factor)) for length in image.size)
    way = Image.Resampling.NEAREST if factor > 4 else Image.Resampling.LANCZOS
    return image.resize((width, height), way), factor


def as_image(pixels: np.ndarray | Image.Image) -> Image.Image:
    """Returns an image, or an array such as `scaled` takes, as an RGB image."""
    if not isinstance(pixels, Image.Image):
        grey = pixels.ndim == 3 and pixels.shape[-1] == 1
        pixels = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels))
    return pixels.convert("RGB")
