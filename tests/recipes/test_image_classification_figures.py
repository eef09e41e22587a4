"""Figures of image classification: which images and networks they show."""

import numpy as np
from image_classification_case import module


class Model:
    class_names = ("cat", "dog", "fox")


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
