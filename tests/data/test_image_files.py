import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.image_files import grey, read_image, read_image_bytes
from dlrecipes.errors import DataError, UsageError


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array)).save(path, **options)
    return path


GREY = np.array([[0, 50, 100], [150, 200, 250]], "u1")


@pytest.mark.parametrize("suffix", ["png", "bmp", "pgm", "tiff", "gif"])
def test_grey_images_are_read_unchanged(tmp_path, suffix):
    np.testing.assert_array_equal(read_image(save(tmp_path / f"a.{suffix}", GREY), "L"), GREY)


def test_colour_is_converted_to_luminance(tmp_path):
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], "u1")
    path = save(tmp_path / "a.png", colours)
    np.testing.assert_array_equal(read_image(path), colours)
    # ITU-R BT.601: 0.299, 0.587 and 0.114 of 255.
    np.testing.assert_allclose(read_image(path, "L"), [[76, 150, 29]], atol=1)
    np.testing.assert_array_equal(grey(colours), [[76, 150, 29]])
    assert grey(np.zeros((0, 4, 5, 3), "uint8")).shape == (0, 4, 5)


def test_grey_images_take_little_memory_besides_their_own():
    images = np.zeros((200, 50, 50, 3), "uint8")
    tracemalloc.start()
    grey(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < images.nbytes


def test_transparent_pixels_become_white(tmp_path):
    pixels = np.array([[[0, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 128]]], "u1")
    image = read_image(save(tmp_path / "a.png", pixels), "L")
    np.testing.assert_allclose(image, [[0, 255, 127]], atol=1)


def test_16_bit_images_keep_their_upper_8_bits(tmp_path):
    deep = (GREY.astype("u2") << 8) + 17
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", deep), "L"), GREY)


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # Rotated by 90 degrees to the left: the first row is the right side.
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", "L"), np.rot90(GREY, -1))


def test_unreadable_images_are_reported_in_one_line_with_the_file(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), "u1")
    whole = save(tmp_path / "a.png", noise).read_bytes()
    for name, content, message in [
        ("cut.png", whole[: len(whole) // 2], "cannot be read"),
        ("text.png", b"hello", "this is not an image"),
        ("empty.jpg", b"", "this is not an image"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}.*{message}") as caught:
            read_image(tmp_path / name)
        assert "\n" not in str(caught.value)
    monkeypatch.setattr("dlrecipes.data.image_decoding.LARGEST", 4095)
    with pytest.raises(DataError, match="64 x 64 pixels are too many"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("read", [read_image, read_image_bytes])
def test_missing_files_and_folders_are_usage_errors(tmp_path, read):
    with pytest.raises(UsageError, match=r"none\.png: there is no such file\. Give the path of"):
        read(tmp_path / "none.png")
    with pytest.raises(UsageError, match=r": expected a file, got a folder\. Give the path of"):
        read(str(tmp_path))


def test_unreadable_paths_are_one_line_errors(tmp_path):
    with pytest.raises(DataError, match=r"the image cannot be read: File name too long"):
        read_image(tmp_path / ("a" * 300 + ".png"))
    with pytest.raises(UsageError, match=r"~no user\.png: there is no such file"):
        read_image("~no user.png")


def test_home_folders_are_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "a.png", GREY)
    np.testing.assert_array_equal(read_image("~/a.png", "L"), GREY)


@pytest.mark.parametrize("suffix", ["png", "pgm", "tiff"])
def test_image_bytes_are_a_png_of_the_same_pixels(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", GREY)
    with Image.open(io.BytesIO(read_image_bytes(path))) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), read_image(path))


def test_image_bytes_of_damaged_files_are_data_errors(tmp_path):
    (tmp_path / "a.png").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"a\.png: this is not an image"):
        read_image_bytes(tmp_path / "a.png")
