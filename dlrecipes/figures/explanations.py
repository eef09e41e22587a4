"""Figures that explain predictions: heat maps, and the images that units respond to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from dlrecipes.figures._images import show
from dlrecipes.figures._labels import shortened
from dlrecipes.figures.classification import LINE, prediction_title

# Pairs of an image and its heat map per row.
PAIRS = 4


def predictions_to_explain(
    truth: np.ndarray, probabilities: np.ndarray, most: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses right and wrong predictions for `explanations`, the most confident ones.

    Args:
        truth: True class of each image, integers of shape `(count,)`.
        probabilities: Probability of each class, shape `(count, classes)`.
        most: Largest number of right ones, and of wrong ones. Defaults to 8.

    Returns:
        Positions of right predictions, of as many classes as possible, and of wrong ones.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import predictions_to_explain
    >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    >>> right, wrong = predictions_to_explain(np.array([0, 0, 1, 1]), probabilities, most=2)
    >>> right.tolist(), wrong.tolist()
    ([0, 2], [3])
    """
    predicted = probabilities.argmax(axis=1)
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = order[predicted[order] == truth[order]]
    wrong = order[predicted[order] != truth[order]]
    # The best of each class, then the second of each class, and so on.
    seen: dict[int, int] = {}
    rounds = []
    for place in right:
        label = int(truth[place])
        rounds.append(seen.get(label, 0))
        seen[label] = seen.get(label, 0) + 1
    return right[np.argsort(rounds, kind="stable")][:most], wrong[:most]


def explanations(
    images: Sequence[np.ndarray] | np.ndarray,
    overlays: Sequence[np.ndarray] | np.ndarray,
    truth: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    cmap: str = "gray",
) -> Figure:
    """Draws images next to the heat maps of their predictions: right ones, then wrong ones.

    Args:
        images: uint8 arrays, or floating-point numbers from 0 to 1, of shape `(height, width, 1 or
            3)` each, or `(height, width)`; at least one.
        overlays: Heat map over each image, such as `dlrecipes.training.overlay` returns: uint8 of
            shape `(height, width, 3)`.
        truth: True class of each image, integers of shape `(count,)`.
        probabilities: Probability of each class, shape `(count, classes)`.
        class_names: Names of the classes.
        cmap: Matplotlib's colour map of grey images. Defaults to `"gray"`.

    Returns:
        Figure with four pairs per row; the title of a pair is the true class, the predicted class
        if it differs, and its probability.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import explanations
    >>> images, heat = np.zeros((2, 8, 8, 1), "uint8"), np.zeros((2, 8, 8, 3), "uint8")
    >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2]])
    >>> figure = explanations(images, heat, np.array([1, 0]), probabilities, ["cat", "dog"])
    >>> [part.get_suptitle() for part in figure.subfigs]
    ['Right predictions: true class', 'Wrong predictions: true class > predicted class']

    Reference:
        Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra, 2017, "Grad-CAM: visual explanations
        from deep networks via gradient-based localization", figure 1.
        https://arxiv.org/abs/1610.02391
    """
    predicted = probabilities.argmax(axis=1)
    right = np.flatnonzero(predicted == truth)
    wrong = np.flatnonzero(predicted != truth)
    parts = [
        (name, rows)
        for name, rows in (
            ("Right predictions: true class", right),
            ("Wrong predictions: true class > predicted class", wrong),
        )
        if len(rows)
    ]
    heights = [0.3 + 1.55 * -(-len(rows) // PAIRS) for _, rows in parts]
    figure = Figure(figsize=(9.6, 0.4 + sum(heights)), layout="constrained")
    figure.suptitle("Grad-CAM: red and yellow parts raise the score of the predicted class")
    panels = figure.subfigures(len(parts), 1, height_ratios=heights, squeeze=False)[:, 0]
    for panel, (name, rows) in zip(panels, parts, strict=True):
        panel.suptitle(name, fontsize=10)
        titles = [
            prediction_title(
                class_names[truth[row]], class_names[predicted[row]], probabilities[row].max()
            )
            for row in rows
        ]
        lines = max(title.count("\n") for title in titles)
        pairs = panel.subfigures(-(-len(rows) // PAIRS), PAIRS, squeeze=False).ravel()
        for pair, row, title in zip(pairs, rows.tolist(), titles, strict=False):
            # As many lines as the others, so that the images of a row are level.
            pair.suptitle("\n" * (lines - title.count("\n")) + title, fontsize=8)
            for axis, image in zip(pair.subplots(1, 2), (images[row], overlays[row]), strict=True):
                axis.axis("off")
                show(axis, image, cmap)
    return figure


def preferred_units(
    names: Sequence[str],
    synthetic: Sequence[np.ndarray] | np.ndarray,
    dataset: Sequence[Sequence[np.ndarray]] | np.ndarray,
    title: str,
    cmap: str = "gray",
) -> Figure:
    """Draws the images that excite units most: a synthetic one, and some of a dataset.

    Args:
        names: Name of each unit, such as its class or its layer and channel.
        synthetic: Synthetic image of each unit (see `dlrecipes.training.preferred_images`), uint8
            or floats from 0 to 1, of shape `(height, width, 1 or 3)`.
        dataset: Images of a dataset for each unit, the strongest first (see
            `dlrecipes.training.top_images`). A unit may have none.
        title: Title of the figure.
        cmap: Matplotlib's colour map of grey images. Defaults to `"gray"`.

    Returns:
        Figure with one row per unit.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import preferred_units
    >>> images = np.zeros((2, 3, 8, 8, 1))
    >>> figure = preferred_units(["cat", "dog"], images[:, 0], images, "Classes")
    >>> len(figure.axes)
    8

    Reference:
        Olah, Mordvintsev and Schubert, 2017, "Feature visualization",
        https://distill.pub/2017/feature-visualization
    """
    count = max([1, *map(len, dataset)])
    figure = Figure(
        figsize=(1.6 + 1.15 * (count + 1), 0.9 + 1.1 * len(names)), layout="constrained"
    )
    figure.suptitle(title)
    axes = figure.subplots(len(names), count + 1, squeeze=False, width_ratios=[1.15, *[1] * count])
    for row, name in enumerate(names):
        for axis, image in zip(axes[row], [synthetic[row], *dataset[row]], strict=False):
            show(axis, image, cmap)
        for axis in axes[row]:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        label = axes[row, 0].set_ylabel(shortened(name, LINE), fontsize=9, rotation=0, ha="right")
        label.set_va("center")
    axes[0, 0].set_title("synthetic", fontsize=9)
    axes[0, 1].set_title("from the data", fontsize=9, loc="left")
    return figure
