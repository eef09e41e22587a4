"""Figures of image classification: what is confused, how sure the model is, and what it sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlrecipes import figures as charts
from dlrecipes.data.image_resizing import resize
from dlrecipes.data.labelled_images import ImageExamples
from dlrecipes.data.sources import BUILTIN
from dlrecipes.metrics import confusion_matrix, count_macs, reliability
from dlrecipes.recipe.readme import mean_results
from dlrecipes.training import ImageClassifier, grad_cam, preferred_images
from dlrecipes.training.grad_cam import overlay

from .config import Config

# Classes whose preferred images are drawn, and test images of each.
CLASSES, TOP = 6, 6
# Columns of results.csv for the comparison of networks.
METRICS = ("error", "macs", "parameters")
SUBJECTS = {"cats_dogs": "built-in cats and dogs", "x_or_o": "built-in letters X and O"}


def figures(
    model: ImageClassifier, examples: ImageExamples, probabilities: np.ndarray, config: Config
) -> Iterator[tuple[str, Figure]]:
    """Yields the figures of the test images.

    Args:
        model: The trained model.
        examples: Test images, labelled by the model's classes.
        probabilities: Their probabilities, shape `(images, classes)`.
        config: The settings.
    """
    names, truth = model.class_names, examples.labels
    counts = confusion_matrix(truth, probabilities.argmax(axis=1), len(names))
    yield "confusion", charts.confusion(counts, names, "Classes, test")
    images = _Prepared(examples, config.size)
    yield "mistakes", charts.mistakes(images, truth, probabilities, names)
    yield (
        "reliability",
        charts.reliability_diagram(reliability(probabilities, truth), "Confidence, test"),
    )
    yield "explanations", _explanations(model, images, truth, probabilities)
    layers = charts.convolutions(model.network)
    if layers:
        yield "filters", charts.filters(layers[0])
        yield "feature_maps", charts.feature_maps(model.network, images[0].astype("float32") / 255)
    yield "preferred_images", _preferred(model, images, probabilities)
    yield from (("networks", figure) for figure in _networks(model, counts, config))


class _Prepared(Sequence):
    """Images as the network sees them, uint8 of shape `(size, size, 3)`, decoded when needed."""

    def __init__(self, examples: ImageExamples, size: int):
        self._examples, self._size = examples, size

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, row: Any) -> np.ndarray:
        return resize(self._examples.image(int(row)), self._size)

    def rows(self, rows: Iterable[int]) -> np.ndarray:
        """Returns several images, shape `(rows, size, size, 3)`."""
        return np.stack([self[row] for row in rows])


def _explanations(
    model: ImageClassifier, images: _Prepared, truth: np.ndarray, probabilities: np.ndarray
) -> Figure:
    right, wrong = charts.predictions_to_explain(truth, probabilities)
    rows = np.concatenate([right, wrong])
    chosen = images.rows(rows)
    maps = grad_cam(model, chosen.astype("float32") / 255, probabilities[rows].argmax(axis=1))
    drawn = overlay(chosen, maps).numpy()
    return charts.explanations(chosen, drawn, truth[rows], probabilities[rows], model.class_names)


def _preferred(model: ImageClassifier, images: _Prepared, probabilities: np.ndarray) -> Figure:
    units = list(range(min(CLASSES, len(model.class_names))))
    synthetic = preferred_images(model, units)
    predicted = probabilities.argmax(axis=1)
    best = []
    for unit in units:
        rows = np.flatnonzero(predicted == unit)
        # By the score alone, one image could be the first of several classes.
        surest = np.argsort(-probabilities[rows, unit], kind="stable")[:TOP]
        best.append([images[row] for row in rows[surest]])
    names = [model.class_names[unit] for unit in units]
    title = "Synthetic image that excites each class; images predicted as it, the surest first"
    return charts.preferred_units(names, synthetic, best, title)


def _networks(model: ImageClassifier, counts: np.ndarray, config: Config) -> Iterator[Figure]:
    """Yields the comparison with the networks that were measured on the same data, if any."""
    error = 1 - float(np.trace(counts) / counts.sum())
    is_builtin = config.data == BUILTIN
    name = config.subject if is_builtin else Path(config.data).name
    # In results.csv, `builtin` is the default subject.
    measured = BUILTIN if is_builtin and name == "cats_dogs" else name
    results = mean_results(Path(__file__).with_name("results.csv"), measured, METRICS)
    known = {label: (error, macs, size) for label, (error, macs, size) in results.items()}
    if not known:
        return
    macs = count_macs(model.network) * (1 + config.mirror)
    # Folders may be named as built-in data.
    data = SUBJECTS[name] if is_builtin else name
    title = f"Networks on {data}; the area is the number of parameters"
    yield charts.accuracy_by_cost(known, title, (f"this run, {config.network}", error, macs))
