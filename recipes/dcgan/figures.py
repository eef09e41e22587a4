"""Figures of DCGAN: sheets of images, over epochs, next to their nearest training images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from dlrecipes.figures import tiled
from dlrecipes.metrics.verification import squared_distances

SHEET, COMPARED, STEPS = 64, 6, 8
# Number of epochs shown in one figure, closer together at the beginning.
EPOCHS = 6
FRAMES = 60


def sheet(images: np.ndarray) -> Figure:
    """Draws many images as one."""
    figure = Figure(figsize=(7, 7.3), layout="constrained")
    axis = figure.subplots()
    _show(axis, tiled(images))
    axis.set_title(f"{len(images)} images of noise")
    return figure


def over_epochs(snapshots: Mapping[int, np.ndarray]) -> Figure:
    """Draws images of the same noise after some epochs."""
    known = sorted(snapshots)
    places = np.unique(np.geomspace(1, len(known), min(EPOCHS, len(known))).round().astype(int))
    chosen = [known[place - 1] for place in places]
    columns = min(3, len(chosen))
    rows_ = -(-len(chosen) // columns)
    figure = Figure(figsize=(3.4 * columns, 3.7 * rows_), layout="constrained")
    axes = np.ravel(figure.subplots(rows_, columns, squeeze=False))
    for axis in axes:
        axis.axis("off")
    for axis, epoch in zip(axes, chosen, strict=False):
        _show(axis, tiled(snapshots[epoch]))
        axis.set_title(f"epoch {epoch}")
    return figure


def frames(snapshots: Mapping[int, np.ndarray]) -> np.ndarray:
    """Returns images of the same noise epoch after epoch, as frames of a GIF."""
    known = sorted(snapshots)
    places = np.unique(np.linspace(0, len(known) - 1, min(FRAMES, len(known))).round().astype(int))
    return np.stack([tiled(snapshots[known[place]]) for place in places])


def rows(images: np.ndarray, title: str) -> Figure:
    """Draws rows of images, `(rows, columns, height, width, channels)`."""
    count, across = images.shape[:2]
    figure = Figure(figsize=(1.1 * across, 1.15 * count + 0.4), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(count, across, squeeze=False)
    for axis, image in zip(axes.ravel(), images.reshape(-1, *images.shape[2:]), strict=True):
        _show(axis, image)
    return figure


def nearest(made: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Returns each made image and the training images that are nearest by their pixels."""
    flat = [part.reshape(len(part), -1).astype("float32") for part in (made, training)]
    order = np.argsort(squared_distances(*flat), axis=1)[:, : STEPS - 1]
    return np.concatenate([made[:, None], training[order]], axis=1)


def _show(axis, image: np.ndarray) -> None:
    axis.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
    axis.axis("off")
