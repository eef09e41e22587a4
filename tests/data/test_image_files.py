import io

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.image_files import (
    classes,
    grey,
    list_images,
    natural,
    parts,
    read_image,
    read_image_bytes,
)
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


def test_classes_are_folders_in_natural_order(tmp_path):
    for name in ("10", "9", ".hidden", "数字"):
        save(tmp_path / name / "b.PNG", GREY)
    save(tmp_path / "9" / "a10.png", GREY)
    save(tmp_path / "9" / "a9.jpg", GREY)
    (tmp_path / "9" / "notes.txt").write_text("")
    (tmp_path / "9" / ".a.png").write_bytes(b"")
    files = classes(tmp_path)
    assert list(files) == ["9", "10", "数字"]
    assert [path.name for path in files["9"]] == ["a9.jpg", "a10.png", "b.PNG"]
    assert list_images(tmp_path) == []


def test_folders_without_two_classes_of_images_are_rejected(tmp_path):
    with pytest.raises(DataError, match="no class folders"):
        classes(tmp_path)
    save(tmp_path / "a" / "1.png", GREY)
    with pytest.raises(DataError, match="one class folder"):
        classes(tmp_path)
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match=r"b: the class has no images"):
        classes(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        classes(tmp_path / "c")


def test_splits_are_found_by_their_usual_names(tmp_path):
    assert parts(tmp_path) == {}
    for name in ("train", "val", "test"):
        (tmp_path / name).mkdir()
    assert {split: path.name for split, path in parts(tmp_path).items()} == {
        "train": "train",
        "validation": "val",
        "test": "test",
    }
    (tmp_path / "valid").mkdir()
    with pytest.raises(DataError, match="valid and val hold the same split"):
        parts(tmp_path)


def test_splits_without_train_are_rejected(tmp_path):
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match="expected a folder train next to test"):
        parts(tmp_path)


def test_numbers_in_names_are_sorted_by_value():
    assert sorted(["x²", "10", "2", "b1", "a"], key=natural) == ["2", "10", "a", "b1", "x²"]
