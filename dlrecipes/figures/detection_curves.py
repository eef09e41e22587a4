"""Curves of object detectors: precision by recall, and recall by the number of proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure

from dlrecipes._utils.wording import counted
from dlrecipes.figures._labels import shortened
from dlrecipes.figures.charts import GREY, distinct_colours, legend_below

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
