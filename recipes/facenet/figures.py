"""Figures of FaceNet: ROC, distances, neighbours and a map of the test people."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from dlrecipes.data.faces import FaceImages
from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.metrics.verification import ReceiverOperatingCharacteristic, squared_distances

from .scores import compared as all_pairs

SHOWN_IN_MATRIX = 30
SHOWN_IN_MAP = 120
SHOWN_NEIGHBOURS, NEIGHBOURS = 8, 7


def roc(curves: Mapping[str, ReceiverOperatingCharacteristic]) -> Figure:
    """Draws the ROC of each way to compare images; FAR is logarithmic."""
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axis = figure.subplots()
    for (name, curve), colour in zip(curves.items(), (BLUE, ORANGE, GREY), strict=False):
        label = f"{name}: EER {curve.equal_error_rate:.1%}, AUC {curve.auc:.3f}"
        axis.plot(curve.false_accepts, curve.true_accepts, color=colour, label=label)
    least = min(curve.false_accepts[curve.false_accepts > 0].min() for curve in curves.values())
    axis.set(
        title="Verification of people whom training has not seen",
        xlabel="false accepts (pairs of two people)",
        ylabel="true accepts (pairs of one person)",
        xscale="log",
        xlim=(least, 1),
        ylim=(0, 1.01),
    )
    # Written out: mathematics is switched off where figures are drawn.
    axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axis.legend(loc="lower right", fontsize=8)
    axis.grid(color=GREY, alpha=0.2)
    return figure


def distances(embeddings: np.ndarray, labels: np.ndarray, threshold: float) -> Figure:
    """Draws how far images of one person, and of two, are from one another."""
    found, same = all_pairs(embeddings, labels)
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axis = figure.subplots()
    bins = np.linspace(0, float(found.max()), 60).tolist()
    for kind, colour, label in ((same, BLUE, "one person"), (~same, ORANGE, "two people")):
        weights = np.full(int(kind.sum()), 1 / kind.sum())
        axis.hist(found[kind], bins, weights=weights, color=colour, alpha=0.6, label=label)
    axis.axvline(threshold, color=GREY, linestyle=":", label=f"threshold {threshold:.2f}")
    axis.set(
        title="Distances between test images",
        xlabel="squared distance",
        ylabel="share of the pairs",
    )
    axis.legend(fontsize=8)
    return figure


def matrix(embeddings: np.ndarray, examples: FaceImages) -> Figure:
    """Draws the distances between some images, which stand along the edges."""
    rows = _some(examples, SHOWN_IN_MATRIX)
    squared = squared_distances(embeddings[rows], embeddings[rows])
    figure = Figure(figsize=(9.5, 9), layout="constrained")
    axis = figure.subplots()
    shown = axis.imshow(squared, cmap="viridis_r", vmin=0)
    figure.colorbar(shown, ax=axis, shrink=0.7, label="squared distance")
    axis.set(xticks=[], yticks=[], title="Distances between test images, by person\n\n")
    zoom = 11 / examples.images.shape[1]
    for place, row in enumerate(rows):
        for spot in ((place, -1.1), (-1.1, place)):
            axis.add_artist(_image(examples.images[row], spot, zoom))
    ends = np.flatnonzero(np.diff(examples.labels[rows])) + 0.5
    axis.hlines(ends, -0.5, len(rows) - 0.5, color="white", linewidth=1)
    axis.vlines(ends, -0.5, len(rows) - 0.5, color="white", linewidth=1)
    return figure


def neighbours(embeddings: np.ndarray, examples: FaceImages) -> Figure:
    """Draws the images nearest to some: those of others are framed."""
    chosen = _some(examples, SHOWN_NEIGHBOURS, each=1)
    squared = squared_distances(embeddings[chosen], embeddings)
    figure = Figure(
        figsize=(1.25 * (NEIGHBOURS + 1), 1.4 * len(chosen) + 0.5), layout="constrained"
    )
    figure.suptitle("Each test image (left) and its nearest; orange: of another person")
    axes = figure.subplots(len(chosen), NEIGHBOURS + 1, squeeze=False)
    for row, image, found in zip(axes, chosen, squared, strict=True):
        order = [place for place in np.argsort(found, kind="stable") if place != image]
        for axis, place in itertools.zip_longest(row, [image, *order][: NEIGHBOURS + 1]):
            axis.set(xticks=[], yticks=[])
            if place is None:
                axis.axis("off")
                continue
            _show(axis, examples.images[place])
            right = examples.labels[place] == examples.labels[image]
            for spine in axis.spines.values():
                spine.set(color=GREY if right else ORANGE, linewidth=1 if right else 3)
            if place != image:
                axis.set_title(f"{found[place]:.2f}", fontsize=8)
    return figure


def chart(embeddings: np.ndarray, examples: FaceImages, seed: int) -> Figure:
    """Draws a map on which near images have near embeddings (t-SNE).

    Reference:
        Van der Maaten and Hinton, 2008, "Visualizing data using t-SNE".
    """
    from sklearn.manifold import TSNE

    rows = _some(examples, SHOWN_IN_MAP)
    perplexity = min(12.0, (len(rows) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(
        embeddings[rows]
    )
    figure = Figure(figsize=(9, 9), layout="constrained")
    axis = figure.subplots()
    colours = np.unique(examples.labels[rows], return_inverse=True)[1]
    axis.scatter(places[:, 0], places[:, 1], c=colours, cmap="tab20", s=420, marker="s")
    for row, place in zip(rows, places, strict=True):
        axis.add_artist(_image(examples.images[row], place, 16 / examples.images.shape[1]))
    axis.set(xticks=[], yticks=[], title="Test images by embedding (t-SNE); a colour a person")
    axis.margins(0.06)
    return figure


def _some(examples: FaceImages, count: int, each: int | None = None) -> np.ndarray:
    """Returns rows of as many people as fit, person by person."""
    people = np.unique(examples.labels)
    own = [np.flatnonzero(examples.labels == name) for name in people]
    most = each or max(2, min(6, count // len(own)))
    return np.concatenate([rows[:most] for rows in own])[:count]


def _image(image: np.ndarray, place: Any, zoom: float) -> AnnotationBbox:
    shown = OffsetImage(image.squeeze(), zoom=zoom, cmap="gray", dpi_cor=True)
    return AnnotationBbox(shown, tuple(place), frameon=False, pad=0, annotation_clip=False)


def _show(axis, image: np.ndarray) -> None:
    axis.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
