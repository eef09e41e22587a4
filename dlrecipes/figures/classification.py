"""Figures of classifiers: mistakes, confused labels, and accuracy against cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dlrecipes._utils.wording import counted
from dlrecipes.figures._images import image_axes, show
from dlrecipes.figures._labels import label_points, shortened, text_width
from dlrecipes.figures.charts import BLUE, GREY, ORANGE

COLUMNS = 8
# Parameters per square point of a marker, and the area of a star.
PARAMETERS, STAR = 1000, 150
# Characters that fit above an image.
LINE = 20


def mistakes(
    images: Sequence[np.ndarray] | np.ndarray,
    truth: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    most: int = 40,
    cmap: str = "gray",
) -> Figure:
    """Draws misclassified images, the most confident mistakes first.

    Args:
        images: uint8 arrays, or floating-point numbers from 0 to 1, of shape `(height, width)` or
            `(height, width, 1 or 3)` each; they may differ in size.
        truth: True class of each image, integers of shape `(count,)`.
        probabilities: Probability of each class, shape `(count, classes)`.
        class_names: Names of the classes.
        most: Maximum number of images. Defaults to 40.
        cmap: Matplotlib's colour map of grey images. Defaults to `"gray"`.

    Returns:
        Figure; each title is true class, predicted class and the prediction's probability. Without
        mistakes it shows the right predictions with the lowest probabilities.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import mistakes
    >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> figure = mistakes(np.zeros((2, 28, 28)), np.array([1, 1]), probabilities, ["cat", "dog"])
    >>> figure.axes[0].get_title()
    'dog > cat  90%'
    """
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(truth)), predicted]
    wrong = np.flatnonzero(predicted != truth)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    verb = "is" if len(wrong) == 1 else "are"
    heading = f"{len(wrong)} of {len(truth)} test images {verb} misclassified"
    if len(wrong):
        heading += ": true class > predicted class"
        heading += f"; the {len(order)} most confident" if len(order) < len(wrong) else ""
    else:
        order = np.argsort(confidence, kind="stable")[: min(most, 2 * COLUMNS)]
        heading += f"; the {counted(len(order), 'least confident prediction')}"
    titles = [
        prediction_title(class_names[truth[row]], class_names[predicted[row]], confidence[row])
        for row in order
    ]
    lines = max((title.count("\n") + 1 for title in titles), default=1)
    columns = COLUMNS if lines == 1 else COLUMNS - 2
    rows = max(1, -(-len(order) // columns))
    height = 0.6 + (7.4 / columns + 0.2 + 0.14 * lines) * rows
    figure = Figure(figsize=(9, height), layout="constrained")
    figure.suptitle(heading)
    pairs = list(zip(order.tolist(), titles, strict=True))
    for axis, (row, title) in image_axes(figure, rows, columns, pairs):
        show(axis, images[row], cmap)
        axis.set_title(title, fontsize=8)
    return figure


def prediction_title(truth: str, predicted: str, probability: float) -> str:
    """Returns the title of an image: true class, predicted class if it differs, probability.

    Short names stand in one line; others have a line each, and long ones are shortened.
    """
    score = percentage(probability)
    if truth == predicted:
        line = f"{truth}  {score}"
        return line if text_width(line) <= LINE else f"{shortened(truth, LINE)}\n{score}"
    line = f"{truth} > {predicted}  {score}"
    if text_width(line) <= LINE - 4:
        return line
    last = shortened(f"> {predicted}", LINE - len(score) - 1)
    return f"{shortened(truth, LINE)}\n{last} {score}"


def percentage(probability: float) -> str:
    """Returns a probability in per cent; 100 % only where it is certain to a tenth of one."""
    text = f"{probability:.0%}"
    return ">99%" if text == "100%" and probability < 0.9995 else text


def confusion_counts(
    truth: Iterable[str], predicted: Iterable[str]
) -> tuple[list[str], np.ndarray]:
    """Returns the labels that occur, and their confusion matrix.

    Args:
        truth: True labels.
        predicted: Predicted labels, as many as `truth`.

    Returns:
        Labels in alphabetical order; and integer counts of shape `(labels, labels)`, as
        `[truth, prediction]`, for `confusion`.

    Raises:
        ValueError: If there are not as many predictions as labels.

    Example:

    >>> from dlrecipes.figures import confusion_counts
    >>> names, counts = confusion_counts(["city", "date", "date"], ["city", "city", "date"])
    >>> names, counts.tolist()
    (['city', 'date'], [[1, 0], [1, 1]])
    """
    pairs = Counter(zip(truth, predicted, strict=True))
    names = sorted({label for pair in pairs for label in pair})
    rows = {name: row for row, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), int)
    for (label, guess), count in pairs.items():
        counts[rows[label], rows[guess]] = count
    return names, counts


class Reliability(Protocol):
    """Accuracy by confidence, as `dlrecipes.metrics.reliability` returns it."""

    @property
    def edges(self) -> np.ndarray:
        """Bounds of the bins, shape `(bins + 1,)`."""

    @property
    def count(self) -> np.ndarray:
        """Number of predictions in each bin."""

    @property
    def confidence(self) -> np.ndarray:
        """Mean confidence in each bin; NaN in an empty one."""

    @property
    def accuracy(self) -> np.ndarray:
        """Accuracy in each bin; NaN in an empty one."""

    @property
    def expected_calibration_error(self) -> float:
        """Mean difference between accuracy and confidence."""


def reliability_diagram(bins: Reliability, title: str) -> Figure:
    """Plots accuracy against confidence, and how many predictions have which confidence.

    Args:
        bins: Bins of confidence, as `dlrecipes.metrics.reliability` returns them.
        title: Title of the figure.

    Returns:
        Figure with two panels: the accuracy of each bin with the diagonal of a calibrated model,
        and the fraction of the predictions in each bin.

    Example:

    >>> from dlrecipes.figures import reliability_diagram
    >>> from dlrecipes.metrics import reliability
    >>> bins = reliability([[0.9, 0.1], [0.3, 0.7]], [0, 0])
    >>> len(reliability_diagram(bins, "Calibration, test").axes)
    2

    Reference:
        Guo, Pleiss, Sun and Weinberger, 2017, "On calibration of modern neural networks", figure 1.
        https://arxiv.org/abs/1706.04599
    """
    figure = Figure(figsize=(5.5, 6.5), layout="constrained")
    error = 100 * bins.expected_calibration_error
    figure.suptitle(f"{title}: expected calibration error {error:.1f} %")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    left, widths, used = bins.edges[:-1], np.diff(bins.edges), bins.count > 0
    accuracy = np.where(used, bins.accuracy, 0)
    upper.bar(left, accuracy, widths, align="edge", color=BLUE, edgecolor="white", label="accuracy")
    upper.bar(
        left[used],
        (bins.confidence - bins.accuracy)[used],
        widths[used],
        bottom=bins.accuracy[used],
        align="edge",
        color=ORANGE,
        alpha=0.35,
        edgecolor=ORANGE,
        label="difference from the mean confidence",
    )
    upper.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="calibrated")
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    lower.bar(
        left, bins.count / bins.count.sum(), widths, align="edge", color=BLUE, edgecolor="white"
    )
    lower.set(xlabel="confidence: probability of the predicted class", ylabel="predictions")
    lower.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    for axis in (upper, lower):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def accuracy_by_cost(
    networks: Mapping[str, tuple[float, float, float]],
    title: str,
    highlight: tuple[str, float, float] | None = None,
) -> Figure:
    """Draws networks as bubbles: accuracy against operations; the area is the parameter count.

    Args:
        networks: Error (a fraction), multiply-accumulate operations per image, and number of
            parameters, by name.
        title: Title of the figure.
        highlight: Name, error and operations of a network to mark with a star. Defaults to
            `None`.

    Returns:
        Figure with a logarithmic axis of operations.

    Example:

    >>> from dlrecipes.figures import accuracy_by_cost
    >>> networks = {"LeNet-5": (0.0068, 416_520, 61_706), "CNN": (0.0039, 4_963_328, 136_106)}
    >>> axis = accuracy_by_cost(networks, "MNIST").axes[0]
    >>> [text.get_text() for text in axis.texts]
    ['LeNet-5', 'CNN']
    """
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axis = figure.subplots()
    ordered = sorted(networks.items(), key=lambda item: item[1][1])
    for _, (error, cost, size) in ordered:
        axis.scatter(cost, 100 * (1 - error), s=size / PARAMETERS, color=BLUE, alpha=0.4)
        axis.scatter(cost, 100 * (1 - error), s=6, color=BLUE)
    if highlight:
        name, error, cost = highlight
        axis.scatter(cost, 100 * (1 - error), marker="*", s=STAR, color=ORANGE, label=name)
        figure.legend(loc="outside lower center", frameon=False)
    _format(axis, title)
    points = [(name, cost, 100 * (1 - error)) for name, (error, cost, _) in ordered]
    # The area of a marker is the square of its diameter.
    radii = [sqrt(size / PARAMETERS) / 2 for _, (_, _, size) in ordered]
    if highlight:
        points.append(("", highlight[2], 100 * (1 - highlight[1])))
        radii.append(sqrt(STAR) / 2)
    label_points(axis, points, radii)
    return figure


def _format(axis: Axes, title: str) -> None:
    axis.set(
        xscale="log",
        xlabel="multiply-accumulate operations per image",
        ylabel="test accuracy, %",
        title=title,
    )
    # A formatter without formulas: runs switch matplotlib's mathematics off.
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.margins(0.2)
    # Room for labels above the best network; there is no accuracy above 100 %.
    low, high = axis.get_ylim()
    axis.set_yticks([tick for tick in axis.get_yticks() if low <= tick <= 100])
    axis.set_ylim(low, min(high, 100.6))
    axis.grid(color=GREY, alpha=0.2)
