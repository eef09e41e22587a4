import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.image_files import classes, list_images, natural, parts, read_image
from dlrecipes.errors import DataError


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array)).save(path, **options)
    return path


GREY = np.array([[0, 50, 100], [150, 200, 250]], "u1")


@pytest.mark.parametrize("suffix", ["png", "bmp", "pgm", "tiff", "gif"])
def test_grey_images_are_read_as_they_are(tmp_path, suffix):
    np.testing.assert_array_equal(read_image(save(tmp_path / f"a.{suffix}", GREY), "L"), GREY)


def test_colour_becomes_luminance(tmp_path):
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], "u1")
    path = save(tmp_path / "a.png", colours)
    np.testing.assert_array_equal(read_image(path), colours)
    # ITU-R BT.601: 0.299, 0.587 and 0.114 of 255.
    np.testing.assert_allclose(read_image(path, "L"), [[76, 150, 29]], atol=1)


def test_what_is_transparent_is_white(tmp_path):
    pixels = np.array([[[0, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 128]]], "u1")
    found = read_image(save(tmp_path / "a.png", pixels), "L")
    np.testing.assert_allclose(found, [[0, 255, 127]], atol=1)


def test_of_16_bits_the_upper_8_are_taken(tmp_path):
    deep = (GREY.astype("u2") << 8) + 17
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", deep), "L"), GREY)


def test_a_photograph_taken_sideways_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned a quarter to the left: the image's right side is its top.
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", "L"), np.rot90(GREY, -1))


def test_damage_is_told_in_one_line_with_the_file(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), "u1")
    whole = save(tmp_path / "a.png", noise).read_bytes()
    for name, content, message in [
        ("cut.png", whole[: len(whole) // 2], "cannot be read"),
        ("text.png", b"hello", "no image"),
        ("empty.jpg", b"", "no image"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}.*{message}") as caught:
            read_image(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"none\.png.*cannot be read"):
        read_image(tmp_path / "none.png")
    monkeypatch.setattr("dlrecipes.data.image_files.LARGEST", 4095)
    with pytest.raises(DataError, match="64 x 64 pixels are too many"):
        read_image(tmp_path / "a.png")


def test_classes_are_folders_in_natural_order(tmp_path):
    for name in ("10", "9", ".hidden", "数字"):
        save(tmp_path / name / "b.PNG", GREY)
    save(tmp_path / "9" / "a10.png", GREY)
    save(tmp_path / "9" / "a9.jpg", GREY)
    (tmp_path / "9" / "notes.txt").write_text("")
    (tmp_path / "9" / ".a.png").write_bytes(b"")
    found = classes(tmp_path)
    assert list(found) == ["9", "10", "数字"]
    assert [path.name for path in found["9"]] == ["a9.jpg", "a10.png", "b.PNG"]
    assert list_images(tmp_path) == []


def test_folders_that_are_no_classes_are_told(tmp_path):
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


def test_parts_are_found_by_their_usual_names(tmp_path):
    assert parts(tmp_path) == {}
    for name in ("train", "val", "test"):
        (tmp_path / name).mkdir()
    found = parts(tmp_path)
    assert {part: path.name for part, path in found.items()} == {
        "train": "train",
        "validation": "val",
        "test": "test",
    }
    (tmp_path / "valid").mkdir()
    with pytest.raises(DataError, match="valid and val are one part"):
        parts(tmp_path)


def test_parts_need_one_to_train_on(tmp_path):
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match="test, but no folder train"):
        parts(tmp_path)


def test_numbers_in_names_count_as_numbers():
    assert sorted(["x²", "10", "2", "b1", "a"], key=natural) == ["2", "10", "a", "b1", "x²"]
