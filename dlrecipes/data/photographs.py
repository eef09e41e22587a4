"""Tells photographs of things from images of characters on paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dlrecipes.errors import RecipeError

# Smaller images, such as those of street numbers, may show characters in any surroundings.
SMALLEST = 64
# The image is judged at this size.
_SIDE = 48
# Least difference from the paper, where black to white is 1, and the fraction of such pixels.
_DIFFERENCE, _FRACTION = 0.08, 0.38
# Least mean difference between neighbours, down and across together.
_DETAIL = 0.06
# Largest fraction of the variance that two levels explain: those of ink and paper explain more.
_TWO_LEVELS = 0.85
# Least standard deviation of the colours, where black to white is 1.
_COLOURS = 0.02
# Files of a folder that are judged.
_SAMPLES = 40


def is_photograph(image: Image.Image) -> bool:
    """Returns whether an image is large, in colour, and not a few strokes on a plain ground.

    The ground is a quadratic surface that is fitted to the brightness, so that paper may be lit
    unevenly.

    Args:
        image: Image of any size and mode.

    Example:

    >>> from PIL import Image
    >>> from dlrecipes.data.photographs import is_photograph
    >>> is_photograph(Image.new("RGB", (300, 300), "white"))
    False
    """
    if min(image.size) < SMALLEST or image.mode in ("1", "L", "LA", "I", "F"):
        return False
    small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, "float64") / 255
    grey = pixels.mean(axis=-1)
    colours = pixels - grey[..., None]
    if np.sqrt(colours.var(axis=(0, 1)).sum()) < _COLOURS:
        return False
    detail = sum(float(np.abs(np.diff(grey, axis=axis)).mean()) for axis in (0, 1))
    if detail < _DETAIL or _two_levels(grey) > _TWO_LEVELS:
        return False
    return float(np.mean(np.abs(grey - _ground(grey)) > _DIFFERENCE)) > _FRACTION


def _two_levels(grey: np.ndarray) -> float:
    """Returns the fraction of the variance between two groups, split where it is largest.

    Reference:
        Otsu, 1979, "A threshold selection method from gray-level histograms", equation 17,
        https://doi.org/10.1109/TSMC.1979.4310076.
    """
    values = np.sort(grey.ravel())
    count = np.arange(1, len(values))
    below = np.cumsum(values)[:-1] / count
    above = (values.sum() - count * below) / (len(values) - count)
    weights = count * (len(values) - count) / len(values) ** 2
    return float((weights * (above - below) ** 2).max() / max(values.var(), 1e-12))


def _ground(grey: np.ndarray) -> np.ndarray:
    """Returns the quadratic surface that most pixels are close to."""
    rows, columns = np.meshgrid(*2 * [np.linspace(-1, 1, _SIDE)], indexing="ij")
    x, y = columns.ravel(), rows.ravel()
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    values = grey.ravel()
    weights = np.ones_like(values)
    # Least absolute deviations by reweighting: ink has little weight.
    for _ in range(10):
        weighted = terms * weights[:, None]
        fit = np.linalg.solve(weighted.T @ terms + 1e-6 * np.eye(6), weighted.T @ values)
        weights = 1 / np.maximum(np.abs(values - terms @ fit), 0.02)
    return (terms @ fit).reshape(grey.shape)


def mostly_photographs(paths: Sequence[Path]) -> bool:
    """Returns whether most image files are photographs, judged by up to 40 of them.

    Args:
        paths: Image files; those that cannot be read do not count.
    """
    step = max(1, len(paths) // _SAMPLES)
    judged = []
    for path in paths[::step][:_SAMPLES]:
        try:
            with Image.open(path) as image:
                # JPEG is decoded at a smaller size, which is faster.
                image.draft("RGB", (4 * _SIDE, 4 * _SIDE))
                size_fits = min(image.size) >= SMALLEST
                judged.append(size_fits and is_photograph(image))
        except (OSError, ValueError, RecipeError, Image.DecompressionBombError):
            continue
    return bool(judged) and 2 * sum(judged) > len(judged)
