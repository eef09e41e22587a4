"""Eigenfaces are principal components, computed here by NumPy's singular values."""

import numpy as np

from dlrecipes.data import eigenfaces

RNG = np.random.default_rng(0)


def test_coordinates_are_projections_onto_the_components_that_keep_the_variance():
    training = RNG.normal(size=(50, 6)) * [9, 5, 3, 0.5, 0.2, 0.1]
    images = RNG.normal(size=(4, 6))
    coordinates = eigenfaces.eigenface_coordinates(training, images, variance=0.95)
    centred = training - training.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    kept = int(np.searchsorted(np.cumsum(values**2) / np.sum(values**2), 0.95)) + 1
    assert coordinates.shape == (4, kept)
    expected = (images - training.mean(axis=0)) @ directions[:kept].T
    # The sign of a component is arbitrary.
    np.testing.assert_allclose(np.abs(coordinates), np.abs(expected), atol=1e-8)


def test_every_second_of_many_images_is_used(monkeypatch):
    monkeypatch.setattr(eigenfaces, "MOST", 10)
    training, images = RNG.normal(size=(20, 3)), RNG.normal(size=(2, 3))
    coordinates = eigenfaces.eigenface_coordinates(training, images)
    half = eigenfaces.eigenface_coordinates(training[::2], images)
    np.testing.assert_allclose(coordinates, half)


def test_grey_levels_are_fractions_of_255():
    training, images = RNG.integers(0, 256, (20, 4)), RNG.integers(0, 256, (2, 4))
    bytes_ = [part.astype("uint8") for part in (training, images)]
    fractions = [(part / 255).astype("float32") for part in (training, images)]
    coordinates = eigenfaces.eigenface_coordinates(*bytes_)
    np.testing.assert_allclose(coordinates, eigenfaces.eigenface_coordinates(*fractions), atol=1e-6)
