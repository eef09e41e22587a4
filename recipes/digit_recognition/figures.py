"""Figures of digit recognition: mistakes, filters, feature maps, networks by cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.recipe.readme import read_results

SHOWN_MISTAKES = 40
SHOWN_MAPS = 16
LEAST_MAP = 6
NAMES = {"builtin": "the built-in digits"}


def mistakes(
    images: np.ndarray, truth: np.ndarray, chances: np.ndarray, names: Sequence[str]
) -> Figure:
    """Draws the images taken for another class, those first that it was surest of.

    Args:
        images: `(images, height, width)`.
        truth: The class of each.
        chances: The probability of each class, `(images, classes)`.
        names: The classes.
    """
    found = chances.argmax(axis=1)
    wrong = np.flatnonzero(found != truth)
    order = wrong[np.argsort(-chances[wrong, found[wrong]])][:SHOWN_MISTAKES]
    rows = max(1, -(-len(order) // 8))
    figure = Figure(figsize=(9, 0.8 + 1.35 * rows), layout="constrained")
    figure.suptitle(
        f"{len(wrong)} of {len(truth)} test images are taken for another"
        + (": truth > answer" if len(wrong) else "")
        + (f"; the {len(order)} surest" if len(order) < len(wrong) else "")
    )
    for axis, place in _axes(figure, rows, 8, order.tolist()):
        axis.imshow(images[place], cmap="gray_r", vmin=0, vmax=255)
        title = f"{names[truth[place]]} > {names[found[place]]}  {chances[place].max():.0%}"
        axis.set_title(title, fontsize=8)
    return figure


def feature_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """Returns the convolutions of a network in their order; of an ensemble, the first member's."""
    return [x for x in _innermost(network).layers if isinstance(x, keras.layers.Conv2D)]


def _inside(network: keras.Model) -> keras.Model:
    return next((x for x in network.layers if isinstance(x, keras.Model)), network)


def _innermost(network: keras.Model) -> keras.Model:
    inner = _inside(network)
    return network if inner is network else _innermost(inner)


