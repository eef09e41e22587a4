"""Generated and scanned digits together: no writer is in two parts."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dlrecipes.data.varied_digits import GENERATED, scanned_digits, varied_digits


@pytest.fixture(scope="module")
def parts():
    return varied_digits(0)


def test_each_part_has_generated_and_scanned_digits_in_the_format_of_mnist(parts):
    assert [len(part) for part in parts] == [6000 + 1029, 1000 + 258, 1000 + 510]
    for part in parts:
        assert part.names == tuple("0123456789")
        assert part.images.shape[1:] == (28, 28) and part.images.dtype == np.uint8
        assert part.labels.dtype == np.int32
        assert np.bincount(part.labels).min() > 0.08 * len(part)
        boxes = [
            max(np.ptp(places) + 1 for places in np.nonzero(image > 127)) for image in part.images
        ]
        assert np.mean(np.isin(boxes, (18, 19, 20))) > 0.98
        places = np.arange(28) + 0.5
        mass = part.images.sum(axis=(1, 2), dtype=float)
        for axis in (1, 2):
            middle = part.images.sum(axis=axis) @ places / mass
            assert np.mean(np.abs(middle - 14.5) <= 0.6) > 0.95


def test_no_image_is_in_two_parts(parts):
    seen = [image.tobytes() for part in parts for image in part.images]
    assert len(set(seen)) == len(seen)


def test_a_seed_changes_the_generated_digits_only(parts):
    for part, other, count in zip(parts, varied_digits(1), GENERATED, strict=True):
        np.testing.assert_array_equal(part.images[count:], other.images[count:])
        assert (part.images[:count] != other.images[:count]).any(axis=(1, 2)).all()


def test_the_scans_are_split_where_a_form_ends(parts):
    labels = np.concatenate([part.labels[n:] for part, n in zip(parts, GENERATED, strict=True)])
    np.testing.assert_array_equal(labels, load_digits().target)
    for part, count in zip(parts, GENERATED, strict=True):
        # Each form begins with the digits in order, three times.
        assert part.labels[count : count + 30].tolist() == list(range(10)) * 3


def test_enlarged_scans_show_what_the_small_ones_show():
    images, labels = scanned_digits()
    small = load_digits().images
    np.testing.assert_array_equal(labels, load_digits().target)
    # The fraction of a scan's ink that is in the upper half of its box.
    for image, scan in zip(images[::50], small[::50], strict=True):
        rows, columns = np.nonzero(image)
        box = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        rows, columns = np.nonzero(scan > 5)
        own = scan[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        halves = [(x[: len(x) // 2].sum(dtype=float) / x.sum(dtype=float)) for x in (box, own)]
        # An odd number of small rows leaves the middle one to the lower half.
        assert abs(halves[0] - halves[1]) < 0.25
