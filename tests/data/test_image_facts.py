"""Each file is read once: its size, colours and hash, or the reason why it cannot be used."""

import io

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data import image_facts
from dlrecipes.data.image_facts import EncodedImage, read_facts


def write(path, size=(40, 30), mode="L", **options):
    noise = np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), "uint8")
    Image.fromarray(noise).convert(mode).save(path, **options)
    return path


def facts(path):
    return image_facts.image_facts(path)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA"])
def test_size_format_and_colours_are_those_of_the_file(tmp_path, mode):
    found = facts(write(tmp_path / "image.png", mode=mode))
    assert (found.width, found.height, found.mode, found.format) == (40, 30, mode, "PNG")
    assert found.problem is None


def test_width_and_height_belong_to_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    found = facts(write(tmp_path / "rotated.jpg", mode="RGB", exif=exif))
    assert (found.width, found.height) == (30, 40)


def test_copies_have_equal_hashes_and_others_do_not(tmp_path):
    first = write(tmp_path / "1.png")
    copy = tmp_path / "2.png"
    copy.write_bytes(first.read_bytes())
    other = write(tmp_path / "3.png", size=(41, 30))
    digests = [found.digest for found in read_facts([first, copy, other])]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("text.jpg", lambda png: b"404 not found", "not an image"),
        ("empty.png", lambda png: b"", "empty"),
        ("cut.png", lambda png: png[: len(png) // 2], "truncated"),
    ],
)
def test_what_cannot_be_read_is_a_problem_with_the_name(tmp_path, name, content, why):
    png = write(tmp_path / "whole.png").read_bytes()
    (tmp_path / name).write_bytes(content(png))
    problem = str(facts(tmp_path / name).problem)
    assert name in problem and why in problem


def test_an_oversized_image_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("dlrecipes.data.image_decoding.LARGEST", 1000)
    found = facts(write(tmp_path / "large.png"))
    assert "40 x 30 pixels are too many" in str(found.problem)


def test_a_missing_file_is_a_problem_and_the_others_are_read(tmp_path):
    paths = [tmp_path / "gone.png", write(tmp_path / "image.png")]
    gone, image = read_facts(paths)
    assert "gone.png" in str(gone.problem) and gone.digest is None
    assert image.problem is None


def test_an_image_without_a_file_of_its_own_is_read_from_its_bytes():
    content = io.BytesIO()
    Image.new("RGB", (9, 8)).save(content, "PNG")
    found = facts(EncodedImage("tfds:x, image 3", content.getvalue))
    assert (found.width, found.height, str(found.source)) == (9, 8, "tfds:x, image 3")


def test_more_files_than_wait_at_once_keep_their_order(tmp_path):
    path = write(tmp_path / "image.png")
    count = 3 * image_facts._WINDOW
    paths = [path if k % 2 else tmp_path / f"{k}.png" for k in range(count)]
    counted = []
    found = list(read_facts(paths, counted.append))
    assert [one.source for one in found] == paths
    assert counted == list(range(1, count + 1))
