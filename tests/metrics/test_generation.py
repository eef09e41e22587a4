"""Distances between generated and real examples, against formulas and manual counts."""

import numpy as np
import pytest

from dlrecipes.metrics.generation import frechet_distance, nearest_distance, precision_recall

RNG = np.random.default_rng(0)


def test_distance_of_axis_aligned_normal_distributions_matches_the_closed_form():
    # Whitened exactly, so that the sample's mean is 0 and its covariance the identity.
    points = RNG.normal(size=(400, 3))
    points -= points.mean(axis=0)
    points = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points, rowvar=False))).T
    scales, shift = np.array([1.0, 2.0, 0.5]), np.array([1.0, -2.0, 0.0])
    distance = frechet_distance(points, points * scales + shift)
    expected = np.sum(shift**2) + np.sum((1 - scales) ** 2)
    assert distance == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-4, 1e3])
def test_distance_scales_with_the_square_of_the_features(scale):
    # One feature in two dimensions: the covariances are singular.
    points = np.array([[-1.0, 0.0], [1.0, 0.0]]) * scale
    # The standard deviations are sqrt(2) scale and three times as much.
    expected = (2 * np.sqrt(2) * scale) ** 2
    assert frechet_distance(points, 3 * points) == pytest.approx(expected, rel=1e-6)


def test_distance_is_symmetric_and_zero_for_equal_sets():
    first, second = RNG.normal(size=(60, 5)), RNG.normal(1, 2, size=(70, 5))
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    forward, backward = frechet_distance(first, second), frechet_distance(second, first)
    assert forward == pytest.approx(backward, rel=1e-6)


def test_distance_is_finite_with_fewer_examples_than_features():
    first, second = RNG.normal(size=(5, 30)), RNG.normal(size=(6, 30))
    assert np.isfinite(frechet_distance(first, second))


def test_precision_and_recall_match_a_count_of_points_in_balls():
    real, generated = RNG.normal(size=(40, 2)), RNG.normal(0.7, 1, size=(50, 2))

    def fraction_inside(points, region, k):
        is_inside = []
        for point in points:
            inside = False
            for centre in region:
                gaps = np.sort(np.linalg.norm(region - centre, axis=1))
                inside |= np.linalg.norm(point - centre) <= gaps[k]
            is_inside.append(inside)
        return np.mean(is_inside)

    for k in (1, 3):
        scores = precision_recall(real, generated, k)
        assert scores == pytest.approx(
            (fraction_inside(generated, real, k), fraction_inside(real, generated, k))
        )


def test_collapsed_generator_has_high_precision_and_low_recall():
    real = RNG.normal(size=(200, 2))
    collapsed = real[0] + 1e-6 * RNG.normal(size=(200, 2))
    precision, recall = precision_recall(real, collapsed)
    assert precision == 1
    assert recall <= 1 / 200
    assert nearest_distance(collapsed) < 1e-3 * nearest_distance(real)


def test_nearest_distance_by_hand():
    assert nearest_distance(np.array([[0.0], [1.0], [5.0]])) == pytest.approx((1 + 1 + 4) / 3)


@pytest.mark.parametrize(
    "real, generated, message",
    [
        (np.zeros((3, 2)), np.zeros((3, 4)), "must have shape"),
        (np.zeros(3), np.zeros(3), "must have shape"),
        (np.zeros((1, 2)), np.zeros((3, 2)), "at least two"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), "contain NaN"),
    ],
)
def test_incomparable_features_are_rejected(real, generated, message):
    for score in (frechet_distance, precision_recall):
        with pytest.raises(ValueError, match=message):
            score(real, generated)


def test_too_many_neighbours_are_rejected():
    with pytest.raises(ValueError, match="neighbours must be from 1 to 2, not 3"):
        precision_recall(np.zeros((3, 2)), np.zeros((9, 2)), 3)
