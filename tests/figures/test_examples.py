"""Sheets of examples: no image or text lies over another."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dlrecipes.figures import example_images, example_texts, save


def boxes(figure):
    renderer = FigureCanvasAgg(figure).get_renderer()
    return [text.get_window_extent(renderer) for text in figure.axes[0].texts]


@pytest.mark.parametrize(
    "names",
    [
        ("cat", "dog"),
        ("a very long name of a class of images", "x"),
        ("一二三四五六七八九十" * 4, "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW"),
    ],
)
def test_names_and_title_are_inside_the_sheet_and_apart(tmp_path, names):
    image = np.zeros((40, 30, 3), "uint8")
    figure = example_images([(name, [image] * 3) for name in names], "Examples of the train part")
    found = boxes(figure)
    width, height = figure.canvas.get_width_height()
    assert all(box.x0 >= 0 and box.x1 <= width and 0 <= box.y0 <= height for box in found)
    assert not any(a.overlaps(b) for k, a in enumerate(found) for b in found[:k])
    save(tmp_path, "examples", figure)
    assert (tmp_path / "examples.png").is_file()


@pytest.mark.parametrize("shape", [(1, 1), (5, 900, 3), (900, 5, 1), (28, 28)])
def test_images_of_any_size_are_shown(shape):
    assert example_images([("x", [np.zeros(shape, "uint8")])], "Examples")


def test_long_lines_of_a_text_are_wrapped():
    figure = example_texts([("train", "word " * 200), ("test", "北京" * 200)], "Lines")
    width, _ = figure.canvas.get_width_height()
    assert max(box.x1 for box in boxes(figure)) <= width
