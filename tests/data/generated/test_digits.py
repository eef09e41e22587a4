"""Generated digits: the format of MNIST, every style, and the variety of many hands."""

import time

import numpy as np
import pytest

from dlrecipes.data.generated import digits
from dlrecipes.data.generated.digit_styles import STYLES, Style
from dlrecipes.data.generated.digits import generated_digits
from dlrecipes.data.generated.strokes import parse


@pytest.fixture(scope="module")
def drawn():
    return generated_digits(2000, seed=3)


def written(digit, name, count=300, seed=0):
    """Returns images of one style."""
    (style,) = (style for style in STYLES[digit] if style.name == name)
    numbers = np.random.default_rng(seed).standard_normal((count, digits._DIGIT), "float32")
    return digits._written(digit, style, digits._Numbers(numbers))


def test_images_have_the_box_and_the_centre_of_mass_of_mnist(drawn):
    images, labels = drawn
    assert images.shape == (2000, 28, 28) and images.dtype == np.uint8
    assert labels.dtype == np.int32 and labels.tolist() == list(range(10)) * 200
    heights, widths = ((images.max(axis=axis) > 0).sum(axis=1) for axis in (2, 1))
    extents = [np.ptp(np.nonzero(image.max(axis=1))[0]) + 1 for image in images]
    assert np.maximum(heights, widths).max() == 20 and max(extents) == 20
    np.testing.assert_array_equal(images.max(axis=(1, 2)), 255)
    places = np.arange(28) + 0.5
    mass = images.sum(axis=(1, 2), dtype=float)
    for axis in (1, 2):
        middle = images.sum(axis=axis) @ places / mass
        # Half a pixel by rounding; the edge of the image stops few digits.
        assert np.mean(np.abs(middle - 14.5) <= 0.5 + 1e-9) > 0.98


def test_images_depend_on_seed_and_number_alone(drawn):
    images, labels = drawn
    few, few_labels = generated_digits(10, seed=3)
    np.testing.assert_array_equal(few, images[:10])
    np.testing.assert_array_equal(few_labels, labels[:10])
    middle, middle_labels = generated_digits(9, seed=3, first=17)
    np.testing.assert_array_equal(middle, images[17:26])
    np.testing.assert_array_equal(middle_labels, labels[17:26])
    assert all((generated_digits(10, seed=4)[0] != few).any(axis=(1, 2)))
    assert len({image.tobytes() for image in images}) == len(images)


def test_each_style_has_its_frequency(monkeypatch):
    counts = {(digit, style.name): 0 for digit, own in STYLES.items() for style in own}

    def count(digit, style, numbers):
        counts[digit, style.name] += len(numbers)
        return np.zeros((len(numbers), 28, 28), "uint8")

    monkeypatch.setattr(digits, "_written", count)
    number = 2000
    generated_digits(10 * number, seed=0)
    for digit, own in STYLES.items():
        total = sum(style.weight for style in own)
        for style in own:
            share = style.weight / total
            # Five standard deviations of a binomial count.
            margin = 5 * np.sqrt(number * share * (1 - share))
            assert abs(counts[digit, style.name] - number * share) < margin, style


@pytest.mark.parametrize(
    "style", [pytest.param(s, id=f"{d} {s.name}") for d, own in STYLES.items() for s in own]
)
def test_both_forms_of_a_style_have_the_same_points_corners_and_strokes(style):
    first, other = parse(style.form), parse(style.other or style.form)
    assert first.numbers.tolist() == other.numbers.tolist()
    assert first.strokes == other.strokes
    assert style.weight > 0


def test_styles_have_unique_names():
    assert sorted(STYLES) == list(range(10))
    for own in STYLES.values():
        assert len({style.name for style in own}) == len(own) >= 3


def crossings(images, row):
    """Returns how many strokes a row of pixels crosses."""
    ink = np.pad((images[:, row] > 100).astype(int), [[0, 0], [1, 0]])
    return (np.diff(ink, axis=1) == 1).sum(axis=1)


def test_styles_look_as_their_names_say():
    # An open 4 has two strokes at the top; a closed one has one.
    assert np.median(crossings(written(4, "open"), 7)) == 2
    assert np.median(crossings(written(4, "triangle"), 7)) == 1
    # The bar of a 7 makes its middle wider.
    plain, barred = (
        (written(7, name)[:, 12:18] > 100).any(axis=1).sum(axis=1) for name in ("plain", "barred")
    )
    assert np.median(barred) > 1.3 * np.median(plain)
    # A slashed 0 has ink in its middle.
    slashed, empty = (written(0, name)[:, 12:16, 12:16].mean() for name in ("slashed", "closed"))
    assert slashed > 3 * empty


def test_thickness_slant_and_width_vary(drawn):
    images, labels = drawn
    eights = images[labels == 8].astype(float) / 255
    ink = eights.sum(axis=(1, 2))
    assert ink.max() > 2.5 * ink.min()
    places = np.arange(28) - 13.5
    slants = np.einsum("nyx,y,x->n", eights, -places, places) / np.einsum(
        "nyx,y,y->n", eights, places, places
    )
    # Most lean to the right, as most people's handwriting does, and many to the left.
    assert slants.mean() > 0 and 0.1 < np.mean(slants < 0) < 0.5
    widths = (eights.max(axis=1) > 0.3).sum(axis=1)
    assert np.ptp(widths) >= 8


def test_the_digits_of_a_writer_share_a_pen(drawn):
    images, _ = drawn
    ink = images.reshape(200, 10, -1).mean(axis=2)
    ink = (ink - ink.mean(axis=0)) / ink.std(axis=0)
    # Independent digits would give about 1/10 as the variance of a writer's mean.
    assert ink.mean(axis=1).var() > 0.3


def test_ten_thousand_images_take_seconds():
    start = time.process_time()
    generated_digits(2000, seed=1)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("arguments", [(0, 0), (1, -1), (1, 0, -1)])
def test_arguments_out_of_bounds_are_rejected(arguments):
    with pytest.raises(ValueError, match="must be at least"):
        generated_digits(*arguments)


def test_a_style_may_have_one_form():
    assert Style("bar", 1, "0,0 0,100").other == ""
