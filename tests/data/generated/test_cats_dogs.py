"""Generated cats and dogs: only their shape separates them."""

import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dlrecipes.data.generated.cats_dogs import CLASSES, cats_dogs


@pytest.fixture(scope="module")
def animals():
    return cats_dogs(900, seed=3)


def test_images_are_colour_and_labels_balanced(animals):
    images, labels = animals
    assert images.shape == (900, 64, 64, 3) and images.dtype == np.uint8
    assert labels.dtype == np.int32 and CLASSES == ("cat", "dog")
    # One of each class in every pair, so that any beginning is balanced.
    np.testing.assert_array_equal(labels.reshape(-1, 2).sum(axis=1), 1)
    assert 0.4 < labels[::2].mean() < 0.6


def test_images_depend_on_seed_and_number_alone(animals):
    images, labels = animals
    few, few_labels = cats_dogs(10, seed=3)
    np.testing.assert_array_equal(few, images[:10])
    np.testing.assert_array_equal(few_labels, labels[:10])
    middle, middle_labels = cats_dogs(5, seed=3, first=7)
    np.testing.assert_array_equal(middle, images[7:12])
    np.testing.assert_array_equal(middle_labels, labels[7:12])
    assert (cats_dogs(10, seed=4)[0] != few).mean() > 0.5


@pytest.mark.parametrize("size", [16, 33, 96, 160])
def test_other_sizes_show_the_same_animals(size):
    """Noise and edges differ, the large areas do not."""
    small, labels = cats_dogs(8, seed=5, size=64)
    other, other_labels = cats_dogs(8, seed=5, size=size)
    assert other.shape == (8, size, size, 3)
    np.testing.assert_array_equal(other_labels, labels)
    cells = [_cells(images, 8).ravel() for images in (small, other)]
    assert np.corrcoef(cells)[0, 1] > 0.9


def test_every_image_differs_and_has_contrast(animals):
    images, _ = animals
    assert len(np.unique(images.reshape(len(images), -1)[:, ::97], axis=0)) == len(images)
    assert images.std(axis=(1, 2)).max(axis=-1).min() > 8


def test_brightness_colour_and_contrast_do_not_depend_on_the_class(animals):
    images, labels = animals
    rim = np.concatenate([images[:, :8], images[:, -8:]], axis=1)
    for statistic in (
        images.mean(axis=(1, 2)),
        images.std(axis=(1, 2)),
        images[:, 20:44, 20:44].mean(axis=(1, 2)),
        rim.mean(axis=(1, 2)),
        rim.std(axis=(1, 2)),
    ):
        cats, dogs = (statistic[labels == label] for label in (0, 1))
        error = np.sqrt(cats.var(axis=0) / len(cats) + dogs.var(axis=0) / len(dogs))
        assert (np.abs(cats.mean(axis=0) - dogs.mean(axis=0)) < 4 * error).all()


@pytest.mark.parametrize("features", ["pixels", "histogram"])
def test_a_linear_model_does_not_separate_them(animals, features):
    images, labels = animals
    values, most = (_cells(images, 8), 0.75) if features == "pixels" else (_histogram(images), 0.6)
    assert _best_accuracy(values, labels, train=600) < most


@pytest.mark.slow
@pytest.mark.parametrize("cells", [8, 16, 32])
def test_a_linear_model_of_thousands_of_images_does_not_separate_them(thousands, cells):
    images, labels = thousands
    assert _best_accuracy(_cells(images, cells), labels, train=3000) < 0.75


@pytest.mark.slow
def test_colours_of_thousands_of_images_do_not_separate_them(thousands):
    images, labels = thousands
    assert _best_accuracy(_histogram(images), labels, train=3000) < 0.6


@pytest.mark.slow
def test_a_thousand_images_take_a_few_seconds():
    """The goal is 2 s on an idle core."""
    cats_dogs(2, seed=0)
    start = time.process_time()
    cats_dogs(1000, seed=0)
    assert time.process_time() - start < 6


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


@pytest.fixture(scope="module")
def thousands():
    return cats_dogs(4500, seed=8)


def _cells(images, cells):
    """Returns the mean colours of a grid of cells, of shape `(count, cells * cells * 3)`."""
    edges = (np.arange(cells) * images.shape[1] // cells).tolist()
    sums = np.add.reduceat(images.astype("float32"), edges, axis=1)
    sums = np.add.reduceat(sums, edges, axis=2)
    counts = np.diff([*edges, images.shape[1]])
    means = sums / (counts[:, None] * counts[None])[..., None]
    return means.reshape(len(images), -1) / 255


def _histogram(images):
    """Returns the fraction of pixels of each of 512 colours."""
    bins = (images // 32).astype(int) @ [64, 8, 1]
    return np.stack([np.bincount(b.ravel(), minlength=512) for b in bins]) / bins[0].size


def _best_accuracy(values, labels, train):
    """Returns the test accuracy of the best of four strengths of regularization."""
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=200))
        for c in (1e-4, 1e-3, 1e-2, 1e-1)
    ]
    return max(
        model.fit(values[:train], labels[:train]).score(values[train:], labels[train:])
        for model in models
    )
