"""Figures of object detectors: boxes and mistakes.

Images are uint8 arrays of shape `(height, width)` or `(height, width, 1 or 3)`, or Pillow's, of any
size, and are only read where they are drawn. Predictions have `boxes` (left, top, right and bottom
in pixels), `scores` and `classes`; truths have `boxes`, `classes` and, optionally, `ignored`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dlrecipes._utils.boxes import pairwise_iou
from dlrecipes._utils.wording import counted
from dlrecipes.figures._boxes import Mark, box_colours, draw_marks
from dlrecipes.figures._labels import shortened
from dlrecipes.figures._sheets import Cell, Sample, as_image, scaled, sheet
from dlrecipes.figures.charts import GREY

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
# Classes of a sheet's legend, and letters of each; others are named at their boxes only.
_MOST_CLASSES, _LETTERS = 12, 24


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
    legend = _class_samples(names, (own for truth in truths for own in truth["classes"]))
    if any(_ignored(truth).any() for truth in truths):
        ignored_too = [Sample("object", _TRUTH, False), Sample("ignored object", _TRUTH, True)]
        legend = [*ignored_too, *legend]
    columns = min(_COLUMNS, max(1, len(cells)))
    return sheet([("", cells)], title, _SIDE, columns, legend)


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
    samples = _samples(
        f"prediction with a score of at least {score_threshold:.2f}",
        with_ignored,
        names,
        (
            own
            for prediction in predictions
            for own, score in zip(prediction["classes"], prediction["scores"], strict=True)
            if score >= score_threshold
        ),
    )
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
    drawn = (predictions[one.image]["classes"][one.place] for one in wrong[:most])
    samples = _samples("prediction", with_ignored, names, drawn)
    return sheet(sections, title, _CROP, _CROPS, samples)


def _heading(what: str, drawn: int, count: int, which: str) -> str:
    return counted(count, what) + (f"; the {drawn} {which}" if drawn < count else "")


def _samples(
    prediction: str, with_ignored: bool, names: Sequence[str], drawn: Iterable[int]
) -> list[Sample]:
    """Returns the legend of predictions and truth, and the colours of the classes drawn."""
    classes = _class_samples(names, own := list(drawn))
    # A single class is the colour of all predictions.
    colour = GREY if classes else box_colours(names)[names[own[0]]] if own else GREY
    samples = [Sample(prediction, colour, False), Sample("truth", _TRUTH, True)]
    if with_ignored:
        samples.append(Sample("ignored truth", _IGNORED, True))
    return [*samples, *classes]


def _class_samples(names: Sequence[str], drawn: Iterable[int]) -> list[Sample]:
    """Returns the colours of the classes that are drawn, if there are several."""
    rows, colours = sorted(set(map(int, drawn))), box_colours(names)
    if len(rows) < 2:
        return []
    shown = [names[row] for row in rows[:_MOST_CLASSES]]
    samples = [Sample(shortened(name, _LETTERS), colours[name], False) for name in shown]
    others = len(rows) - len(shown)
    if others:
        more = counted(others, "more class", "more classes")
        samples.append(Sample(f"{more}, named at the boxes", GREY, False))
    return samples


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
