"""Charts of any task, and figures as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import Normalize, hsv_to_rgb, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from dlrecipes._utils.wording import counted
from dlrecipes.figures._labels import shortened, text_width
from dlrecipes.figures.fonts import fit_fonts

BLUE, ORANGE, GREY = "#3366aa", "#dd7722", "#888888"
_COLOURS = (BLUE, ORANGE, "#339955", "#aa3366", GREY, "#22aabb", "#bb9900", "#775599")
# Classes of a confusion matrix, in which all labels and numbers can be read.
MAX_CLASSES = 40
FRAME_MS, LAST_FRAME_MS = 120, 2000
# Animations that are narrower are enlarged to about this width, in pixels.
ANIMATION_WIDTH = 640


def save(folder: Path, name: str, content: Figure | np.ndarray) -> None:
    """Writes a figure as PNG, or images as the frames of an animated GIF, in one atomic step.

    Texts get fonts that have their characters (`fit_fonts`).

    Args:
        folder: Folder to write to.
        name: File name without extension.
        content: A figure, or frames: uint8 of shape `(frames, height, width, 1 or 3)`.
    """
    path = folder / f"{name}.{'gif' if isinstance(content, np.ndarray) else 'png'}"
    partial = path.with_name(f".{path.name}")
    if isinstance(content, np.ndarray):
        # Small images are enlarged by whole pixels, as viewers show an animation at its size.
        images = [Image.fromarray(frame.squeeze()) for frame in content]
        scale = max(1, ANIMATION_WIDTH // images[0].width)
        size = (scale * images[0].width, scale * images[0].height)
        frames = [image.resize(size, Image.Resampling.NEAREST) for image in images]
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
        fit_fonts(content)
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
    # A single epoch has a point and no line.
    style = ".-" if len(history) > 1 else "o"
    for axis, name in zip(axes, names, strict=False):
        for key, label, colour in ((name, "training", BLUE), (f"val_{name}", "validation", ORANGE)):
            if key in history[0]:
                axis.plot(epochs, [logs[key] for logs in history], style, color=colour, label=label)
        # The legend has the curves first, whichever panel has them.
        label = f"kept: epoch {best}" if name == names[-1] else "_"
        axis.axvline(best, color=GREY, linestyle=":", label=label)
        axis.set(title=name.replace("_", " "), xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(history) == 1:
            axis.set(xlim=(0, 2), xticks=[1])
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    legend_below(figure, 3)
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


def confusion(
    counts: np.ndarray, names: Sequence[str], title: str, most: int = MAX_CLASSES
) -> Figure:
    """Plots a confusion matrix; each row is a true class, shaded by its fraction per prediction.

    If there are too many classes, those that are confused most often are drawn, as the title says,
    and the others share the last row and column.

    Args:
        counts: Integer matrix of shape `(classes, classes)`, indexed `[truth, prediction]`.
        names: Names of the classes; long ones are shortened.
        title: Title of the figure.
        most: Maximum number of classes. Defaults to 40.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import confusion
    >>> counts = np.array([[9, 0, 0, 0], [0, 5, 4, 0], [0, 3, 6, 0], [0, 0, 0, 9]])
    >>> figure = confusion(counts, ["owl", "cat", "dog", "cow"], "Animals", most=2)
    >>> figure.get_suptitle(), [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ('Animals: the 2 most confused of 4', ['cat', 'dog', '(2 others)'])
    """
    if len(names) > most:
        title += f": the {most} most confused of {len(names):,}"
        counts, names = _most_confused(counts, names, most)
    classes = len(names)
    texts = [[_compact(count) for count in row] for row in counts.tolist()]
    letters = max((len(text) for row in texts for text in row), default=1)
    cell = max(0.36, 0.1 + 0.085 * letters)
    labels = [shortened(name, 24) for name in names]
    margin = 1.2 + 0.075 * max(map(text_width, labels), default=0)
    # Room for the title.
    side = max(cell * classes, 1.6, 0.075 * len(title) - margin)
    figure = Figure(figsize=(side + margin + 1.1, side + margin), layout="constrained")
    axis = figure.subplots()
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axis.imshow(fractions, cmap="Blues", norm=Normalize(0, 1))
    figure.colorbar(image, ax=axis, shrink=0.7, label="fraction of the row")
    axis.set_xticks(range(classes), labels, rotation=90, fontsize=8)
    axis.set_yticks(range(classes), labels, fontsize=8)
    figure.suptitle(title)
    axis.set(xlabel="prediction", ylabel="truth")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if fractions[row, column] > 0.5 else "black"
        text = texts[row][column]
        axis.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    return figure


def _compact(count: int) -> str:
    """Returns a count of at most four letters below ten million."""
    for unit, letter in ((1_000_000, "M"), (1000, "k")):
        if count >= 10 * unit:
            return f"{count / unit:.0f}{letter}"
    return str(count)


def _most_confused(
    counts: np.ndarray, names: Sequence[str], most: int
) -> tuple[np.ndarray, list[str]]:
    """Returns the matrix of the classes with the most mistakes, and of all others together."""
    right, used = np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1)
    # Frequent classes come first among those that are confused equally often.
    order = np.lexsort((-used, 2 * right - used))
    chosen = np.sort(order[:most])
    groups = np.full(len(names), most)
    groups[chosen] = range(most)
    grouped = np.zeros((most + 1, most + 1), int)
    np.add.at(grouped, (groups[:, None], groups[None]), counts)
    return grouped, [*(names[k] for k in chosen), f"({counted(len(names) - most, 'other')})"]


def roc_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str) -> Figure:
    """Plots receiver operating characteristics with a logarithmic false accept rate.

    Args:
        curves: False and true accept rates, each of shape `(points,)`, by label.
        title: Title of the figure.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import roc_curves
    >>> rates = np.array([0.0, 0.1, 1.0]), np.array([0.0, 0.8, 1.0])
    >>> figure = roc_curves({"pixels": rates}, "Verification")
    """
    figure = Figure(figsize=(6.5, 5 + 0.22 * len(curves)), layout="constrained")
    axis = figure.subplots()
    for (label, rates), colour in zip(curves.items(), distinct_colours(len(curves)), strict=True):
        axis.plot(*rates, color=colour, label=label)
    axis.set(title=title, xlabel="false accept rate", ylabel="true accept rate", xscale="log")
    smallest = min(far[far > 0].min() for far, _ in curves.values())
    axis.set(xlim=(smallest, 1), ylim=(0, 1.01))
    # The runner switches mathematical text off, which the default formatter needs.
    axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    legend_below(figure)
    axis.grid(color=GREY, alpha=0.2)
    return figure


def legend_below(figure: Figure, columns: int = 1, marker_scale: float = 1.0) -> None:
    """Adds a legend of all lines and bars below the axes, where it covers none of them.

    Args:
        figure: Figure with the layout `"constrained"`. A label that several axes have is listed
            once.
        columns: Number of columns. Defaults to 1.
        marker_scale: Size of the markers as a multiple of that in the axes. Defaults to 1.0.
    """
    entries: dict[str, Any] = {}
    for axis in figure.axes:
        handles, labels = axis.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=9,
        markerscale=marker_scale,
    )


def distinct_colours(count: int) -> list[str]:
    """Returns as many different colours, the most common ones first.

    Args:
        count: Number of colours.

    Example:

    >>> from dlrecipes.figures import distinct_colours
    >>> len(set(distinct_colours(100)))
    100
    """
    if count <= len(_COLOURS):
        return list(_COLOURS[:count])
    # Neighbours on the wheel differ in brightness.
    shades = ((0.95, 0.60), (0.55, 0.95), (1.0, 0.85), (0.45, 0.55))
    wheel = [(hue / count, *shades[hue % len(shades)]) for hue in range(count)]
    return [to_hex(tuple(hsv_to_rgb(colour).tolist())) for colour in wheel]
