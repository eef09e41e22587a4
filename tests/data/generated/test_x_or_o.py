"""Generated X and O: letters that no linear model of the pixels separates."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from dlrecipes.data.generated.x_or_o import CLASSES, x_or_o


@pytest.fixture(scope="module")
def letters():
    return x_or_o(1200, seed=3)


def test_images_are_grey_and_labels_balanced(letters):
    images, labels = letters
    assert images.shape == (1200, 36, 36, 3) and images.dtype == np.uint8
    assert labels.dtype == np.int32 and set(labels) == set(range(len(CLASSES)))
    np.testing.assert_array_equal(images[..., 0], images[..., 1])
    np.testing.assert_array_equal(images[..., 0], images[..., 2])
    # One of each class in every pair, so that any beginning is balanced.
    np.testing.assert_array_equal(labels.reshape(-1, 2).sum(axis=1), 1)
    assert 0.4 < labels[::2].mean() < 0.6


def test_images_depend_on_seed_and_number_alone(letters):
    images, labels = letters
    few, few_labels = x_or_o(10, seed=3)
    np.testing.assert_array_equal(few, images[:10])
    np.testing.assert_array_equal(few_labels, labels[:10])
    middle, middle_labels = x_or_o(5, seed=3, first=7)
    np.testing.assert_array_equal(middle, images[7:12])
    np.testing.assert_array_equal(middle_labels, labels[7:12])
    assert (x_or_o(10, seed=4)[0] != few).mean() > 0.5


def test_cells_are_squares_of_one_grey(letters):
    images, _ = letters
    cells = images[:, ::4, ::4]
    np.testing.assert_array_equal(images, cells.repeat(4, axis=1).repeat(4, axis=2))
    # Another size shows the same cells.
    np.testing.assert_array_equal(x_or_o(20, seed=3, size=9)[0], cells[:20])
    np.testing.assert_array_equal(
        x_or_o(20, seed=3, size=32)[0][:, 2::7, 2::7][:, 0, 0], cells[:20, 0, 0]
    )


def test_brightness_does_not_depend_on_the_letter(letters):
    images, labels = letters
    means = images.mean(axis=(1, 2, 3))
    both = [means[labels == label] for label in (0, 1)]
    error = np.sqrt(sum(m.var() / len(m) for m in both))
    assert abs(both[0].mean() - both[1].mean()) < 4 * error


def test_a_linear_model_does_not_separate_the_letters(letters):
    images, labels = letters
    cells = images[:, ::4, ::4, 0].reshape(len(images), -1) / 255
    model = LogisticRegression(C=0.1, max_iter=300).fit(cells[:800], labels[:800])
    assert model.score(cells[800:], labels[800:]) < 0.65


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"count": 0}, "count must be at least 1, not 0"),
        ({"size": 8}, "size must be at least 9"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"first": -1}, "first must be at least 0"),
    ],
)
def test_arguments_out_of_bounds_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        x_or_o(**{"count": 1, "seed": 0, **arguments})
