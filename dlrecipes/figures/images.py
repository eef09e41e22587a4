"""Figures of images: grids, sheets, and a generator's images over the epochs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from dlrecipes.figures.tiles import tiled


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
