"""Charts show every curve that they are given."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from dlrecipes.figures import distinct_colours, learning_curves, roc_curves, save


def test_roc_curves_begin_at_the_smallest_false_accept_rate():
    rates = np.array([0.0, 0.01, 0.5, 1.0]), np.array([0.0, 0.6, 0.9, 1.0])
    figure = roc_curves({"network": rates, "pixels": rates}, "Verification")
    (axis,) = figure.axes
    assert axis.get_xlim() == (0.01, 1)
    assert legend(figure) == ["network", "pixels"]


def legend(figure):
    (below,) = figure.legends
    return [text.get_text() for text in below.get_texts()]


def test_every_roc_curve_has_a_colour_of_its_own():
    rates = np.array([0.0, 0.01, 1.0]), np.array([0.0, 0.6, 1.0])
    names = [f"curve {k}" for k in range(12)]
    figure = roc_curves(dict.fromkeys(names, rates), "Verification")
    lines = figure.axes[0].lines
    assert legend(figure) == names
    assert len({line.get_color() for line in lines}) == len(lines) == 12


@pytest.mark.parametrize(("width", "saved"), [(206, 618), (500, 500), (900, 900)])
def test_small_animations_are_enlarged_by_whole_pixels(tmp_path, width, saved):
    frames = np.random.default_rng(0).integers(0, 256, (2, 7, width, 1), "uint8")
    save(tmp_path, "training", frames)
    with Image.open(tmp_path / "training.gif") as image:
        scale = saved // width
        assert image.size == (saved, 7 * scale)
        pixels = np.array(image.convert("L"))
    assert (pixels[::scale, ::scale] == frames[0, :, :, 0]).all()


def test_the_legend_of_learning_curves_has_the_curves_first():
    # A gradient norm, in the first panel, has no validation curve.
    history = [{"gradient_norm": 2.0, "loss": 1.0, "val_loss": 1.1}]
    assert legend(learning_curves(history, 1)) == ["training", "validation", "kept: epoch 1"]


def test_a_single_epoch_is_a_point_with_its_number():
    axis = learning_curves([{"loss": 1.0}], 1).axes[0]
    assert axis.get_xticks().tolist() == [1]
    assert axis.lines[0].get_marker() == "o"


def test_a_legend_covers_no_axes():
    rates = np.array([0.0, 0.01, 1.0]), np.array([0.0, 0.6, 1.0])
    figure = roc_curves({f"curve {k}": rates for k in range(9)}, "Verification")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    axes = figure.axes[0].get_tightbbox(renderer)
    below = figure.legends[0].get_window_extent(renderer)
    assert not axes.overlaps(below)
    assert below.y0 >= 0


@pytest.mark.parametrize("count", [1, 8, 9, 40, 200])
def test_colours_do_not_repeat(count):
    assert len(set(distinct_colours(count))) == count
