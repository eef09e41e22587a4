"""Files that cannot be used as images are recognized without decoding all of them."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data import image_screening
from dlrecipes.data.image_orientation import ImageHeader
from dlrecipes.data.image_screening import describe_skipped, screen_headers, screen_images

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), "uint8")
FORMATS = ("jpg", "png", "gif", "webp", "bmp", "tiff", "ppm")


def save(folder, name, pixels=PIXELS, **options):
    path = folder / name
    Image.fromarray(pixels).save(path, **options)
    return path


def huge_png(path, side):
    """A PNG file with the header of a large image and hardly any pixels."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(10))), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )
    return path


@pytest.mark.parametrize("kind", FORMATS)
def test_whole_images_can_be_used_and_truncated_ones_are_found(tmp_path, kind):
    whole = save(tmp_path, f"whole.{kind}")
    content = whole.read_bytes()
    cut = tmp_path / f"cut.{kind}"
    cut.write_bytes(content[: len(content) // 2])
    assert screen_images([whole, cut]) == [None, image_screening.DAMAGED]


def test_headers_say_size_and_orientation(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    paths = [save(tmp_path, "plain.png"), save(tmp_path, "rotated.jpg", exif=exif)]
    (tmp_path / "text.jpg").write_text("404")
    screened = screen_headers([*paths, tmp_path / "text.jpg"])
    assert [image.header for image in screened] == [
        ImageHeader(60, 40, 1),
        ImageHeader(60, 40, 6),
        None,
    ]
    assert [image.problem for image in screened] == [None, None, image_screening.NOT_AN_IMAGE]


@pytest.mark.parametrize("kind", ["jpg", "png", "gif"])
def test_bytes_after_the_end_of_an_image_do_no_harm(tmp_path, kind):
    path = save(tmp_path, f"long.{kind}")
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert screen_images([path]) == [None]


@pytest.mark.parametrize("kind", ["jpg", "png", "gif", "webp"])
def test_an_image_that_is_cut_off_in_its_header_is_damaged(tmp_path, kind):
    path = save(tmp_path, f"head.{kind}")
    path.write_bytes(path.read_bytes()[:20])
    assert screen_images([path]) == [image_screening.DAMAGED]


@pytest.mark.parametrize("content", [b"", b"404: not found", b"%PDF-1.4 text", bytes(5000)])
def test_the_content_decides_whether_a_file_is_an_image(tmp_path, content):
    (tmp_path / "photo.jpg").write_bytes(content)
    named = save(tmp_path, "photo.png", format="JPEG")
    assert screen_images([tmp_path / "photo.jpg", named]) == [image_screening.NOT_AN_IMAGE, None]


@pytest.mark.parametrize("side", [10_001, 20_000])
def test_images_with_too_many_or_too_few_pixels_are_refused_by_their_headers(
    tmp_path, monkeypatch, side
):
    monkeypatch.setattr(image_screening, "decode_image", None)
    paths = [
        huge_png(tmp_path / "huge.png", side),
        save(tmp_path, "dot.png", PIXELS[:1, :1]),
        save(tmp_path, "line.png", PIXELS[:1]),
        save(tmp_path, "small.png", PIXELS[:2, :2]),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reasons = screen_images(paths)
    too_small = image_screening.TOO_SMALL
    assert reasons == [image_screening.TOO_LARGE, too_small, too_small, None]


def test_a_file_that_is_missing_is_unreadable(tmp_path):
    assert screen_images([tmp_path / "none.png"]) == [image_screening.UNREADABLE]


def test_the_note_counts_files_by_reason_and_names_three():
    paths = [f"{number}.jpg" for number in range(6)]
    reasons = ["not an image"] * 4 + [None, "truncated or damaged"]
    assert describe_skipped(paths, reasons) == (
        "Skipped 5 of 6 files: 4 not an image (0.jpg, 1.jpg, 2.jpg, ...); "
        "1 truncated or damaged (5.jpg)."
    )
    assert describe_skipped(paths, [None] * 6) == ""
