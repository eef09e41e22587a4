"""Figures that explain predictions, and what all figures of classifiers have in common."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import SubFigure
from matplotlib.text import Text

from dlrecipes import figures
from dlrecipes.figures._labels import shortened, text_width
from dlrecipes.metrics import reliability

SHORT = ["cat", "dog"]
LONG = ["Alaskan malamute, long-haired", "北京市的一种很长的名字和更长的名字", "w" * 60]


def texts(figure):
    """Returns the visible texts of a drawn figure with their boxes, shape `(texts, 4)`."""
    figures.fit_fonts(figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    hidden = {label for axes in figure.axes for label in hidden_ticks(axes)}
    visible = [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    ]
    renderer = canvas.get_renderer()
    return visible, np.array([text.get_window_extent(renderer).extents for text in visible])


def hidden_ticks(axes):
    """Yields labels of ticks that matplotlib keeps without drawing them."""
    is_shown = axes.get_visible() and axes.axison
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            place = tick.get_loc()
            if not is_shown or place < min(limits) or place > max(limits):
                yield from (tick.label1, tick.label2)


def assert_legible(figure):
    """Checks that no text is small, cut off or over another one."""
    visible, boxes = texts(figure)
    assert min(text.get_fontsize() for text in visible) >= 8
    names = [text.get_text() for text in visible]
    width, height = figure.get_size_inches() * figure.dpi
    room = np.hstack([boxes[:, :2] + 1, [width + 1, height + 1] - boxes[:, 2:]])
    assert [name for name, cut in zip(names, (room < 0).any(1), strict=True) if cut] == []
    left, low, right, high = (boxes[:, k, None] for k in range(4))
    across = np.minimum(right, right.T) - np.maximum(left, left.T)
    up = np.minimum(high, high.T) - np.maximum(low, low.T)
    over = (across > 1) & (up > 1)
    pairs = [(names[a], names[b]) for a, b in zip(*np.nonzero(np.triu(over, 1)), strict=True)]
    assert pairs == []


def predictions(classes, n=30, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    scores = rng.normal(size=(n, classes)) + 2 * np.eye(classes)[truth]
    return truth, np.exp(scores) / np.exp(scores).sum(1, keepdims=True)


def images(n, *size):
    return np.random.default_rng(0).integers(0, 256, (n, *size), "uint8")


@pytest.mark.parametrize(
    ("names", "largest"),
    [
        (SHORT, 5),
        (SHORT, 123_456),
        (LONG, 100),
        ([f"class {number}" for number in range(40)], 4000),
        ([f"class {number} with a long name" for number in range(300)], 50),
    ],
)
def test_a_confusion_matrix_is_legible(names, largest):
    counts = np.full((len(names), len(names)), largest)
    assert_legible(figures.confusion(counts, names, "Classes, test"))


@pytest.mark.parametrize("names", [SHORT, LONG])
@pytest.mark.parametrize("size", [(8, 8), (30, 90, 3)])
def test_mistakes_are_legible(names, size):
    truth, probabilities = predictions(len(names))
    assert_legible(figures.mistakes(images(30, *size), truth, probabilities, names))
    right = np.eye(len(names))[truth]
    assert_legible(figures.mistakes(images(30, *size), truth, right, names))


@pytest.mark.parametrize("names", [SHORT, LONG])
def test_explanations_are_legible_and_show_right_and_wrong_predictions(names):
    truth, probabilities = predictions(len(names))
    heat = images(30, 9, 9, 3)
    right, wrong = figures.predictions_to_explain(truth, probabilities)
    rows = np.concatenate([right, wrong])
    figure = figures.explanations(
        images(30, 8, 8, 1)[rows], heat[rows], truth[rows], probabilities[rows], names
    )
    assert_legible(figure)
    shown = [np.asarray(axis.images[0].get_array()) for axis in figure.axes]
    np.testing.assert_array_equal(shown[1::2], heat[rows])
    parts = [part.get_suptitle() for part in figure.subfigs if isinstance(part, SubFigure)]
    assert [part.split()[0] for part in parts] == ["Right", "Wrong"]


def test_predictions_to_explain_cover_the_classes():
    truth = np.array([0, 0, 0, 1, 2, 2])
    probabilities = np.eye(3)[[0, 0, 0, 1, 2, 1]] * np.array([9, 8, 7, 6, 5, 4])[:, None]
    right, wrong = figures.predictions_to_explain(truth, probabilities, most=4)
    assert right.tolist() == [0, 3, 4, 1]
    assert wrong.tolist() == [5]


def test_without_wrong_predictions_only_right_ones_are_drawn():
    truth = np.array([0, 1])
    figure = figures.explanations(
        images(2, 8, 8, 3), images(2, 8, 8, 3), truth, np.eye(2)[truth], SHORT
    )
    assert [part.get_suptitle() for part in figure.subfigs] == ["Right predictions: true class"]


@pytest.mark.parametrize("names", [SHORT, LONG])
def test_images_of_units_are_legible(names):
    several = images(len(names) * 4, 8, 8, 3).reshape(len(names), 4, 8, 8, 3)
    figure = figures.preferred_units(names, several[:, 0], several, "Images that excite classes")
    assert_legible(figure)
    shown = np.asarray(figure.axes[1].images[0].get_array())
    np.testing.assert_array_equal(shown, several[0, 0])


def test_a_reliability_diagram_is_legible():
    truth, probabilities = predictions(3)
    bins = reliability(probabilities, truth)
    assert_legible(figures.reliability_diagram(bins, "Calibration, test"))


@pytest.mark.parametrize("count", [1, 12, 25])
def test_names_of_networks_are_legible(count):
    rng = np.random.default_rng(count)
    networks = {
        f"network {k}": (0.1 * rng.uniform(), 10 ** rng.uniform(5, 8), 10 ** rng.uniform(4, 6))
        for k in range(count)
    }
    star = ("this run, a network with a long name", 0.03, 1e6)
    assert_legible(figures.accuracy_by_cost(networks, "Networks", star))


@pytest.mark.parametrize("metrics", [1, 2, 5])
def test_learning_curves_are_legible(metrics):
    names = [f"metric_{k}" for k in range(metrics)]
    history = [{name: epoch, f"val_{name}": epoch} for epoch in range(9) for name in names[:1]]
    history = [{**logs, **dict.fromkeys(names, 1.0)} for logs in history]
    figure = figures.learning_curves(history, best=3)
    assert_legible(figure)
    # The legend covers no curve.
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(axis.get_window_extent()) for axis in figure.axes)


def test_a_name_is_shortened_in_its_middle():
    assert shortened("cat", 3) == "cat"
    assert shortened("tabby cat (left)", 12) == "tabby c…eft)"
    assert text_width(shortened("北京市的一种很长的名字", 12)) <= 12
    assert shortened("two\nlines", 20) == "two lines"
