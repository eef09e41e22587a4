"""Figures of the autoencoder: codes, restored images, filters, samples and errors."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from dlrecipes.data.digits import LabelledImages
from dlrecipes.figures import (
    BLUE,
    GREY,
    ORANGE,
    confusion,
    distinct_colours,
    legend_below,
    mistakes,
    tiled,
)
from dlrecipes.metrics import confusion_matrix, receiver_operating_characteristic
from dlrecipes.recipe import Splits
from dlrecipes.recipe.readme import mean_results

from . import networks, scores
from .config import SIDES, Config
from .pretraining import GIBBS_STEPS

# Points of the plane; images of the rows of restored ones; rows and columns of interpolations.
POINTS, RESTORED, PAIRS, STEPS = 2000, 12, 6, 11
# Training images that the axes of the plane are fitted to.
FITTED = 10_000
# Classes with a colour of their own; the unusual images; the longest code of the curve of PCA.
COLOURS, UNUSUAL, LONGEST = 20, 12, 100
# Width of an image, and the least width of rows of images, in inches.
INCHES, LEAST_WIDTH = 0.62, 3.6
# Characters of a title per inch.
CHARACTERS = 10


class Results(NamedTuple):
    """A trained model with what its figures share.

    Args:
        config: The settings.
        model: The trained model.
        splits: The data.
        pca: PCA with as many components as the code has numbers; `None` for a DBN.
        described: Codes and restored images of the test part.
    """

    config: Config
    model: Any
    splits: Splits
    pca: Any
    described: scores.Described

    @property
    def inputs(self) -> np.ndarray:
        """The test images, with noise if the network removes it."""
        images = self.splits.test.images
        return scores.noisy(images, self.config) if self.config.noise else images


def figures(
    recipe: Any, model: Any, splits: Splits, probabilities: np.ndarray | None
) -> Iterator[tuple[str, Figure]]:
    """Yields all figures that the network and the data allow.

    Args:
        recipe: The recipe, with its settings and snapshots.
        model: The trained model.
        splits: The data.
        probabilities: Probabilities of the classes of the test images, for a DBN.
    """
    config, test = recipe.config, splits.test
    pca = None if config.network == "dbn" else recipe.pca(splits.train)
    results = Results(config, model, splits, pca, scores.describe(model, test.images))
    yield "restored", restored(results)
    yield "plane", plane(results)
    yield "interpolations", interpolations(results)
    yield "unusual", unusual(results)
    if pca is not None:
        yield "error_by_code_size", error_by_code_size(results)
    if recipe.snapshots.get(0) is not None:
        yield "machines", boltzmann_machines(recipe.snapshots[0])
    if not np.isin(test.labels, np.unique(splits.train.labels)).all():
        yield "anomalies", anomalies(results)
    if probabilities is not None:
        counts = confusion_matrix(test.labels, probabilities.argmax(axis=1), len(test.names))
        yield "confusion", confusion(counts, test.names, "Classes, test")
        yield "mistakes", mistakes(test.images, test.labels, probabilities, test.names)


def restored(results: Results) -> Figure:
    """Draws test images, and below them what their codes restore, by the network and by PCA."""
    test = results.splits.test
    rows = _spread(test, RESTORED)
    inputs = results.inputs[rows]
    images = [("image", test.images[rows])]
    if results.config.noise:
        images.append(("with noise", inputs))
    described = scores.describe(results.model, inputs)
    numbers = described.codes.shape[1]
    if results.config.network == "pca":
        images.append(("PCA", described.restored))
        return _image_rows(images, f"Restored from {numbers} numbers")
    images.append((results.config.network, described.restored))
    if results.pca is not None:
        images.append(("PCA", scores.describe_by_pca(results.pca, inputs).restored))
    return _image_rows(images, f"Test images, restored from {numbers} numbers")


def _spread(examples: LabelledImages, count: int) -> np.ndarray:
    """Returns rows of images of all classes in turn, or evenly spaced ones without classes."""
    rows_of = [np.flatnonzero(examples.labels == k) for k in np.unique(examples.labels)]
    if len(rows_of) == 1:
        return np.linspace(0, len(examples) - 1, min(count, len(examples))).astype(int)
    turns = range(max(map(len, rows_of)))
    return np.array([rows[k] for k in turns for rows in rows_of if k < len(rows)][:count])


def _image_rows(rows: Sequence[tuple[str, np.ndarray]], title: str) -> Figure:
    """Draws rows of images with a label each; uint8, or floats that are clipped to 0 to 1."""
    labels, images_of = zip(*rows, strict=True)
    count, height, width = images_of[0].shape[:3]
    gap = max(1, width // 14)
    strips = []
    for images in images_of:
        pixels = images / 255 if images.dtype == np.uint8 else images
        framed = np.pad(
            np.clip(pixels, 0, 1), [(0, 0), (gap, 0), (gap, 0), (0, 0)], constant_values=1
        )
        strips.append(np.concatenate(list(framed), axis=1))
    sheet = np.concatenate(strips)
    inches = max(LEAST_WIDTH, INCHES * count + 1.2)
    lines = textwrap.wrap(title, int(CHARACTERS * inches))
    size = (inches, INCHES * len(rows) * height / width + 0.5 + 0.2 * len(lines))
    figure = Figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    axis.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=1)
    centres = gap + height / 2 + (height + gap) * np.arange(len(rows))
    axis.set(xticks=[], yticks=centres, yticklabels=labels)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    figure.suptitle("\n".join(lines))
    return figure


def plane(results: Results) -> Figure:
    """Draws test images as points: by PCA of the pixels, and by the two numbers of their codes.

    Codes of more numbers are projected onto their first two principal components.
    """
    test, codes = results.splits.test, results.described.codes
    rows = _spread(test, POINTS)
    # Both projections are fitted to the same images: those of PCA's own codes agree.
    known = results.splits.train.images[_spread(results.splits.train, FITTED)]
    by_pixels = PCA(2, random_state=results.config.seed).fit(networks.flattened(known))
    points = by_pixels.transform(networks.flattened(test.images[rows]))
    sides = {"pixels, first two components of PCA": points}
    name = results.config.network
    if codes.shape[1] == 2:
        sides[f"{name}, two numbers"] = codes[rows]
    elif codes.shape[1] > 2:
        by_codes = PCA(2, random_state=results.config.seed)
        by_codes.fit(scores.describe(results.model, known).codes)
        sides[f"{name}, first two components of {codes.shape[1]} numbers"] = by_codes.transform(
            codes[rows]
        )
    figure = Figure(figsize=(5 * len(sides), 5.2), layout="constrained")
    for axis, (title, points) in zip(
        figure.subplots(1, len(sides), squeeze=False)[0], sides.items(), strict=True
    ):
        _scatter(axis, points, test[rows])
        axis.set(title=title, xticks=[], yticks=[])
    if len(np.unique(test.labels)) > 1:
        legend_below(figure, 10, marker_scale=2.0)
    return figure


def _scatter(axis: Axes, points: np.ndarray, examples: LabelledImages) -> None:
    classes, counts = np.unique(examples.labels, return_counts=True)
    shown = np.sort(classes[np.argsort(-counts, kind="stable")][:COLOURS])
    others = ~np.isin(examples.labels, shown)
    if others.any():
        axis.scatter(
            points[others, 0], points[others, 1], s=8, color=GREY, alpha=0.5, label="others"
        )
    for label, colour in zip(shown, distinct_colours(len(shown)), strict=True):
        own = examples.labels == label
        axis.scatter(points[own, 0], points[own, 1], s=8, color=colour, label=examples.names[label])


def interpolations(results: Results) -> Figure:
    """Draws images between pairs of test images: straight lines between their codes."""
    test = results.splits.test
    rows = _spread(test, 2 * PAIRS)
    first, second = rows[0::2][: len(rows) // 2], rows[1::2]
    lines = []
    steps = np.linspace(0, 1, STEPS)[:, None].astype("float32")
    for number, (start, end) in enumerate(zip(first, second, strict=True), 1):
        codes = results.described.codes[[start, end]]
        between = (1 - steps) * codes[:1] + steps * codes[1:]
        images = networks.decode(results.model, tf.constant(between)).numpy()
        lines.append((f"pair {number}", images))
    return _image_rows(lines, "From one test image to another, along a line between their codes")


def unusual(results: Results) -> Figure:
    """Draws the test images with the largest and the smallest errors, and what is restored."""
    test = results.splits.test
    errors = results.described.errors(test.images)
    order = np.argsort(-errors, kind="stable")
    count = min(UNUSUAL, len(order) // 2 or 1)
    rows: list[tuple[str, np.ndarray]] = []
    for name, chosen in (("most", order[:count]), ("least", order[-count:])):
        rows.append((f"{name} unusual", test.images[chosen]))
        rows.append(("restored", results.described.restored[chosen]))
    low, high = errors[order[-1]], errors[order[0]]
    return _image_rows(
        rows, f"Largest and smallest squared errors of test images, {high:.1f} to {low:.1f}"
    )


def error_by_code_size(results: Results) -> Figure:
    """Plots the squared error of test images by code size: PCA, and measured networks.

    Images of a class that the training images lack do not count, as in the metrics.
    """
    train, test = results.splits.train, results.splits.test
    known = _known(results)
    longest = min(
        max(LONGEST, results.config.code),
        len(train),
        networks.flattened(test.images[:1]).size,
    )
    pca = networks.fit_pca(train, longest, results.config.seed)
    pixels = networks.flattened(test.images[known]) - pca.mean_
    explained = np.square(pixels @ pca.components_.T).mean(axis=0)
    errors = np.square(pixels).sum(axis=1).mean() - np.cumsum(explained)
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axis = figure.subplots()
    axis.plot(range(1, longest + 1), np.maximum(errors, 0), color=GREY, label="PCA")
    axis.set(xscale="log", xlabel="numbers per image", ylabel="squared error per test image")
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100) if tick <= longest]
    axis.set(xticks=ticks, xticklabels=ticks)
    axis.minorticks_off()
    measured = {k: v for k, v in _measured(results.config).items() if v[1] <= longest}
    for (name, (error, size)), colour in zip(
        measured.items(), distinct_colours(len(measured)), strict=True
    ):
        # Above the star, which may be the same network.
        axis.plot(size, error, "o", color=colour, label=f"measured: {name}", zorder=4)
    if results.config.network != "pca":
        own = results.described.errors(test.images)[known].mean()
        label = f"this run, {results.config.network}"
        axis.plot(results.config.code, own, "*", markersize=14, color=ORANGE, label=label)
    # Last: the limits hold all points.
    axis.set_ylim(bottom=0)
    axis.grid(color=GREY, alpha=0.2)
    legend_below(figure, 2)
    return figure


def _known(results: Results) -> np.ndarray:
    """Returns which test images are of a class of the training images."""
    return np.isin(results.splits.test.labels, np.unique(results.splits.train.labels))


def _measured(config: Config) -> dict[str, tuple[float, ...]]:
    """Returns error and code size of the networks in results.csv on the same images."""
    is_builtin = config.data == "builtin"
    # Larger images have larger errors.
    is_resized = config.side != (SIDES["digits"] if is_builtin else 0)
    if config.leave_out or is_resized or (is_builtin and config.subject != "digits"):
        return {}
    data = config.data if is_builtin else Path(config.data).name
    path = Path(__file__).with_name("results.csv")
    measured = mean_results(path, data, ("squared_error", "code_units"))
    # Those that left out a class have the error of the others.
    others = mean_results(path, data, ("anomaly_auc",))
    return {name: point for name, point in measured.items() if name not in others}


def boltzmann_machines(sheets: np.ndarray) -> Figure:
    """Draws filters of the lowest Boltzmann machine, and samples of the stack.

    Args:
        sheets: Both as images, uint8 of shape `(2, count, height, width, channels)`.
    """
    figure = Figure(figsize=(9.5, 5.1), layout="constrained")
    after = ", ".join(map(str, GIBBS_STEPS))
    titles = (
        "Filters of the lowest Boltzmann machine",
        f"Gibbs chains; rows: after {after} steps",
    )
    for axis, images, title in zip(figure.subplots(1, 2), sheets, titles, strict=True):
        axis.imshow(tiled(images).squeeze(), cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=11)
        axis.axis("off")
    return figure


def anomalies(results: Results) -> Figure:
    """Plots how well the error reveals the class that was left out, compared with PCA."""
    test = results.splits.test
    is_normal = _known(results)
    described: dict[str, scores.Described] = {results.config.network: results.described}
    if results.pca is not None and results.config.network != "pca":
        described["PCA"] = scores.describe_by_pca(results.pca, test.images)
    figure = Figure(figsize=(6.2, 5), layout="constrained")
    axis = figure.subplots()
    for (name, own), colour in zip(described.items(), (BLUE, ORANGE), strict=False):
        roc = receiver_operating_characteristic(own.errors(test.images), is_normal)
        # A small error accepts an image as a usual one.
        found, false = 1 - roc.false_accepts, 1 - roc.true_accepts
        axis.plot(100 * false, 100 * found, color=colour, label=f"{name}: AUC {roc.auc:.3f}")
    axis.plot([0, 100], [0, 100], color=GREY, linestyle=":", label="chance")
    axis.set(xlabel="other test images taken for unusual, %", ylabel="left-out class found, %")
    axis.set_title(f"Class {results.config.leave_out}, left out of training, found by its error")
    axis.grid(color=GREY, alpha=0.2)
    legend_below(figure, 3)
    return figure
