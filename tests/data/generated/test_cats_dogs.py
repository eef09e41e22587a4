"""Generated cats and dogs: only their shape tells them apart."""

import numpy as np
import pytest

from dlrecipes.data.generated.cats_dogs import CLASSES, cats_dogs


@pytest.fixture(scope="module")
def animals():
    return cats_dogs(600, seed=3, size=32)


def test_images_are_colour_and_labels_balanced(animals):
    images, labels = animals
    assert images.shape == (600, 32, 32, 3) and images.dtype == np.uint8
    assert labels.dtype == np.int32 and CLASSES == ("cat", "dog")
    # One of each class in every pair, so that any beginning is balanced.
    np.testing.assert_array_equal(labels.reshape(-1, 2).sum(axis=1), 1)
    assert 0.4 < labels[::2].mean() < 0.6


def test_images_depend_on_seed_and_number_alone(animals):
    images, labels = animals
    few, few_labels = cats_dogs(10, seed=3, size=32)
    np.testing.assert_array_equal(few, images[:10])
    np.testing.assert_array_equal(few_labels, labels[:10])
    middle, middle_labels = cats_dogs(5, seed=3, size=32, first=7)
    np.testing.assert_array_equal(middle, images[7:12])
    np.testing.assert_array_equal(middle_labels, labels[7:12])
    assert (cats_dogs(10, seed=4, size=32)[0] != few).mean() > 0.5


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"count": 0}, "count must be at least 1, not 0"),
        ({"size": 15}, "size must be at least 16"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"first": -1}, "first must be at least 0"),
    ],
)
def test_arguments_out_of_bounds_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        cats_dogs(**{"count": 1, "seed": 0, **arguments})
