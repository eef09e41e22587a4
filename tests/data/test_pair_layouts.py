"""Pairs are found in one file or in two folders, and what is not a pair is refused."""

import re

import pytest
from PIL import Image

from dlrecipes.data.image_pairs import read_pairs
from dlrecipes.data.pair_layouts import find_pairs
from dlrecipes.errors import DataError

LEFT, RIGHT = (200, 0, 0), (0, 0, 100)


def image(path, size=(8, 8), colour=LEFT):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def joined(path, stacked=False, size=(8, 8)):
    width, height = size
    both = Image.new("RGB", (width, 2 * height) if stacked else (2 * width, height), LEFT)
    both.paste(RIGHT, (0, height, *both.size) if stacked else (width, 0, *both.size))
    path.parent.mkdir(parents=True, exist_ok=True)
    both.save(path)


def folders(root, left, right, names=("1.png", "2.png", "3.png", "4.png")):
    for name in names:
        image(root / left / name)
        image(root / right / name, colour=RIGHT)


def read(path, pairs="auto"):
    """Returns the numbers of pairs after checking the sides, and the notes."""
    notes = []
    parts = read_pairs(path, 8, 0, pairs, notes.append)
    for part in parts:
        assert part.left[0, 0, 0].tolist() == list(LEFT)
        assert part.right[-1, -1, -1].tolist() == list(RIGHT)
    return [len(part) for part in parts], notes


@pytest.mark.parametrize(
    ("stacked", "note"),
    [
        (False, "twice as wide as high: each is read as two (--pairs side_by_side)."),
        (True, "twice as high as wide: each is read as two, the upper one as the left one"),
    ],
)
def test_two_images_in_a_file_are_recognized_by_its_size(tmp_path, stacked, note):
    for number in range(4):
        joined(tmp_path / f"{number}.png", stacked)
    counts, notes = read(tmp_path)
    assert counts == [2, 1, 1]
    assert len(notes) == 1
    assert note in notes[0]


@pytest.mark.parametrize("size", [(8, 8), (24, 8), (10, 8), (8, 12)])
def test_other_sizes_are_refused_with_the_way_out(tmp_path, size):
    joined(tmp_path / "1.png")
    image(tmp_path / "2.png", size)
    with pytest.raises(DataError) as raised:
        read_pairs(tmp_path, 8, seed=0)
    assert f"2.png: {size[0]} x {size[1]} pixels are" in raised.value.message
    assert ("a single image" in raised.value.message) == (size == (8, 8))
    for way in ("--pairs side_by_side", "--pairs stacked", "--pairs folders"):
        assert way in raised.value.hint
    assert "\n" not in str(raised.value)


def test_both_kinds_of_joined_images_together_are_refused(tmp_path):
    joined(tmp_path / "1.png")
    joined(tmp_path / "2.png", stacked=True)
    with pytest.raises(DataError, match=r"1\.png is twice as wide as high, but .*2\.png twice as"):
        read_pairs(tmp_path, 8, seed=0)


def test_a_layout_that_is_given_is_not_guessed(tmp_path):
    for number in range(3):
        joined(tmp_path / f"{number}.png", size=(6, 8))
    assert read(tmp_path, "side_by_side") == ([1, 1, 1], [])
    with pytest.raises(DataError, match="two images of the same size one above the other"):
        image(tmp_path / "wide.png", (8, 9))
        read_pairs(tmp_path, 8, 0, "stacked")
    with pytest.raises(DataError, match="expected two folders of images, such as A and B"):
        read_pairs(tmp_path, 8, 0, "folders")


def test_an_upright_photograph_of_a_rotated_pair_has_its_upright_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(3):
        Image.new("RGB", (8, 16)).save(tmp_path / f"{number}.jpg", exif=exif)
    assert find_pairs(tmp_path, "auto", print).pairs == "side_by_side"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("A", "B"),
        ("target", "input"),
        ("outputs", "Source"),
        ("ground_truth", "input"),
        ("photos", "labels"),
        ("image", "mask"),
        ("after", "before"),
    ],
)
def test_folders_that_are_named_for_sides_are_joined_by_name(tmp_path, left, right):
    folders(tmp_path, left, right)
    counts, notes = read(tmp_path)
    assert counts == [2, 1, 1]
    assert notes == [f"{left} holds the left images and {right} the right ones, joined by name."]
    assert read(tmp_path, "folders")[0] == [2, 1, 1]


