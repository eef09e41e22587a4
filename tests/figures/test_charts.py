"""Charts show every curve that they are given."""

import numpy as np

from dlrecipes.figures import roc_curves


def test_roc_curves_begin_at_the_smallest_false_accept_rate():
    rates = np.array([0.0, 0.01, 0.5, 1.0]), np.array([0.0, 0.6, 0.9, 1.0])
    figure = roc_curves({"network": rates, "pixels": rates}, "Verification")
    (axis,) = figure.axes
    assert axis.get_xlim() == (0.01, 1)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["network", "pixels"]
