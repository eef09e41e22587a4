"""Figures of classifiers: mistakes, confused labels, and accuracy against cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dlrecipes.figures._images import image_axes, show
from dlrecipes.figures.charts import BLUE, GREY, ORANGE

COLUMNS = 8


def mistakes(
    images: np.ndarray,
    truth: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    most: int = 40,
    cmap: str = "gray",
) -> Figure:
    """Draws misclassified images, the most confident mistakes first.

    Args:
        images: uint8 array, or floating-point numbers from 0 to 1, of shape `(count, height,
            width)` or `(count, height, width, 1 or 3)`.
        truth: True class of each image, integers of shape `(count,)`.
        probabilities: Probability of each class, shape `(count, classes)`.
        class_names: Names of the classes.
        most: Maximum number of images. Defaults to 40.
        cmap: Matplotlib's colour map of grey images. Defaults to `"gray"`.

    Returns:
        Figure; each title is true class, predicted class and the prediction's probability.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import mistakes
    >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> figure = mistakes(np.zeros((2, 28, 28)), np.array([1, 1]), probabilities, ["cat", "dog"])
    >>> figure.axes[0].get_title()
    'dog > cat  90%'
    """
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != truth)
    order = wrong[np.argsort(-probabilities[wrong, predicted[wrong]])][:most]
    rows = max(1, -(-len(order) // COLUMNS))
    figure = Figure(figsize=(9, 0.8 + 1.35 * rows), layout="constrained")
    figure.suptitle(
        f"{len(wrong)} of {len(truth)} test images are misclassified"
        + (": true class > predicted class" if len(wrong) else "")
        + (f"; the {len(order)} most confident" if len(order) < len(wrong) else "")
    )
    for axis, row in image_axes(figure, rows, COLUMNS, order.tolist()):
        show(axis, images[row], cmap)
        names = f"{class_names[truth[row]]} > {class_names[predicted[row]]}"
        axis.set_title(f"{names}  {probabilities[row].max():.0%}", fontsize=8)
    return figure


def confusion_counts(
    truth: Iterable[str], predicted: Iterable[str], most: int = 20
) -> tuple[list[str], np.ndarray]:
    """Returns the labels that are confused most often, and their confusion matrix.

    Args:
        truth: True labels.
        predicted: Predicted labels, as many as `truth`.
        most: Maximum number of labels; all others are counted together as `"(other)"`. Defaults
            to 20.

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
    weight: Counter[str] = Counter()
    for (label, guess), count in pairs.items():
        for name in (label, guess):
            weight[name] += (label != guess) * 1000 * count + count
    names = sorted(name for name, _ in weight.most_common(most))
    names += ["(other)"] if len(weight) > most else []
    rows = {name: row for row, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), int)
    for (label, guess), count in pairs.items():
        counts[rows.get(label, len(names) - 1), rows.get(guess, len(names) - 1)] += count
    return names, counts


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
        axis.scatter(cost, 100 * (1 - error), s=size / 1000, color=BLUE, alpha=0.4)
        axis.scatter(cost, 100 * (1 - error), s=6, color=BLUE)
    if highlight:
        name, error, cost = highlight
        axis.scatter(cost, 100 * (1 - error), marker="*", s=150, color=ORANGE, label=name)
        axis.legend(loc="lower right")
    _format(axis, title)
    label_points(axis, [(name, cost, 100 * (1 - error)) for name, (error, cost, _) in ordered])
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


def label_points(axis: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Writes each point's name where it overlaps no other: above the point, below, or farther.

    Args:
        axis: Axis whose limits are final.
        points: Name, x and y of each point; earlier names are placed first.
    """
    figure: Any = axis.figure
    canvas = FigureCanvasAgg(figure)
    # Positions are known once the figure has been drawn.
    canvas.draw()
    top = axis.get_window_extent().y1
    boxes: list[Any] = []
    for name, x, y in points:
        label = axis.annotate(name, (x, y), (4, 6), textcoords="offset points")
        for offset in (6, -14, 18, -26, 30, -38):
            label.set_position((4, offset))
            box = label.get_window_extent(canvas.get_renderer())
            if box.y1 < top and not any(box.overlaps(other) for other in boxes):
                break
        boxes.append(box)
