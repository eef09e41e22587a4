"""Figures of object detectors: boxes, mistakes, precision and recall.

Images are uint8 arrays of shape `(height, width)` or `(height, width, 1 or 3)`, or Pillow's, of any
size, and are only read where they are drawn. Predictions have `boxes` (left, top, right and bottom
in pixels), `scores` and `classes`; truths have `boxes`, `classes` and, optionally, `ignored`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dlrecipes._utils.boxes import pairwise_iou
from dlrecipes._utils.wording import counted
from dlrecipes.figures._boxes import Mark, box_colours, draw_marks
from dlrecipes.figures._labels import shortened
from dlrecipes.figures._sheets import Cell, Sample, as_image, scaled, sheet
from dlrecipes.figures.charts import GREY, distinct_colours, legend_below

Boxes = Mapping[str, np.ndarray]
Images = Sequence[Any]

_TRUTH, _IGNORED = "#ffffff", "#444444"
# Overlap from which a prediction finds an object.
_OVERLAP = 0.5
# Pixels of an image's longer side, and images in a row.
_SIDE, _COLUMNS = 400, 3
_CROP, _CROPS = 236, 5
# The part of a mistake's surroundings that is drawn: at least this many sides of its box, and this
# part of the image.
_AROUND, _LEAST_PART = 3, 0.3
# Curves that are drawn in a colour of their own, and letters of a class in their legend.
_MOST_CURVES, _LETTERS = 12, 24
_STYLES = ("-", "--", "-.", ":")


class Curve(Protocol):
    """Precision by recall, as `dlrecipes.metrics.precision_recall_curves` returns it."""

    @property
    def interpolated(self) -> np.ndarray:
        """Precision at the recalls 0, 0.01, ..., 1."""

    @property
    def average_precision(self) -> float:
        """Mean of `interpolated`."""

    @property
    def objects(self) -> int:
        """Number of objects of the class."""


class Mistake(Protocol):
    """A mistake, as `dlrecipes.metrics.detection_errors` returns it."""

    @property
    def image(self) -> int:
        """Number of the image."""

    @property
    def place(self) -> int:
        """Index of the prediction, or of the missed object."""

    @property
    def kind(self) -> str:
        """Kind of the mistake."""


def annotated_images(
    images: Images,
    truths: Sequence[Boxes],
    names: Sequence[str],
    title: str,
    captions: Sequence[str] = (),
) -> Figure:
    """Draws images with their true boxes and classes; ignored objects are dashed.

    Args:
        images: Images; all are drawn.
        truths: Boxes, classes and ignored objects of each image.
        names: Names of the classes.
        title: Title of the figure.
        captions: Line below each image. Defaults to none.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import annotated_images
    >>> truths = [{"boxes": [[10, 10, 60, 50]], "classes": [0]}]
    >>> figure = annotated_images([np.zeros((90, 120, 3), "uint8")], truths, ["cat"], "Training")
    """
    colours, cells = box_colours(names), []
    for number, truth in enumerate(truths):
        image, factor = scaled(images[number], _SIDE)
        boxes, ignored = _boxes(truth) * factor, _ignored(truth)
        marks = [
            Mark(boxes[row], names[own], colours[names[own]], dashed=bool(ignored[row]))
            for row, own in enumerate(truth["classes"])
        ]
        cells.append(Cell(draw_marks(image, marks), captions[number] if captions else ""))
    legend = [Sample("object", _TRUTH, False), Sample("ignored object", _TRUTH, True)]
    some_ignored = any(_ignored(truth).any() for truth in truths)
    columns = min(_COLUMNS, max(1, len(cells)))
    return sheet([("", cells)], title, _SIDE, columns, legend if some_ignored else ())


def detected_objects(
    images: Images,
    predictions: Sequence[Boxes],
    truths: Sequence[Boxes],
    names: Sequence[str],
    title: str,
    score_threshold: float = 0.5,
) -> Figure:
    """Draws images with predicted boxes, their scores, and the truth.

    Predictions are solid, in the colours of their classes; the truth is dashed in white, and
    labelled where no prediction of its class overlaps it by half; ignored objects are dashed in
    dark grey.

    Args:
        images: Images; all are drawn.
        predictions: Boxes, scores and classes of each image.
        truths: Boxes, classes and ignored objects of each image.
        names: Names of the classes.
        title: Title of the figure.
        score_threshold: Least score of a prediction that is drawn. Defaults to 0.5.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import detected_objects
    >>> truths = [{"boxes": [[10, 10, 60, 50]], "classes": [0]}]
    >>> predictions = [{**truths[0], "scores": [0.9]}]
    >>> images = [np.zeros((90, 120, 3), "uint8")]
    >>> figure = detected_objects(images, predictions, truths, ["cat"], "Test images")
    """
    cells = []
    for number, (prediction, truth) in enumerate(zip(predictions, truths, strict=True)):
        image, factor = scaled(images[number], _SIDE)
        cells.append(Cell(_compared(image, prediction, truth, names, factor, score_threshold)))
    with_ignored = any(_ignored(truth).any() for truth in truths)
    samples = _samples(f"prediction with a score of at least {score_threshold:.2f}", with_ignored)
    return sheet([("", cells)], title, _SIDE, min(_COLUMNS, max(1, len(cells))), samples)


def detection_mistakes(
    images: Images,
    predictions: Sequence[Boxes],
    truths: Sequence[Boxes],
    names: Sequence[str],
    wrong: Sequence[Mistake],
    missed: Sequence[Mistake],
    title: str = "Mistakes, test",
    most: int = 15,
) -> Figure:
    """Draws the surest wrong predictions and the largest missed objects with their surroundings.

    Args:
        images: Images; those with a mistake that is drawn are read.
        predictions: Boxes, scores and classes of each image.
        truths: Boxes, classes and ignored objects of each image.
        names: Names of the classes.
        wrong: Wrong predictions, as `dlrecipes.metrics.detection_errors` returns them.
        missed: Missed objects, as it returns them.
        title: Title of the figure. Defaults to `"Mistakes, test"`.
        most: Maximum number of each. Defaults to 15.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import detection_mistakes
    >>> from dlrecipes.metrics import detection_errors
    >>> images = [np.zeros((90, 120, 3), "uint8")]
    >>> truths = [{"boxes": [[10, 10, 60, 50]], "classes": [0]}]
    >>> predictions = [{"boxes": [[70, 10, 90, 50]], "scores": [0.9], "classes": [0]}]
    >>> errors = detection_errors(predictions, truths, 1)
    >>> figure = detection_mistakes(images, predictions, truths, ["cat"], *errors)
    """
    colours, wrong_cells, missed_cells = box_colours(names), [], []
    for mistake in wrong[:most]:
        guess, truth = predictions[mistake.image], truths[mistake.image]
        own, score = names[guess["classes"][mistake.place]], guess["scores"][mistake.place]
        box = _boxes(guess)[mistake.place]
        crop, shift, factor = _surroundings(images[mistake.image], box)
        marks = _truth_marks(truth, names, factor, shift)
        marks.append(Mark((box - shift) * factor, own, colours[own], float(score)))
        wrong_cells.append(Cell(draw_marks(crop, marks), mistake.kind))
    for mistake in missed[:most]:
        truth = truths[mistake.image]
        own, box = names[truth["classes"][mistake.place]], _boxes(truth)[mistake.place]
        crop, shift, factor = _surroundings(images[mistake.image], box)
        mark = Mark((box - shift) * factor, own, _TRUTH, dashed=True)
        missed_cells.append(Cell(draw_marks(crop, [mark])))
    sections = [
        (_heading("wrong prediction", len(wrong_cells), len(wrong), "surest"), wrong_cells),
        (_heading("missed object", len(missed_cells), len(missed), "largest"), missed_cells),
    ]
    with_ignored = any(_ignored(truths[mistake.image]).any() for mistake in wrong[:most])
    return sheet(sections, title, _CROP, _CROPS, _samples("prediction", with_ignored))


def _heading(what: str, drawn: int, count: int, which: str) -> str:
    return counted(count, what) + (f"; the {drawn} {which}" if drawn < count else "")


def _samples(prediction: str, with_ignored: bool) -> list[Sample]:
    samples = [
        Sample(prediction, box_colours([""])[""], False),
        Sample("truth", _TRUTH, True),
    ]
    return [*samples, Sample("ignored truth", _IGNORED, True)] if with_ignored else samples


def _compared(
    image: Image.Image,
    prediction: Boxes,
    truth: Boxes,
    names: Sequence[str],
    factor: float,
    score_threshold: float,
) -> Image.Image:
    """Draws predictions, and the truth that they are compared with."""
    colours, scores = box_colours(names), np.asarray(prediction["scores"])
    rows = np.flatnonzero(scores >= score_threshold)
    boxes, classes = _boxes(prediction)[rows], np.asarray(prediction["classes"])[rows]
    same = classes[:, None] == np.asarray(truth["classes"])[None]
    found = ((pairwise_iou(boxes, _boxes(truth)) >= _OVERLAP) & same).any(axis=0)
    marks = _truth_marks(truth, names, factor, unlabelled=found)
    for box, own, score in zip(boxes * factor, classes, scores[rows], strict=True):
        marks.append(Mark(box, names[own], colours[names[own]], float(score)))
    return draw_marks(image, marks)


def _truth_marks(
    truth: Boxes,
    names: Sequence[str],
    factor: float,
    shift: Any = 0,
    unlabelled: Any = False,
) -> list[Mark]:
    """Returns the true boxes, dashed; ignored ones are dark and have no label."""
    boxes, ignored = (_boxes(truth) - shift) * factor, _ignored(truth)
    nameless = np.broadcast_to(unlabelled, len(boxes)) | ignored
    return [
        Mark(
            box=boxes[row],
            label="" if nameless[row] else names[own],
            colour=_IGNORED if ignored[row] else _TRUTH,
            dashed=True,
        )
        for row, own in enumerate(truth["classes"])
    ]


def _surroundings(pixels: Any, box: np.ndarray) -> tuple[Image.Image, np.ndarray, float]:
    """Returns a square part of an image around a box, the place of its corner and its scale."""
    image = as_image(pixels)
    width, height = image.size
    reach = max(_AROUND * max(box[2] - box[0], box[3] - box[1]), _LEAST_PART * max(image.size))
    middle = (box[:2] + box[2:]) / 2
    first = np.clip(middle - reach / 2, 0, np.maximum(np.array([width, height]) - reach, 0))
    left, top = first.astype(int)
    right, bottom = min(width, int(left + reach)), min(height, int(top + reach))
    crop, factor = scaled(
        image.crop((left, top, max(right, left + 1), max(bottom, top + 1))), _CROP
    )
    return crop, np.array([left, top, left, top]), factor


def _boxes(image: Boxes) -> np.ndarray:
    return np.asarray(image["boxes"], float).reshape(-1, 4)


def _ignored(truth: Boxes) -> np.ndarray:
    return np.asarray(truth.get("ignored", np.zeros(len(_boxes(truth)))), bool)


def precision_recall(curves: Mapping[str, Curve], title: str) -> Figure:
    """Plots precision against recall of each class, with average precisions in the legend.

    With more than 12 classes, those with the lowest average precision are drawn in colours, and all
    others in grey.

    Args:
        curves: Curves by class, as `dlrecipes.metrics.precision_recall_curves` returns them.
        title: Title of the figure.

    Example:

    >>> from dlrecipes.figures import precision_recall
    >>> from dlrecipes.metrics import precision_recall_curves
    >>> truths = [{"boxes": [[0, 0, 10, 10]], "classes": [0]}]
    >>> curves = precision_recall_curves([{**truths[0], "scores": [0.9]}], truths, ["cat"])
    >>> figure = precision_recall(curves, "Precision and recall, test")
    """
    ordered = sorted(curves.items(), key=lambda item: -item[1].average_precision)
    coloured = ordered[-_MOST_CURVES:]
    figure = Figure(figsize=(6.5, 5.2 + 0.2 * -(-len(coloured) // 2)), layout="constrained")
    axis = figure.subplots()
    recalls = np.linspace(0, 1, 101)
    others = ordered[: len(ordered) - len(coloured)]
    for number, (_, curve) in enumerate(others):
        # A label that begins with "_" is in no legend.
        label = "_" if number else counted(len(others), "other class", "other classes")
        axis.plot(recalls, curve.interpolated, color=GREY, alpha=0.4, linewidth=0.8, label=label)
    colours = distinct_colours(len(coloured))
    for number, (name, curve) in enumerate(coloured):
        label = (
            f"{shortened(name, _LETTERS)}  AP {curve.average_precision:.3f}, n = {curve.objects}"
        )
        style = _STYLES[number % len(_STYLES)]
        axis.plot(recalls, curve.interpolated, style, color=colours[number], label=label)
    if len(curves) > 1:
        mean = np.mean([curve.interpolated for curve in curves.values()], axis=0)
        label = f"all {len(curves)} classes  mean AP {mean.mean():.3f}"
        axis.plot(recalls, mean, color="black", linewidth=2.5, label=label)
    axis.set(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axis.grid(color=GREY, alpha=0.2)
    axis.spines[["top", "right"]].set_visible(False)
    if curves:
        legend_below(figure, 2)
    return figure


def recall_by_number(
    recalls: np.ndarray,
    numbers: Sequence[int],
    iou_thresholds: Sequence[float],
    title: str,
) -> Figure:
    """Plots which fraction of the objects the best proposals cover, by their number.

    Args:
        recalls: Recalls as `dlrecipes.metrics.proposal_recall` returns them, shape `(thresholds,
            numbers)`.
        numbers: Numbers of proposals.
        iou_thresholds: Least intersections over union.
        title: Title of the figure.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import recall_by_number
    >>> recalls = np.array([[0.5, 0.9, 0.98]])
    >>> figure = recall_by_number(recalls, [10, 100, 1000], [0.5], "Proposals, test")
    """
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axis = figure.subplots()
    colours = distinct_colours(len(iou_thresholds))
    for number, (row, overlap) in enumerate(zip(recalls, iou_thresholds, strict=True)):
        label = f"overlap of at least {overlap:g}"
        style = _STYLES[number % len(_STYLES)] + "o"
        axis.plot(numbers, row, style, color=colours[number], markersize=4, label=label)
    axis.set(title=title, xlabel="proposals per image", ylabel="recall of objects", xscale="log")
    axis.set(ylim=(0, 1.02))
    # A formatter without formulas: runs switch matplotlib's mathematics off.
    axis.set_xticks(list(numbers), labels=[f"{number:,}" for number in numbers])
    axis.minorticks_off()
    axis.grid(color=GREY, alpha=0.2)
    axis.spines[["top", "right"]].set_visible(False)
    legend_below(figure, 2)
    return figure
