"""Pairs of images side by side: halves, splits and errors that name the file."""

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.image_pairs import builtin_pairs, read_pairs
from dlrecipes.errors import DataError


def pair(path, left, right, size=(20, 30), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = Image.new(mode, (2 * size[0], size[1]), left)
    whole.paste(right, (size[0], 0, 2 * size[0], size[1]))
    whole.save(path)


def test_left_and_right_halves_stay_together(tmp_path):
    for number in range(10):
        pair(tmp_path / f"{number}.png", (10 * number, 0, 0), (0, 0, 200 - 10 * number))
    parts = read_pairs(tmp_path, 16, 0, "side_by_side")
    assert [len(part) for part in parts] == [8, 1, 1]
    seen = []
    for part in parts:
        for left, right in zip(part.left, part.right, strict=True):
            assert left.shape == right.shape == (16, 16, 3)
            assert (left == left[0, 0]).all()
            seen.append(int(left[0, 0, 0]))
            assert right[0, 0].tolist() == [0, 0, 200 - seen[-1]]
    assert sorted(seen) == [10 * number for number in range(10)]


def test_existing_splits_are_kept_and_validation_is_held_out(tmp_path):
    for number in range(10):
        pair(tmp_path / "train" / f"{number}.png", (10, number, 0), (0, 0, 0))
    pair(tmp_path / "test" / "a.png", (99, 0, 0), (0, 0, 0))
    train, validation, test = read_pairs(tmp_path, 16, 0, "side_by_side")
    assert (len(train), len(validation), len(test)) == (9, 1, 1)
    assert test.left[0, 0, 0, 0] == 99


@pytest.mark.parametrize("mode, colour", [("L", 90), ("RGBA", (90, 90, 90, 255)), ("P", 3)])
def test_grey_palette_and_alpha_images_become_rgb(tmp_path, mode, colour):
    for number in range(4):
        pair(tmp_path / f"{number}.png", colour, colour, mode=mode)
    assert read_pairs(tmp_path, 16, 0, "side_by_side")[0].left.shape[1:] == (16, 16, 3)


def test_built_in_pairs_are_photographs_and_label_maps():
    parts = builtin_pairs((3, 2, 1), 32, seed=0)
    assert [len(part) for part in parts] == [3, 2, 1]
    assert parts[0].left.shape == (3, 32, 32, 3)
    # A label map has few colours, a photograph many.
    assert len(np.unique(parts[0].right.reshape(-1, 3), axis=0)) <= 12
    assert len(np.unique(parts[0].left.reshape(-1, 3), axis=0)) > 100


@pytest.mark.parametrize(
    "size, message",
    [((41, 20), "got 41 x 20 pixels"), ((400, 20), "got 400 x 20"), ((10, 60), "got 10 x 60")],
)
def test_pairs_of_unequal_size_are_named(tmp_path, size, message):
    Image.new("RGB", size).save(tmp_path / "odd.png")
    with pytest.raises(DataError, match=rf"odd\.png: expected two images .* {message}"):
        read_pairs(tmp_path, 16, 0, "side_by_side")


def test_folders_with_too_few_images_are_rejected(tmp_path):
    with pytest.raises(DataError, match="there are no images"):
        read_pairs(tmp_path, 16, 0, "side_by_side")
    with pytest.raises(DataError, match="there is no such folder"):
        read_pairs(tmp_path / "none", 16, seed=0)
    pair(tmp_path / "a.png", 0, 0)
    with pytest.raises(DataError, match="at least 3 pairs, to hold out validation and test, got 1"):
        read_pairs(tmp_path, 16, 0, "side_by_side")


def test_a_damaged_image_is_named(tmp_path):
    pair(tmp_path / "a.png", 0, 0)
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"b\.png: the image cannot be read"):
        read_pairs(tmp_path, 16, 0, "side_by_side")
