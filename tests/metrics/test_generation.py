"""Distances of generated to real examples, against formulas and counting by hand."""

import numpy as np
import pytest

from dlrecipes.metrics.generation import frechet_distance, nearest_distance, precision_recall

RNG = np.random.default_rng(0)


def test_distance_of_normal_distributions_along_axes_has_a_closed_form():
    # Whitened exactly, so that means and covariances are those wanted.
    points = RNG.normal(size=(400, 3))
    points -= points.mean(axis=0)
    points = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points, rowvar=False))).T
    scales, shift = np.array([1.0, 2.0, 0.5]), np.array([1.0, -2.0, 0.0])
    found = frechet_distance(points, points * scales + shift)
    wanted = np.sum(shift**2) + np.sum((1 - scales) ** 2)
    assert found == pytest.approx(wanted, rel=1e-3)


def test_distance_is_symmetric_and_zero_to_itself():
    one, other = RNG.normal(size=(60, 5)), RNG.normal(1, 2, size=(70, 5))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-4)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one), rel=1e-6)


def test_distance_of_fewer_examples_than_features_is_a_number():
    one, other = RNG.normal(size=(5, 30)), RNG.normal(size=(6, 30))
    assert np.isfinite(frechet_distance(one, other))


def test_precision_and_recall_are_those_of_counting_balls():
    real, generated = RNG.normal(size=(40, 2)), RNG.normal(0.7, 1, size=(50, 2))

    def region_holds(points, region, k):
        held = []
        for point in points:
            inside = False
            for centre in region:
                gaps = np.sort(np.linalg.norm(region - centre, axis=1))
                inside |= np.linalg.norm(point - centre) <= gaps[k]
            held.append(inside)
        return np.mean(held)

    for k in (1, 3):
        found = precision_recall(real, generated, k)
        assert found == pytest.approx(
            (region_holds(generated, real, k), region_holds(real, generated, k))
        )


def test_a_collapsed_generator_is_precise_and_recalls_little():
    real = RNG.normal(size=(200, 2))
    alike = real[0] + 1e-6 * RNG.normal(size=(200, 2))
    precision, recall = precision_recall(real, alike)
    assert precision == 1
    assert recall <= 1 / 200
    assert nearest_distance(alike) < 1e-3 * nearest_distance(real)


def test_nearest_distance_by_hand():
    assert nearest_distance(np.array([[0.0], [1.0], [5.0]])) == pytest.approx((1 + 1 + 4) / 3)


@pytest.mark.parametrize(
    "real, generated, message",
    [
        (np.zeros((3, 2)), np.zeros((3, 4)), "must be of shape"),
        (np.zeros(3), np.zeros(3), "must be of shape"),
        (np.zeros((1, 2)), np.zeros((3, 2)), "at least two"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), "no number"),
    ],
)
def test_what_cannot_be_compared_is_refused(real, generated, message):
    for score in (frechet_distance, precision_recall):
        with pytest.raises(ValueError, match=message):
            score(real, generated)


def test_more_neighbours_than_points_are_refused():
    with pytest.raises(ValueError, match="neighbours must be"):
        precision_recall(np.zeros((3, 2)), np.zeros((9, 2)), 3)
