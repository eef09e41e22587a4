"""Images are resized in the graph as Pillow resizes them for training."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data.faces import Size, fitted
from dlrecipes.data.image_bytes import decode
from dlrecipes.data.image_resizing import fit, fit_array, limit, prepare, resize, scale_array

PHOTOS = Path(__file__).parents[3] / "shared/data/cats_dogs/test/cat"


def photo_like(height, width, channels=3, seed=0):
    """An image with noise at every scale, as photos have, and sharp edges."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, channels))
    for side in (2, 4, 8, 16, 32, 64, 128):
        noise = rng.normal(0, 40, (side, side, channels))
        image += tf.image.resize(noise, (height, width), "bicubic").numpy()
    image[height // 3 : height // 2] += 90
    return np.clip(128 + image, 0, 255).round().astype("uint8")


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        *[(375, 500, 96), (97, 61, 96), (32, 32, 96), (9, 9, 64), (640, 480, 33), (96, 96, 96)],
        *[(1500, 6, 96), (3, 900, 32), (1, 500, 48)],
    ],
)
def test_the_graph_resizes_as_pillow_does(height, width, size):
    image = photo_like(height, width)
    expected = resize(image, size)
    served = 255 * prepare(image[None], size).numpy()[0]
    difference = np.abs(served - expected)
    assert difference.mean() < 0.5
    assert difference.max() < 1.5
    np.testing.assert_allclose(served, served.round(), atol=1e-3)
    without_graph = 255 * fit_array(image, size)
    # A value that lies between two grey levels up to rounding errors may become either.
    assert np.mean(np.abs(without_graph - served) > 0.5) < 1e-3
    files = 255 * fit(decode(tf.io.encode_png(image), 3), size).numpy()
    assert np.abs(files - served).max() < 1.5


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_grey_and_transparent_images_are_served_in_colour_on_white(channels):
    image = photo_like(40, 60, channels)
    served = 255 * prepare(image[None], 24).numpy()[0]
    colour = image if channels > 2 else np.repeat(image[..., :1], 3, axis=-1)
    colour = colour[..., :3].astype("float64")
    if channels in (2, 4):
        colour = 255 + image[..., -1:] / 255.0 * (colour - 255)
    expected = resize(colour.round().astype("uint8"), 24)
    assert np.abs(served - expected).max() < 1.5


def test_grey_images_are_resized_to_colour():
    image = photo_like(40, 60, 1)[..., 0]
    grey = fit_array(image, 24)
    assert grey.dtype == np.float32
    np.testing.assert_array_equal(grey, fit_array(np.repeat(image[..., None], 3, axis=2), 24))


@pytest.mark.parametrize(
    ("size", "expected"), [((40, 30), (40, 30)), ((100, 50), (50, 25)), ((2, 500), (1, 50))]
)
def test_an_image_is_limited_with_its_proportions(size, expected):
    assert limit(tf.ones([*size, 3]), 50).shape == (*expected, 3)


def test_an_image_of_the_right_size_is_not_changed():
    image = photo_like(32, 32)
    assert resize(image, 32).tolist() == image.tolist()
    np.testing.assert_allclose(255 * prepare(image[None], 32).numpy()[0], image, atol=1e-3)


def test_halving_an_image_weighs_its_pixels_by_a_triangle():
    # The triangle is two output pixels wide on each side: weights 1, 3, 3, 1 of 8.
    image = np.array([[0, 0, 0, 80, 0, 0, 0, 0]] * 8, "uint8")
    assert resize(image, 4)[1, :, 0].tolist() == [0, 30, 10, 0]


def test_halves_are_rounded_up_with_and_without_the_graph():
    image = np.random.default_rng(0).integers(0, 256, (80, 80, 3), "uint8")
    # Weights 1, 3, 3, 1 in both directions, so that sums are exact multiples of 1/64.
    inner = [image[k : k + 76 : 2].astype(int) for k in range(1, 5)]
    rows = inner[0] + 3 * inner[1] + 3 * inner[2] + inner[3]
    inner = [rows[:, k : k + 76 : 2] for k in range(1, 5)]
    sums = inner[0] + 3 * inner[1] + 3 * inner[2] + inner[3]
    assert (sums % 64 == 32).any()
    expected = (sums + 32) // 64
    served = 255 * fit(tf.constant(image / 255, tf.float32), 40).numpy()
    np.testing.assert_allclose(served[1:-1, 1:-1], expected, atol=1e-3)
    np.testing.assert_allclose(255 * fit_array(image, 40), served, atol=1e-3)


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="The photos are not there.")
@pytest.mark.parametrize("size", [32, 96, 128])
def test_a_reduced_jpeg_file_is_nearly_the_served_image(size):
    from dlrecipes.data.image_batches import image_batches
    from dlrecipes.data.image_examples import ImageExamples

    paths = sorted(PHOTOS.glob("*.jpg"))[:40]
    examples = ImageExamples.from_files(paths, [0] * len(paths), ("cat",))
    (images, _), *_ = image_batches(examples, size, len(paths), 0)[0]
    served = [255 * fit(decode(path.read_bytes(), 3), size).numpy() for path in paths]
    assert np.abs(images.numpy() - np.stack(served)).mean() < 1


@pytest.mark.parametrize(
    ("shape", "channels", "crop"),
    [
        ((40, 30), 1, 0.5),
        ((40, 30), 3, 1.0),
        ((70, 91, 3), 3, 0.7),
        ((20, 20, 3), 3, 1.0),
        ((300, 217, 3), 1, 1.0),
    ],
)
def test_images_are_cropped_and_scaled_as_in_the_graph(shape, channels, crop):
    image = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
    pixels = tf.constant(np.atleast_3d(image).astype("float32") / 255)
    expected = fitted(pixels, Size(32, crop, channels)).numpy()
    own = scale_array(image, 32, channels, crop)
    assert own.shape == (32, 32, channels)
    np.testing.assert_allclose(own, expected, atol=1e-5)
