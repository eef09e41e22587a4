"""Figures of image classification: what is confused, how sure the model is, and what it sees."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from dlrecipes import figures as charts
from dlrecipes.data.image_batches import plain_decoding_errors
from dlrecipes.data.image_resizing import resize
from dlrecipes.data.labelled_images import ImageExamples
from dlrecipes.metrics import confusion_matrix, reliability
from dlrecipes.training import ImageClassifier, grad_cam, preferred_images, top_images
from dlrecipes.training.grad_cam import overlay

from .config import Config

# Classes whose preferred images are drawn, images of each, and test images to choose from.
CLASSES, TOP, SEARCHED = 6, 6, 2000
# Small images are drawn with at least as many pixels, which are then squares.
MISTAKES = 40


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
    yield "mistakes", _mistakes(examples, probabilities, names, config.size)
    yield (
        "reliability",
        charts.reliability_diagram(reliability(probabilities, truth), "Confidence, test"),
    )
    yield "explanations", _explanations(model, examples, probabilities, config.size)
    layers = charts.convolutions(model.network)
    if layers:
        yield "filters", charts.filters(layers[0])
        image = _resized(examples, [0], config.size)[0]
        yield "feature_maps", charts.feature_maps(model.network, image.astype("float32") / 255)
    yield "preferred_images", _preferred(model, examples, config.size)


def _resized(examples: ImageExamples, rows: np.ndarray | list[int], size: int) -> np.ndarray:
    """Returns a few images as the network sees them, uint8 of shape `(rows, size, size, 3)`."""
    with plain_decoding_errors():
        return np.stack([resize(examples.image(int(row)), size) for row in rows])


def _mistakes(
    examples: ImageExamples, probabilities: np.ndarray, names: tuple[str, ...], size: int
) -> Figure:
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != examples.labels)
    order = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:MISTAKES]
    rows = order if len(order) else np.array([0])
    images = _resized(examples, rows, size)
    return charts.mistakes(images, examples.labels[rows], probabilities[rows], names)


def _explanations(
    model: ImageClassifier, examples: ImageExamples, probabilities: np.ndarray, size: int
) -> Figure:
    right, wrong = charts.predictions_to_explain(examples.labels, probabilities)
    rows = np.concatenate([right, wrong])
    images = _resized(examples, rows, size)
    maps = grad_cam(model, images.astype("float32") / 255, probabilities[rows].argmax(axis=1))
    drawn = overlay(images, maps).numpy()
    return charts.explanations(
        images, drawn, examples.labels[rows], probabilities[rows], model.class_names
    )


def _preferred(model: ImageClassifier, examples: ImageExamples, size: int) -> Figure:
    units = list(range(min(CLASSES, len(model.class_names))))
    synthetic = preferred_images(model, units)
    rows = np.unique(np.linspace(0, len(examples) - 1, min(SEARCHED, len(examples))).astype(int))
    batches = (
        _resized(examples, rows[start : start + 250], size).astype("float32") / 255
        for start in range(0, len(rows), 250)
    )
    best = top_images(model, units, batches, count=TOP)
    names = [model.class_names[unit] for unit in units]
    return charts.preferred_units(names, synthetic, best.images, "Images that excite each class")
