"""Figures of FaceNet: ROC, distances, neighbours and a map of the test people."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from dlrecipes.data.faces import FaceImages
from dlrecipes.figures import (
    BLUE,
    GREY,
    ORANGE,
    distinct_colours,
    legend_below,
    roc_curves,
)
from dlrecipes.metrics.embeddings import pair_distances
from dlrecipes.metrics.verification import ReceiverOperatingCharacteristic, squared_distances

MATRIX_IMAGES = 30
MAP_IMAGES = 120
QUERIES, NEIGHBOURS = 8, 7


def roc(curves: Mapping[str, ReceiverOperatingCharacteristic]) -> Figure:
    """Plots ROC curves by the name of the representation."""
    labelled = {
        f"{name}: EER {roc.equal_error_rate:.1%}, AUC {roc.auc:.3f}": (
            roc.false_accepts,
            roc.true_accepts,
        )
        for name, roc in curves.items()
    }
    return roc_curves(labelled, "Verification of people who do not occur in training")


def distances(embeddings: np.ndarray, labels: np.ndarray, threshold: float) -> Figure:
    """Plots histograms of the distances between images of the same and of different people."""
    squared, same = pair_distances(embeddings, labels)
    figure = Figure(figsize=(7, 3.9), layout="constrained")
    axis = figure.subplots()
    bins = np.linspace(0, float(squared.max()), 60).tolist()
    for kind, colour, label in ((same, BLUE, "same person"), (~same, ORANGE, "different people")):
        weights = np.full(int(kind.sum()), 1 / kind.sum())
        axis.hist(squared[kind], bins, weights=weights, color=colour, alpha=0.6, label=label)
    axis.axvline(threshold, color=GREY, linestyle=":", label=f"threshold {threshold:.2f}")
    axis.set(title="Distances between test images", xlabel="squared distance")
    axis.set_ylabel("fraction of the pairs")
    legend_below(figure, 3)
    return figure


def matrix(embeddings: np.ndarray, examples: FaceImages) -> Figure:
    """Draws a matrix of distances between test images, with the images along its edges."""
    rows = _select(examples, MATRIX_IMAGES)
    squared = squared_distances(embeddings[rows], embeddings[rows])
    figure = Figure(figsize=(9.5, 9), layout="constrained")
    axis = figure.subplots()
    heat_map = axis.imshow(squared, cmap="viridis_r", vmin=0)
    figure.colorbar(heat_map, ax=axis, shrink=0.7, label="squared distance")
    axis.set(xticks=[], yticks=[], title="Distances between test images, by person\n\n")
    zoom = 11 / examples.images.shape[1]
    for place, row in enumerate(rows):
        for position in ((place, -1.1), (-1.1, place)):
            axis.add_artist(_thumbnail(examples.images[row], position, zoom))
    ends = np.flatnonzero(np.diff(examples.labels[rows])) + 0.5
    axis.hlines(ends, -0.5, len(rows) - 0.5, color="white", linewidth=1)
    axis.vlines(ends, -0.5, len(rows) - 0.5, color="white", linewidth=1)
    return figure


def neighbours(embeddings: np.ndarray, examples: FaceImages) -> Figure:
    """Draws test images with their nearest neighbours; other people's have an orange frame."""
    queries = _select(examples, QUERIES, each=1)
    squared = squared_distances(embeddings[queries], embeddings)
    size = (1.25 * (NEIGHBOURS + 1), 1.4 * len(queries) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle("Test images (left) and their nearest neighbours; orange: another person")
    axes = figure.subplots(len(queries), NEIGHBOURS + 1, squeeze=False)
    for row, query, gaps in zip(axes, queries, squared, strict=True):
        order = [place for place in np.argsort(gaps, kind="stable") if place != query]
        for axis, place in itertools.zip_longest(row, [query, *order][: NEIGHBOURS + 1]):
            axis.set(xticks=[], yticks=[])
            if place is None:
                axis.axis("off")
                continue
            axis.imshow(examples.images[place].squeeze(), cmap="gray", vmin=0, vmax=255)
            same = examples.labels[place] == examples.labels[query]
            for spine in axis.spines.values():
                spine.set(color=GREY if same else ORANGE, linewidth=1 if same else 3)
            if place != query:
                axis.set_title(f"{gaps[place]:.2f}", fontsize=8)
    return figure


def chart(embeddings: np.ndarray, examples: FaceImages, seed: int) -> Figure:
    """Draws test images on a map where near images have near embeddings (t-SNE).

    Reference:
        Van der Maaten and Hinton, 2008, "Visualizing data using t-SNE".
    """
    from sklearn.manifold import TSNE

    rows = _select(examples, MAP_IMAGES)
    perplexity = min(12.0, (len(rows) - 1) / 3)
    projection = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    positions = projection.fit_transform(embeddings[rows])
    figure = Figure(figsize=(9, 9), layout="constrained")
    axis = figure.subplots()
    people = np.unique(examples.labels[rows], return_inverse=True)[1]
    colours = np.array(distinct_colours(int(people.max()) + 1))
    axis.scatter(positions[:, 0], positions[:, 1], c=colours[people], s=420, marker="s")
    for row, position in zip(rows, positions, strict=True):
        axis.add_artist(_thumbnail(examples.images[row], position, 16 / examples.images.shape[1]))
    axis.set(xticks=[], yticks=[], title="Test images by embedding (t-SNE); one colour per person")
    axis.margins(0.06)
    return figure


def _select(examples: FaceImages, count: int, each: int | None = None) -> np.ndarray:
    """Returns the rows of some images of as many people as possible, grouped by person."""
    rows_of = [np.flatnonzero(examples.labels == k) for k in np.unique(examples.labels)]
    most = each or max(2, min(6, count // len(rows_of)))
    return np.concatenate([rows[:most] for rows in rows_of])[:count]


def _thumbnail(image: np.ndarray, position: Any, zoom: float) -> AnnotationBbox:
    content = OffsetImage(image.squeeze(), zoom=zoom, cmap="gray", dpi_cor=True)
    return AnnotationBbox(content, tuple(position), frameon=False, pad=0, annotation_clip=False)
