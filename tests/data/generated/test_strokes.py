"""Pen strokes: curves through control points, and their ink."""

import numpy as np
import pytest

from dlrecipes.data.generated.strokes import curve_weights, draw, parse


def test_a_form_has_points_corners_and_strokes():
    path = parse("0,0 100,50! 0,100 / 20,50 80,50")
    np.testing.assert_allclose(
        path.points, [[0, 0], [1, 0.5], [1, 0.5], [0, 1], [0.2, 0.5], [0.8, 0.5]]
    )
    assert path.numbers.tolist() == [0, 1, 1, 2, 3, 4]
    assert path.strokes == (slice(0, 4), slice(4, 6))


@pytest.mark.parametrize("form", ["0,0", "0,0 9,9 /", "0,0! 9,9", "0,0 9,9! / 1,1 2,2"])
def test_a_form_without_a_curve_is_rejected(form):
    with pytest.raises(ValueError, match="a stroke has two points or more"):
        parse(form)


def test_a_curve_passes_through_its_control_points():
    form = "0,0 100,0 100,100 0,100"
    curve = curve_weights(form, 301) @ parse(form).points
    np.testing.assert_allclose(curve_weights(form, 301).sum(axis=1), 1, atol=1e-6)
    for point in parse(form).points:
        assert np.linalg.norm(curve - point, axis=1).min() < 1e-4
    # A smooth curve through the corners of a square leaves the square.
    assert curve[:, 0].max() > 1.05


def test_strokes_are_not_joined_and_corners_are_sharp():
    form = "0,0 100,0! 100,100 / 0,100 0,50"
    curve = curve_weights(form, 251) @ parse(form).points
    gaps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    # Two units of length and half a unit: 200 and 50 steps, and the jump between the strokes.
    assert gaps.argmax() == 200 and np.sort(gaps)[-2] < 0.03
    np.testing.assert_allclose(curve[:201, 0].max(), 1, atol=1e-6)
    np.testing.assert_allclose(curve[:201, 1].min(), 0, atol=1e-6)


def vertical(count=100):
    points = np.stack([np.zeros(count), np.linspace(-3, 5, count)], axis=1)
    return points.astype("float32")[None]


def test_the_ink_of_a_straight_stroke_is_its_area():
    blur = np.full((1, 1), 0.01, "float32")
    image = draw(vertical(), np.full((1, 100), 4, "float32"), blur)[0] / 255
    rows, columns = np.nonzero(image)
    assert (rows.min(), rows.max()) == (4, 23)
    assert (columns.min(), columns.max()) == (12, 15)
    # A bar of 16 by 4 pixels and two half discs of radius 2, whose pixels are whole.
    assert image.sum() == pytest.approx(16 * 4 + np.pi * 2**2, abs=1.5)


def test_a_pen_that_gets_wider_leaves_more_ink_at_the_end():
    widths = np.linspace(1.5, 6, 100, dtype="float32")[None]
    image = draw(vertical(), widths, np.ones((1, 1), "float32"))[0]
    top, bottom = image[:14].sum(dtype=float), image[14:].sum(dtype=float)
    # The centre of mass is in the middle, so the thick end is nearer to it.
    assert (image > 0).any(axis=1).nonzero()[0].min() < 4
    assert bottom > top or abs(bottom - top) < 0.3 * top
    assert (image[20] > 100).sum() > 2 * (image[3] > 100).sum()


def test_thin_strokes_are_white_at_their_middle():
    points = vertical() + np.float32(0.37)
    image = draw(points, np.full((1, 100), 0.5, "float32"), np.ones((1, 1), "float32"))
    assert image.max() == 255
