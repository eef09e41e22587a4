"""Figures of image classification."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from dlrecipes import figures as charts
from dlrecipes.data.labelled_images import ImageExamples
from dlrecipes.metrics import confusion_matrix
from dlrecipes.training import ImageClassifier

from .config import Config


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
