"""Figures of object detection: what is found, what is missed, and how sure the model is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from dlrecipes import figures as charts
from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.metrics import (
    detection_confusion,
    detection_errors,
    precision_recall_curves,
    proposal_recall,
)
from dlrecipes.training import FasterRCNN

from . import detections
from .config import THRESHOLD, Config

# Test images that are drawn.
SHOWN = 12
SHOWN_SCORES = f"boxes with a score of at least {THRESHOLD:.2f}"
# Overlaps at which the recall of proposals is drawn.
OVERLAPS = (0.5, 0.7, 0.9)


def figures(
    model: FasterRCNN,
    examples: BoxExamples,
    found: Sequence[detections.Arrays],
    config: Config,
) -> Iterator[tuple[str, Figure]]:
    """Yields the figures of the test images.

    Args:
        model: The trained detector.
        examples: Test images, whose classes are the model's.
        found: Their detections, as `detections.detect` returns them.
        config: The settings.
    """
    names = model.class_names
    truths = detections.truths(examples)
    images = _Images(examples)
    rows = np.linspace(0, len(examples) - 1, min(SHOWN, len(examples))).astype(int)
    yield (
        "detections",
        charts.detected_objects(
            [images[row] for row in rows],
            [found[row] for row in rows],
            [truths[row] for row in rows],
            names,
            "Test images",
            THRESHOLD,
        ),
    )
    wrong, missed = detection_errors(found, truths, len(names), THRESHOLD)
    title = f"Mistakes, test, {SHOWN_SCORES}"
    figure = charts.detection_mistakes(images, found, truths, names, wrong, missed, title)
    yield "mistakes", figure
    curves = precision_recall_curves(found, truths, names)
    yield "precision_recall", charts.precision_recall(curves, "Precision and recall, test")
    counts = detection_confusion(found, truths, len(names), score_threshold=THRESHOLD)
    title = f"Classes, test, {SHOWN_SCORES}"
    yield "confusion", charts.confusion(counts, [*names, "background"], title)
    recalls = _recalls(model, examples, truths, config)
    if recalls is not None:
        yield "proposals", recalls


def _recalls(
    model: FasterRCNN, examples: BoxExamples, truths: Sequence[dict], config: Config
) -> Figure | None:
    proposals = detections.propose(model, examples, config)
    numbers = [number for number in detections.NUMBERS if number < config.proposals]
    numbers.append(config.proposals)
    recalls = proposal_recall(proposals, truths, numbers, OVERLAPS)
    if recalls is None:
        return None
    return charts.recall_by_number(recalls, numbers, OVERLAPS, "Proposals, test")


class _Images(Sequence):
    """Images in their own sizes, decoded when they are drawn."""

    def __init__(self, examples: BoxExamples):
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, row: int) -> np.ndarray:
        return self._examples.image(int(row))
