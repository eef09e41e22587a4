"""Figures of image classification: which images and networks they show."""

import numpy as np
import pytest
from image_classification_case import module, recipe


class Model:
    class_names = ("cat", "dog", "fox")
    network = None


def test_a_class_is_shown_by_the_images_predicted_as_it_the_surest_first(monkeypatch):
    figures = module("figures")
    monkeypatch.setattr(figures, "preferred_images", lambda *_: np.zeros((3, 4, 4, 1)))
    images = [np.full((4, 4, 1), level, "uint8") for level in range(4)]
    probabilities = np.array([[0.6, 0.4, 0], [0.1, 0.9, 0], [0.8, 0.2, 0], [0.45, 0.55, 0]])
    figure = figures._preferred(Model(), images, probabilities)
    rows = np.reshape(figure.axes, (3, 3))[:, 1:]
    shown = [[int(axis.images[0].get_array().max()) for axis in row if axis.images] for row in rows]
    assert shown == [[2, 0], [1, 3], []]
    assert "the surest first" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("settings", "title"),
    [
        ({}, "Networks on built-in cats and dogs; "),
        ({"data": "photos/cats_dogs"}, "Networks on cats_dogs; "),
        # Nothing was measured on them: a single star compares nothing.
        ({"data": "photos/pets"}, None),
    ],
)
def test_the_title_distinguishes_drawn_images_from_photographs(settings, title, monkeypatch):
    figures = module("figures")
    results = {"builtin": {"a": (0.1, 1e6, 1e5)}, "cats_dogs": {"b": (0.2, 1e6, 1e5)}}
    monkeypatch.setattr(figures, "mean_results", lambda _, name, __: results.get(name, {}))
    monkeypatch.setattr(figures, "count_macs", lambda _: 1e6)
    config = recipe(**settings).config
    drawn = list(figures._networks(Model(), np.eye(2), config))
    titles = [figure.axes[0].get_title() for figure in drawn]
    assert len(titles) == (title is not None)
    assert all(text.startswith(title) for text in titles)
