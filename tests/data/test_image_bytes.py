"""Image files are decoded in the graph the way Pillow decodes them outside it."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlrecipes.data.image_bytes import (
    LUMINANCE,
    decode,
    decode_batch,
    encode_batch,
    of_channels,
    prepare_batch,
    to_signed,
    to_uint8,
)
from dlrecipes.data.image_files import read_image
from dlrecipes.errors import DataError

RNG = np.random.default_rng(0)
SHAPES = {"L": (9, 7), "LA": (9, 7, 2), "RGB": (9, 7, 3), "RGBA": (9, 7, 4)}


def saved(mode, path=None, **options):
    image = Image.fromarray(RNG.integers(0, 256, SHAPES[mode], dtype="uint8"), mode)
    file = io.BytesIO() if path is None else path
    image.save(file, options.pop("format", "PNG"), **options)
    return file.getvalue() if path is None else path.read_bytes()


@pytest.mark.parametrize("channels, pillow_mode", [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize("mode", SHAPES)
def test_pixels_match_pillows(tmp_path, mode, channels, pillow_mode):
    content = saved(mode, tmp_path / "a.png")
    pixels = decode(content, channels).numpy()
    expected = read_image(tmp_path / "a.png", pillow_mode).reshape(9, 7, channels)
    # Pillow rounds to integers twice: after compositing and after computing luminance.
    np.testing.assert_allclose(255 * pixels, expected, atol=1.6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3])
def test_exif_orientation_is_applied(tmp_path, orientation, channels):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.new("RGB", (32, 16), "blue")
    image.paste("white", (0, 0, 16, 8))
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = decode((tmp_path / "a.jpg").read_bytes(), channels).numpy()
    expected = read_image(tmp_path / "a.jpg", "L" if channels == 1 else "RGB")
    np.testing.assert_allclose(255 * pixels, expected.reshape(pixels.shape), atol=4)


def test_rank_and_channels_are_known_in_the_graph():
    traced = tf.function(lambda content: decode(content, 3)).get_concrete_function(
        tf.TensorSpec([], tf.string)
    )
    assert traced.output_shapes.as_list() == [None, None, 3]


def test_grey_is_computed_without_a_matrix_product():
    """In TensorFlow 2.21 the product of images with one row writes beyond its memory.

    Within a `tf.function`, `tf.linalg.matvec` of shapes (64, 1, 8, 3) and (3,) ends the process,
    which let a single request end a server.
    """
    grey = tf.function(lambda pixels: of_channels(pixels, 1))
    graph = grey.get_concrete_function(tf.TensorSpec([None, None, None, None])).graph
    assert not [op.type for op in graph.get_operations() if "MatMul" in op.type]
    pixels = np.random.default_rng(0).random((64, 1, 8, 3), "float32")
    expected = pixels @ np.float32(LUMINANCE)
    np.testing.assert_allclose(grey(pixels)[..., 0], expected, atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n cut off"])
def test_undecodable_files_give_a_one_line_error(content):
    with pytest.raises(DataError, match="The image cannot be decoded") as caught:
        decode(content)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_pixels_become_white(channels):
    clear = tf.constant([[[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0]]])
    pixels = of_channels(clear, channels).numpy()
    assert pixels[0, 0] == pytest.approx(np.ones(channels))
    assert pixels[0, 1] == pytest.approx([0.299] if channels == 1 else [1, 0, 0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", SHAPES)
def test_files_and_arrays_are_prepared_equally(mode, channels):
    contents = [saved(mode) for _ in range(3)]
    arrays = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in contents])
    arrays = arrays.reshape(3, 9, 7, -1)

    def prepare(image):
        return image[:4, :5] / 2

    shape = (4, 5, channels)
    from_files = tf.function(lambda x: decode_batch(x, prepare, shape))(tf.constant(contents))
    assert from_files.shape == (3, *shape)
    from_arrays = tf.function(lambda x: prepare_batch(x, prepare, shape))(tf.constant(arrays))
    np.testing.assert_allclose(from_arrays.numpy(), from_files.numpy(), atol=1e-6)
    expected = decode(contents[2], channels).numpy()[:4, :5] / 2
    np.testing.assert_array_equal(from_files.numpy()[2], expected)


def test_files_of_different_sizes_fit_into_one_batch():
    contents = [tf.io.encode_png(np.zeros((size, 9, 1), "uint8")).numpy() for size in (5, 8)]
    images = decode_batch(tf.constant(contents), lambda image: image[:5], (5, 9, 1))
    assert images.shape == (2, 5, 9, 1)


def test_encoded_images_decode_to_the_same_pixels():
    images = RNG.integers(0, 256, (3, 9, 7, 3), dtype="uint8")
    for content, image in zip(encode_batch(images).numpy(), images, strict=True):
        np.testing.assert_array_equal(Image.open(io.BytesIO(content)), image)


def test_conversion_to_signed_floats_is_undone():
    levels = np.arange(256, dtype="uint8")
    signed = to_signed(levels).numpy()
    assert (signed[0], signed[255], signed.dtype) == (-1, 1, np.float32)
    np.testing.assert_array_equal(to_uint8(signed).numpy(), levels)
    np.testing.assert_array_equal(to_uint8(tf.constant([-1.2, 0.0, 3.0])).numpy(), [0, 128, 255])
