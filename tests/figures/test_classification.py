"""Figures of classifiers: mistakes, confused labels, accuracy against cost."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

from dlrecipes.figures import (
    accuracy_by_cost,
    confusion,
    confusion_counts,
    mistakes,
    reliability_diagram,
)
from dlrecipes.figures.classification import percentage
from dlrecipes.metrics import reliability

PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.05, 0.95]])
TRUTH = np.array([1, 1, 1, 0])


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def test_the_most_confident_mistakes_come_first():
    figure = mistakes(np.zeros((4, 28, 28), "uint8"), TRUTH, PROBABILITIES, ["a", "b"])
    assert titles(figure) == ["a > b  95%", "b > a  90%", "b > a  60%"]
    assert "3 of 4" in figure.get_suptitle()


def test_a_single_mistake_is_counted_in_the_singular():
    figure = mistakes(np.zeros((2, 5, 5)), np.array([0, 0]), PROBABILITIES[:2], ["a", "b"])
    assert figure.get_suptitle().startswith("1 of 2 test images is misclassified")


def test_mistakes_beyond_the_maximum_are_counted_but_not_drawn():
    images = np.zeros((4, 5, 5, 3), "uint8")
    figure = mistakes(images, TRUTH, PROBABILITIES, ["a", "b"], most=2)
    assert titles(figure) == ["a > b  95%", "b > a  90%"]
    assert "3 of 4" in figure.get_suptitle()
    assert "the 2 most confident" in figure.get_suptitle()


def test_without_mistakes_the_least_confident_predictions_are_drawn():
    figure = mistakes(np.zeros((2, 5, 5)), np.array([0, 1]), PROBABILITIES[:2], ["a", "b"])
    assert titles(figure) == ["b  80%", "a  90%"]
    assert figure.get_suptitle().startswith("0 of 2 test images are misclassified; the 2 least")


def test_long_names_of_mistakes_stand_in_two_lines():
    images = [np.zeros((size, 9, 3), "uint8") for size in (5, 50, 7, 9)]
    names = ["a long-haired cat of the north", "a short-haired dog"]
    figure = mistakes(images, TRUTH, PROBABILITIES, names, most=1)
    first, second = titles(figure)[0].split("\n")
    assert first.startswith("a long-haired…")
    assert first.endswith("north")
    assert second.startswith("> a short")
    assert second.endswith(" dog 95%")


def test_a_probability_is_100_per_cent_only_if_it_is_nearly_certain():
    assert percentage(0.9996) == "100%"
    assert percentage(0.9989) == ">99%"
    assert percentage(0.994) == "99%"


@pytest.mark.parametrize("shape", [(4, 6, 6), (4, 6, 6, 1), (4, 6, 6, 3)])
def test_images_keep_their_values(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    figure = mistakes(images, TRUTH, PROBABILITIES, ["a", "b"])
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(np.asarray(shown).squeeze(), images[3].squeeze())


def test_confusion_counts_pairs_of_labels():
    names, counts = confusion_counts(["O", "a", "a", "b"], ["O", "a", "b", "O"])
    assert names == ["O", "a", "b"]
    # Rows are the truth: O once right; a once right, once taken for b; b taken for O.
    assert counts.tolist() == [[1, 0, 0], [0, 1, 1], [1, 0, 0]]
    assert confusion(counts, names, "Labels").get_suptitle() == "Labels"


def test_of_many_classes_the_most_confused_are_drawn_and_the_title_says_so():
    counts = np.diag(np.arange(100, 400))
    # A frequent class without mistakes is not among them.
    counts[7, 250], counts[250, 9], counts[120, 130] = 2, 1, 3
    names = [f"class {number}" for number in range(300)]
    figure = confusion(counts, names, "Classes, test", most=4)
    assert figure.get_suptitle() == "Classes, test: the 4 most confused of 300"
    axis = figure.axes[0]
    labels = ["class 7", "class 120", "class 130", "class 250", "(296 others)"]
    assert [text.get_text() for text in axis.get_yticklabels()] == labels
    numbers = {text.get_position(): text.get_text() for text in axis.texts}
    # Columns are predictions: 7 is taken for 250; 120 for 130; 250 for one of the others.
    assert (numbers[3, 0], numbers[2, 1], numbers[4, 3]) == ("2", "3", "1")
    others = counts.sum() - 2 - 1 - 3 - sum(100 + number for number in (7, 120, 130, 250))
    assert numbers[4, 4] == f"{others / 1000:.0f}k"


def test_all_of_a_few_classes_are_drawn():
    names = [f"class {number}" for number in range(40)]
    figure = confusion(np.eye(40, dtype=int), names, "Classes")
    assert figure.get_suptitle() == "Classes"
    assert len(figure.axes[0].get_yticklabels()) == len(figure.axes[0].texts) == 40


def test_as_many_predictions_as_labels_are_required():
    with pytest.raises(ValueError, match="shorter"):
        confusion_counts(["a", "b"], ["a"])


NETWORKS = {"small": (0.02, 1e5, 1e4), "large": (0.01, 1e7, 1e6), "near": (0.0201, 1.05e5, 1e4)}


def test_networks_are_drawn_at_their_accuracy_and_cost():
    axis = accuracy_by_cost(NETWORKS, "Three networks", ("this run", 0.03, 1e6)).axes[0]
    points = [tuple(points.get_offsets()[0]) for points in axis.collections]
    assert points[0] == pytest.approx((1e5, 98))
    assert points[4] == pytest.approx((1e7, 99))
    assert points[-1] == pytest.approx((1e6, 97))
    assert axis.get_title() == "Three networks"
    assert axis.figure.legends[0].get_texts()[0].get_text() == "this run"
    assert all(tick <= 100 for tick in axis.get_yticks())


def test_names_do_not_cover_large_networks():
    networks = {
        "AlexNet": (0.003, 3.8e6, 1_500_000),
        "VGG": (0.003, 1.07e7, 1_900_000),
        "small": (0.0, 4.9e6, 100_000),
    }
    figure = accuracy_by_cost(networks, "Networks")
    axis, boxes = figure.axes[0], []
    FigureCanvasAgg(figure).draw()
    names = [text for text in axis.texts if text.get_text()]
    for name in names:
        boxes.append(name.get_window_extent())
    for error, cost, size in networks.values():
        # Matplotlib's areas are squares of the diameter, in points.
        half = np.sqrt(size / 1000) / 2 * figure.dpi / 72
        centre = axis.transData.transform((cost, 100 * (1 - error)))
        marker = Bbox([centre - half, centre + half])
        assert not any(box.overlaps(marker) for box in boxes)
    assert len(names) == 3


def test_names_of_near_networks_do_not_overlap():
    figure = accuracy_by_cost(NETWORKS, "Three networks")
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert [text.get_text() for text in figure.axes[0].texts] == ["small", "near", "large"]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_without_measured_networks_only_this_run_is_drawn():
    axis = accuracy_by_cost({}, "None", ("this run", 0.03, 1e6)).axes[0]
    assert len(axis.collections) == 1


def test_a_reliability_diagram_shows_accuracy_and_count_of_each_bin():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.9, 0.1]])
    bins = reliability(probabilities, np.array([0, 1, 1, 0]), bins=2)
    figure = reliability_diagram(bins, "Calibration")
    upper, lower = figure.axes
    # All confidences are in the upper half: three of four are right; their mean is 0.825.
    assert [bar.get_height() for bar in upper.containers[0]] == [0, 0.75]
    gap = upper.containers[1][0]
    assert (gap.get_y(), gap.get_height()) == (0.75, pytest.approx(0.075))
    assert [bar.get_height() for bar in lower.containers[0]] == [0, 1]
    assert "7.5 %" in figure.get_suptitle()
