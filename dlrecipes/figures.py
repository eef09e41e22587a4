"""Figures that several recipes share; they need no display."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Mapping, Sequence
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


def image_grid(
    images: Sequence[np.ndarray] | np.ndarray,
    columns: int,
    titles: Sequence[str] = (),
    title: str = "",
    inches: float = 1.75,
) -> Figure:
    """Draws images in rows.

    Args:
        images: Images row by row: uint8 of shape `(height, width)` or `(height, width, channels)`
            with 1 or 3 channels, or floats from 0 to 1 with 3 or 4 channels.
        columns: Number of images per row; the last row may have fewer.
        titles: Titles of the first images. Defaults to none.
        title: Title of the figure. Defaults to none.
        inches: Width and height of an image in inches. Defaults to 1.75.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import image_grid
    >>> figure = image_grid(np.zeros((5, 8, 8, 1), "uint8"), columns=3, titles=["a", "b", "c"])
    >>> len(figure.axes)
    6
    """
    rows = -(-len(images) // columns)
    size = (inches * columns, inches * rows + 0.4 * (1 + bool(title)))
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image in zip(axes, images, strict=False):
        pixels = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
        axis.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    for axis, text in zip(axes, titles, strict=False):
        axis.set_title(text)
    return figure


def select_epochs(epochs: Iterable[int], count: int = 6) -> list[int]:
    """Returns some epochs to show in a figure, closer together at the beginning.

    Args:
        epochs: Epochs to choose from, such as a recipe's `snapshots`.
        count: Largest number of epochs. Defaults to 6.

    Returns:
        At most `count` epochs in ascending order, the first and the last among them.

    Example:

    >>> from dlrecipes.figures import select_epochs
    >>> select_epochs(range(1, 33))
    [1, 2, 4, 8, 16, 32]
    """
    ordered = sorted(epochs)
    places = np.geomspace(1, len(ordered), min(count, len(ordered))).round().astype(int)
    return [ordered[place - 1] for place in np.unique(places)]


def over_epochs(snapshots: Mapping[int, np.ndarray]) -> Figure:
    """Draws the images that a generator made of the same noise after several epochs.

    Args:
        snapshots: Images by epoch, uint8 of shape `(count, height, width, channels)`.
    """
    epochs = select_epochs(snapshots)
    sheets = [tiled(snapshots[epoch]) for epoch in epochs]
    titles = [f"epoch {epoch}" for epoch in epochs]
    return image_grid(sheets, min(3, len(epochs)), titles, inches=3.5)


def epoch_frames(snapshots: Mapping[int, np.ndarray], count: int = 60) -> np.ndarray:
    """Returns the images of evenly spaced epochs as the frames of an animated GIF.

    Args:
        snapshots: Images by epoch, uint8 of shape `(count, height, width, channels)`.
        count: Largest number of frames. Defaults to 60.

    Returns:
        uint8 of shape `(frames, height, width, channels)`, as `save` takes it.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import epoch_frames
    >>> epoch_frames({1: np.zeros((4, 8, 8, 1), "uint8")}).shape
    (1, 22, 22, 1)
    """
    ordered = sorted(snapshots)
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return np.stack([tiled(snapshots[ordered[place]]) for place in np.unique(places)])


def roc_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str) -> Figure:
    """Plots receiver operating characteristics with a logarithmic false accept rate.

    Args:
        curves: False and true accept rates, each of shape `(points,)`, by label; at most three.
        title: Title of the figure.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import roc_curves
    >>> rates = np.array([0.0, 0.1, 1.0]), np.array([0.0, 0.8, 1.0])
    >>> figure = roc_curves({"pixels": rates}, "Verification")
    """
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axis = figure.subplots()
    for (label, rates), colour in zip(curves.items(), (BLUE, ORANGE, GREY), strict=False):
        axis.plot(*rates, color=colour, label=label)
    axis.set(title=title, xlabel="false accept rate", ylabel="true accept rate", xscale="log")
    smallest = min(far[far > 0].min() for far, _ in curves.values())
    axis.set(xlim=(smallest, 1), ylim=(0, 1.01))
    # The runner switches mathematical text off, which the default formatter needs.
    axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axis.legend(loc="lower right", fontsize=8)
    axis.grid(color=GREY, alpha=0.2)
    return figure