@pytest.mark.parametrize(
    "layout",
    ["{part}{side}", "{part}_{side}", "{side}/{part}", "{part}/{side}", "data/data/{part}{side}"],
)
def test_parts_and_sides_combine_in_every_usual_way(tmp_path, layout):
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        names = [f"{part}{number}.png" for number in range(count)]
        folders(tmp_path, *(layout.format(part=part, side=s) for s in "AB"), names)
    assert read(tmp_path)[0] == [4, 2, 3]


def test_images_without_a_partner_are_counted_and_named(tmp_path):
    folders(tmp_path, "A", "B")
    image(tmp_path / "A" / "5.png")
    image(tmp_path / "B" / "6.png")
    counts, notes = read(tmp_path)
    assert counts == [2, 1, 1]
    alone = tmp_path / "A" / "5.png"
    assert notes[1] == f"Images without a partner, left out: 2, such as {alone}."


def test_a_side_of_a_part_without_the_other_is_named(tmp_path):
    folders(tmp_path, "trainA", "trainB")
    image(tmp_path / "testA" / "1.png")
    counts, notes = read(tmp_path)
    assert counts == [2, 1, 1]
    assert notes[1] == f"{tmp_path}: without a partner, not read: testA."


def test_images_next_to_the_two_sides_are_named(tmp_path):
    for part in ("train", "test"):
        folders(tmp_path, f"A/{part}", f"B/{part}")
        joined(tmp_path / part / "1.png")
    assert read(tmp_path)[1] == [
        "A/train holds the left images and B/train the right ones, joined by name.",
        f"{tmp_path}: without a partner, not read: test, train.",
    ]


def test_names_are_joined_without_their_type_or_side(tmp_path):
    for number in range(3):
        image(tmp_path / "A" / f"{number}_A.jpg", colour=(255, 255, 255))
        image(tmp_path / "B" / f"{number}_B.png", colour=(255, 255, 255))
    files = find_pairs(tmp_path, "auto", print).files["train"]
    assert [(x.left.name, x.right.name) for x in files][:1] == [("0_A.jpg", "0_B.png")]


def test_unpaired_images_are_refused(tmp_path):
    for number in range(4):
        image(tmp_path / "trainA" / f"horse{number}.png")
        image(tmp_path / "trainB" / f"zebra{number}.png")
    with pytest.raises(DataError, match=r"trainA: 0 of 4 images have a partner of the same name"):
        read_pairs(tmp_path, 8, seed=0)


def test_sizes_that_differ_are_noted_and_shapes_that_differ_refused(tmp_path):
    folders(tmp_path, "A", "B")
    image(tmp_path / "B" / "2.png", (16, 16), RIGHT)
    larger = tmp_path / "A" / "2.png"
    _, notes = read(tmp_path)
    assert notes[1] == f"Pairs whose images differ in size, resized: 1, such as {larger}."
    image(tmp_path / "B" / "2.png", (16, 8), RIGHT)
    with pytest.raises(DataError, match=r"A/2\.png is 8 x 8 pixels, but .*B/2\.png 16 x 8"):
        read_pairs(tmp_path, 8, seed=0)


def test_two_files_of_one_name_are_refused(tmp_path):
    folders(tmp_path, "A", "B")
    image(tmp_path / "A" / "1.bmp")
    with pytest.raises(DataError, match=r"A: 1\.bmp and 1\.png have the same name"):
        read_pairs(tmp_path, 8, seed=0)


def test_two_folders_of_other_names_are_read_only_if_asked_for(tmp_path):
    folders(tmp_path, "day", "night")
    with pytest.raises(DataError, match=r"day and night are not known .* --pairs folders"):
        read_pairs(tmp_path, 8, seed=0)
    assert read(tmp_path, "folders") == (
        [2, 1, 1],
        ["day holds the left images and night the right ones, joined by name."],
    )


def test_a_single_side_and_its_square_images_are_refused(tmp_path):
    for number in range(4):
        image(tmp_path / "A" / f"{number}.png")
    with pytest.raises(DataError, match=re.escape("0.png: 8 x 8 pixels are a single image")):
        read_pairs(tmp_path, 8, seed=0)
