import gzip
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data.digits import fitted
from dlrecipes.data.handwriting import normalise

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"


@pytest.fixture(scope="module")
def normalised():
    signature = [tf.TensorSpec([None, None], tf.float32)]
    function = tf.function(normalise, input_signature=signature)
    return lambda image: function(np.asarray(image, "float32")).numpy()


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    images = fitted((load_digits().images[:60] * (255 / 16)).round().astype("uint8"))
    return images.astype("float32") / 255


def photographed(digit, seed):
    """A digit ten times as large, dark on paper, off centre, in uneven light, with noise."""
    rng = np.random.default_rng(seed)
    large = np.asarray(tf.image.resize(digit[..., None], [280, 280], "bicubic"))[..., 0]
    paper = np.zeros((480, 640))
    top, left = rng.integers(20, 180), rng.integers(20, 340)
    paper[top : top + 280, left : left + 280] = large.clip(0, 1)
    light = 0.55 + 0.35 * np.linspace(0, 1, 640)[None] * np.linspace(1, 0.7, 480)[:, None]
    return (light * (1 - 0.8 * paper) + rng.normal(0, 0.01, paper.shape)).clip(0, 1)


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def test_photographed_digits_are_restored(normalised, digits):
    plain = [normalised(digit) for digit in digits]
    back = [normalised(photographed(digit, seed)) for seed, digit in enumerate(digits)]
    scores = [correlation(a, b) for a, b in zip(plain, back, strict=True)]
    assert np.median(scores) > 0.97
    assert min(scores) > 0.85
    # Another digit is not as similar.
    others = [correlation(a, b) for a, b in zip(plain, back[1:], strict=False)]
    assert np.median(others) < 0.75


def test_ink_is_light_for_dark_and_for_light_ink(normalised, digits):
    for digit in digits[:10]:
        frame = np.pad(digit, 10)
        np.testing.assert_allclose(normalised(1 - frame), normalised(frame), atol=0.12)


def test_the_box_is_filled_and_the_centre_of_mass_is_in_the_middle(normalised, digits):
    y, x = np.mgrid[:28, :28]
    for digit in digits:
        image = normalised(np.pad(digit, ((3, 60), (40, 5))))
        rows, columns = np.nonzero(image > 0.02)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)
        centre = np.array([(y * image).sum(), (x * image).sum()]) / image.sum()
        # The offset is in whole pixels, and the box may not leave the square.
        assert np.abs(centre - 13.5).max() < 4


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1), (2, 3), (28, 28), (300, 2), (2, 300)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_blank_image_gives_zeros(normalised, shape, level):
    assert not normalised(np.full(shape, level)).any()


def test_noise_nan_and_infinity_give_finite_results(normalised):
    rng = np.random.default_rng(0)
    for image in (rng.random((50, 60)), np.full((9, 9), np.nan), np.full((9, 9), np.inf)):
        result = normalised(image)
        assert np.isfinite(result).all()
        assert result.min() >= 0
        assert result.max() <= 1


@pytest.mark.skipif(not MNIST.exists(), reason="needs MNIST in shared/data")
def test_mnist_images_hardly_change(normalised):
    content = gzip.decompress(MNIST.read_bytes())
    images = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)[:200] / 255
    changes = [np.abs(normalised(image) - image).mean() for image in images]
    # The mean of an image's ink is 0.13.
    assert np.median(changes) < 0.02


def test_batches_match_single_images(digits):
    images = np.stack([photographed(digit, seed) for seed, digit in enumerate(digits[:6])])
    # One image is light on dark, another has no ink.
    images[1] = 1 - images[1]
    images[2] = 0.5
    images = images.astype("float32")
    batch = normalise(images).numpy()
    assert batch.shape == (6, 28, 28)
    assert not batch[2].any()
    for result, image in zip(batch, images, strict=True):
        np.testing.assert_allclose(result, normalise(image).numpy(), atol=1e-4)
    assert normalise(images[:0]).shape == (0, 28, 28)


def test_invalid_arguments_are_rejected():
    with pytest.raises(ValueError, match="size must be"):
        normalise(tf.zeros([9, 9]), 6)
    with pytest.raises(ValueError, match=r"shape \(height, width\)"):
        normalise(tf.zeros([9, 9, 1, 1]))
