"""Axes for images: grids without ticks, grey and colour images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure


def image_axes(
    figure: Figure | SubFigure, rows: int, columns: int, items: Sequence[Any]
) -> Iterator[tuple[Axes, Any]]:
    """Yields each item with an axis of its own, without ticks; unused axes stay empty."""
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axis in axes:
        axis.axis("off")
    yield from zip(axes, items, strict=False)


def show(axis: Axes, image: np.ndarray, cmap: str) -> None:
    """Shows an image: uint8, or floating-point numbers from 0 to 1.

    Args:
        axis: Axis to draw on.
        image: Array of shape `(height, width)` or `(height, width, 1 or 3)`.
        cmap: Colour map of a grey image.
    """
    white = 255 if image.dtype == np.uint8 else 1
    grey = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    axis.imshow(grey if grey.ndim == 2 else grey.clip(0, white), cmap=cmap, vmin=0, vmax=white)
