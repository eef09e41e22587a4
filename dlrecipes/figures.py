"""Figures that several recipes share; they need no display."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

BLUE, ORANGE, GREY = "#3366aa", "#dd7722", "#888888"
FRAME_MS, LAST_FRAME_MS = 120, 2000
HAN_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "SimHei", "PingFang SC")


def save(folder: Path, name: str, content: Figure | np.ndarray) -> None:
    """Writes a figure as PNG, or images as the frames of an animated GIF, in one atomic step.

    Args:
        folder: Folder to write to.
        name: File name without extension.
        content: A figure, or frames: uint8 of shape `(frames, height, width, 1 or 3)`.
    """
    path = folder / f"{name}.{'gif' if isinstance(content, np.ndarray) else 'png'}"
    partial = path.with_name(f".{path.name}")
    if isinstance(content, np.ndarray):
        frames = [Image.fromarray(frame.squeeze()) for frame in content]
        durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
        frames[0].save(
            partial,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=durations,
            loop=0,
        )
    else:
        content.savefig(partial, format="png", dpi=120)
    partial.replace(path)


def learning_curves(history: Sequence[Mapping[str, float]], best: int) -> Figure:
    """Plots every logged metric over the epochs, with training and validation in one panel.

    Args:
        history: Logged metrics of each epoch.
        best: The epoch that was kept, counted from 1.
    """
    names = [n for n in history[0] if not n.startswith("val_")]
    names += [n[4:] for n in history[0] if n.startswith("val_") and n[4:] not in names]
    columns = 2 if len(names) in (2, 4) else min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows), layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    epochs = range(1, len(history) + 1)
    for axis, name in zip(axes, names, strict=False):
        for key, label, colour in ((name, "training", BLUE), (f"val_{name}", "validation", ORANGE)):
            if key in history[0]:
                axis.plot(epochs, [logs[key] for logs in history], ".-", color=colour, label=label)
        axis.axvline(best, color=GREY, linestyle=":", label=f"kept: epoch {best}")
        axis.set(title=name.replace("_", " "), xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(fontsize=8)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    return figure


def bars(values: Mapping[str, float], title: str, notes: Mapping[str, str] | None = None) -> Figure:
    """Plots one horizontal bar per name, with the lowest value at the bottom.

    Args:
        values: Fractions between 0 and 1, by name.
        title: Title of the figure.
        notes: Text to write after a bar, by name. Defaults to none.
    """
    names = sorted(values, key=lambda name: values[name])
    figure = Figure(figsize=(7, 1.2 + 0.28 * len(names)), layout="constrained")
    axis = figure.subplots()
    axis.barh(names, [values[n] for n in names], color=BLUE)
    for row, name in enumerate(names):
        text = f" {values[name]:.3f}" + (f"  {notes[name]}" if notes and name in notes else "")
        axis.text(values[name], row, text, va="center", fontsize=8)
    axis.set(title=title, xlim=(0, 1.2), xticks=np.linspace(0, 1, 6))
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def confusion(counts: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Plots a confusion matrix; each row is a true class, shaded by its fraction per prediction.

    Args:
        counts: Integer matrix of shape `(classes, classes)`, indexed `[truth, prediction]`.
        names: Names of the classes.
        title: Title of the figure.
    """
    size = 2.5 + 0.42 * len(names)
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axis = figure.subplots()
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axis.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axis, shrink=0.7, label="fraction of the row")
    axis.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set(title=title, xlabel="prediction", ylabel="truth")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if fractions[row, column] > 0.5 else "black"
        axis.text(
            column, row, counts[row, column], ha="center", va="center", fontsize=7, color=colour
        )
    return figure


def text_font(text: str) -> dict[str, Any]:
    """Returns matplotlib's keyword arguments for a font that has the characters of a text.

    Chinese needs a font with Han characters. If none is installed, the figure shows boxes; the
    caller checks with `has_font` and reports it.

    Args:
        text: The text to show.
    """
    if has_font(text) and not text.isascii():
        return {"family": _han_font() or "sans-serif"}
    return {}


def has_font(text: str) -> bool:
    """Returns whether an installed font has all characters of a text.

    Args:
        text: The text to show.
    """
    return not any("\u3000" <= c <= "\u9fff" for c in text) or _han_font() is not None


@functools.lru_cache(maxsize=1)
def _han_font() -> str | None:
    name = _known_han_font()
    if name is None:
        # matplotlib caches the list of fonts that were installed when it was first used.
        known = {font.fname for font in font_manager.fontManager.ttflist}
        for path in set(font_manager.findSystemFonts()) - known:
            with contextlib.suppress(OSError, RuntimeError):  # The file is not a font.
                font_manager.fontManager.addfont(path)
        name = _known_han_font()
    return name


def _known_han_font() -> str | None:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in HAN_FONTS if name in installed), None)


def tiled(images: np.ndarray, gap: int = 2) -> np.ndarray:
    """Returns images side by side on white, in about as many rows as columns.

    Args:
        images: uint8 of shape `(count, height, width, channels)`.
        gap: Pixels between images. Defaults to 2.

    Returns:
        uint8 of shape `(height, width, channels)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import tiled
    >>> tiled(np.zeros((4, 8, 8, 1), "uint8")).shape
    (22, 22, 1)
    """
    count, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    sheet = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, "uint8"
    )
    for number, image in enumerate(images):
        top = gap + number // columns * (height + gap)
        left = gap + number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
