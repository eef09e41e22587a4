"""Figures of pix2pix: sheets of translated images, over epochs, and the discriminator's view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

SHEET, JUDGED = 12, 4
# Number of epochs shown in one figure, closer together at the beginning.
EPOCHS = 6


def sheet(inputs: np.ndarray, drawn: np.ndarray, targets: np.ndarray) -> Figure:
    """Draws test images: what is read, what is drawn of it, and the truth."""
    columns = 2 if len(inputs) > 4 else 1
    rows = -(-len(inputs) // columns)
    figure = Figure(figsize=(5.4 * columns, 1.75 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, 3 * columns, squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    for number, trio in enumerate(zip(inputs, drawn, targets, strict=True)):
        row, column = number // columns, 3 * (number % columns)
        for place, image in enumerate(trio):
            axes[row, column + place].imshow(image)
            if not row:
                axes[row, column + place].set_title(("input", "drawn", "truth")[place])
    return figure


def over_epochs(
    inputs: np.ndarray, targets: np.ndarray, snapshots: Mapping[int, np.ndarray]
) -> Figure:
    """Draws what became of some validation images after some epochs."""
    known = sorted(snapshots)
    places = np.unique(np.geomspace(1, len(known), min(EPOCHS, len(known))).round().astype(int))
    chosen = [known[place - 1] for place in places]
    figure = Figure(
        figsize=(1.75 * (len(chosen) + 2), 1.75 * len(inputs) + 0.4), layout="constrained"
    )
    axes = figure.subplots(len(inputs), len(chosen) + 2, squeeze=False)
    titles = ["input", *(f"epoch {epoch}" for epoch in chosen), "truth"]
    for row in range(len(inputs)):
        shown = [inputs[row], *(snapshots[epoch][row] for epoch in chosen), targets[row]]
        for axis, image, title in zip(axes[row], shown, titles, strict=True):
            axis.imshow(image)
            axis.axis("off")
            if not row:
                axis.set_title(title)
    return figure


def patches(
    inputs: np.ndarray, targets: np.ndarray, drawn: np.ndarray, judged: Sequence[np.ndarray]
) -> Figure:
    """Draws how real the discriminator takes each patch for, of the truth and of what is drawn.

    Args:
        inputs: What is read.
        targets: The truth.
        drawn: What is drawn.
        judged: Probabilities of each patch, `(count, rows, columns, 1)`, of truth and drawn.
    """
    count = len(judged[0])
    figure = Figure(figsize=(9.5, 1.8 * count + 0.5), layout="constrained")
    axes = figure.subplots(count, 5, squeeze=False)
    titles = ("input", "truth", "taken for real", "drawn", "taken for real")
    for row in range(count):
        shown = (inputs[row], targets[row], judged[0][row], drawn[row], judged[1][row])
        for axis, image, title in zip(axes[row], shown, titles, strict=True):
            if image.shape[-1] == 1:
                last = axis.imshow(image[..., 0], cmap="RdYlGn", vmin=0, vmax=1)
            else:
                axis.imshow(image)
            axis.axis("off")
            if not row:
                axis.set_title(title)
    figure.colorbar(last, ax=axes, shrink=0.5, label="probability that a patch is real")
    return figure