def filters(layer: keras.layers.Layer) -> Figure:
    """Draws the weights of the first convolution, each filter by itself."""
    kernel = np.asarray(layer.kernel)[:, :, 0, :64]
    largest = float(np.abs(kernel).max()) or 1.0
    rows = -(-kernel.shape[-1] // 8)
    figure = Figure(figsize=(7, 0.8 + 0.85 * rows), layout="constrained")
    figure.suptitle(f"Filters of {layer.name}: red adds, blue takes away")
    for axis, place in _axes(figure, rows, 8, range(kernel.shape[-1])):
        image = axis.imshow(kernel[..., place], cmap="RdBu_r", vmin=-largest, vmax=largest)
    figure.colorbar(image, ax=figure.axes, shrink=0.6, label="weight")
    return figure


def feature_maps(network: keras.Model, layers: Sequence[Any], image: np.ndarray) -> Figure:
    """Draws what the first convolution, and the last with maps of some size, make of an image.

    Args:
        network: The classifier's network, which may have a network or an ensemble inside.
        layers: Its convolutions.
        image: The image, `(height, width)`, 0 to 255.
    """
    large = [layer for layer in layers[1:] if layer.output.shape[1] >= LEAST_MAP]
    chosen = [layers[0], *large[-1:]]
    inner = _inside(network)
    before = keras.Model(network.inputs, _input_of(network, inner))
    # The members of an ensemble read what it reads.
    parts = keras.Model(_innermost(inner).inputs, [layer.output for layer in chosen])
    maps = parts(before(image[None, ..., None].astype("float32") / 255, training=False))
    maps = maps if isinstance(maps, list | tuple) else [maps]
    figure = Figure(figsize=(9, 1.6 + 2.3 * len(maps)), layout="constrained")
    figure.suptitle("A test image, and what convolutions make of it")
    grid = figure.add_gridspec(1 + 2 * len(maps), 8)
    axis = figure.add_subplot(grid[0, :])
    axis.imshow(image, cmap="gray_r", vmin=0, vmax=255)
    axis.axis("off")
    for row, (layer, values) in enumerate(zip(chosen, maps, strict=True)):
        values = np.asarray(values)[0, ..., :SHOWN_MAPS]
        for place in range(values.shape[-1]):
            axis = figure.add_subplot(grid[1 + 2 * row + place // 8, place % 8])
            axis.imshow(values[..., place], cmap="viridis")
            axis.set(xticks=[], yticks=[])
            if not place:
                axis.set_title(f"{layer.name}, {values.shape[0]}x{values.shape[1]}", fontsize=8)
    return figure


def _input_of(network: keras.Model, inner: keras.Model) -> Any:
    """Returns what a network gives the model inside it."""
    if inner is network:
        return network.inputs[0]
    place = network.layers.index(inner)
    return network.layers[place - 1].output


def measured(data: str) -> dict[str, tuple[float, float, float]]:
    """Returns error, multiplications and parameters of the networks in results.csv.

    Args:
        data: On which of the table's data.
    """
    path = Path(__file__).with_name("results.csv")
    groups: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in read_results(path) if path.exists() else ():
        if row["data"] == data:
            groups[row["configuration"]][row["metric"]].append(float(row["value"]))
    wanted = ("error", "macs", "parameters")
    return {
        name: tuple(float(np.mean(values[metric])) for metric in wanted)  # type: ignore[misc]
        for name, values in groups.items()
        if all(metric in values for metric in wanted)
    }


def comparison(
    networks: dict[str, tuple[float, float, float]],
    data: str,
    here: tuple[str, float, float] | None = None,
) -> Figure:
    """Draws networks as bubbles: accuracy against multiplications, parameters as areas.

    Args:
        networks: Error, multiplications and parameters by name.
        data: On which data they were measured, as results.csv names it.
        here: Name, error and multiplications of this run.
    """
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axis = figure.subplots()
    ordered = sorted(networks.items(), key=lambda item: item[1][1])
    for _, (error, cost, size) in ordered:
        axis.scatter(cost, 100 * (1 - error), s=size / 1000, color=BLUE, alpha=0.4)
        axis.scatter(cost, 100 * (1 - error), s=6, color=BLUE)
    if here:
        name, error, cost = here
        axis.scatter(cost, 100 * (1 - error), marker="*", s=150, color=ORANGE, label=name)
        axis.legend(loc="lower right")
    axis.set(
        xscale="log",
        xlabel="multiplications an image",
        ylabel="test accuracy, %",
        title=f"Networks on {NAMES.get(data, data)}; the area is the number of parameters",
    )
    # Written out: mathematics is switched off where figures are drawn.
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.margins(0.2)
    # Room for names above the best; there is no accuracy above 100 %.
    low, high = axis.get_ylim()
    axis.set_yticks([tick for tick in axis.get_yticks() if low <= tick <= 100])
    axis.set_ylim(low, min(high, 100.6))
    axis.grid(color=GREY, alpha=0.2)
    _name(axis, [(name, cost, 100 * (1 - error)) for name, (error, cost, _) in ordered])
    return figure


def _name(axis: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Writes each point's name within the frame where none stands yet: above, below, farther."""
    figure: Any = axis.figure
    canvas = FigureCanvasAgg(figure)
    # Where things lie is known once they were drawn.
    canvas.draw()
    top = axis.get_window_extent().y1
    taken: list[Any] = []
    for name, x, y in points:
        label = axis.annotate(name, (x, y), (4, 6), textcoords="offset points")
        for offset in (6, -14, 18, -26, 30, -38):
            label.set_position((4, offset))
            there = label.get_window_extent(canvas.get_renderer())
            if there.y1 < top and not any(there.overlaps(other) for other in taken):
                break
        taken.append(there)


def _axes(figure: Figure, rows: int, columns: int, places: Sequence[int]):
    """Yields an axis without ticks and what is to be drawn there; hides those left over."""
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axis in axes:
        axis.axis("off")
    yield from zip(axes, places, strict=False)
