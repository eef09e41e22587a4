"""Curves of detectors name their classes, and the worst of many."""

from dataclasses import dataclass

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from dlrecipes.figures import (
    precision_recall,
    recall_by_number,
)


@dataclass
class Curve:
    interpolated: np.ndarray
    objects: int = 5

    @property
    def average_precision(self):
        return float(self.interpolated.mean())


def test_the_legend_gives_average_precisions():
    curves = {"cat": Curve(np.full(101, 0.25)), "dog": Curve(np.full(101, 0.75), 3)}
    figure = precision_recall(curves, "Test")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    expected = ["dog  AP 0.750, n = 3", "cat  AP 0.250, n = 5", "all 2 classes  mean AP 0.500"]
    assert labels == expected
    assert figure.axes[0].lines[-1].get_ydata() == pytest.approx(np.full(101, 0.5))


def test_of_many_classes_the_worst_are_named():
    curves = {f"class {n}": Curve(np.full(101, n / 100)) for n in range(80)}
    figure = precision_recall(curves, "Test")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == "68 other classes"
    assert [label.split("  ")[0] for label in labels[1:-1]] == [
        f"class {n}" for n in range(11, -1, -1)
    ]
    styles = {
        (line.get_linestyle(), to_rgb(line.get_color())) for line in figure.axes[0].lines[68:80]
    }
    assert len(styles) == 12


def test_recall_is_drawn_by_the_number_of_proposals():
    figure = recall_by_number(np.array([[0.5, 0.9], [0.2, 0.6]]), [10, 1000], [0.5, 0.7], "Test")
    axis = figure.axes[0]
    assert [line.get_ydata().tolist() for line in axis.lines] == [[0.5, 0.9], [0.2, 0.6]]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["10", "1,000"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["overlap of at least 0.5", "overlap of at least 0.7"]
