"""The size of an upright image, and boxes on it, follow from the header alone."""

import io

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.image_decoding import decode_image
from dlrecipes.data.image_orientation import read_header, upright_boxes

BOX = (3, 5, 11, 9)


def rotated(orientation, kind="PNG"):
    """An image file whose stored pixels are white inside of BOX."""
    pixels = np.zeros((20, 30), "uint8")
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    exif = Image.Exif()
    exif[274] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, exif=exif)
    return file


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_surrounds_the_same_pixels_in_every_orientation(orientation):
    file = rotated(orientation)
    header = read_header(file, "image")
    upright = np.asarray(decode_image(file, "image"))
    assert header[:2] == (30, 20)
    assert header.upright == upright.shape
    ((left, top, right, bottom),) = upright_boxes(np.array([BOX]), header).tolist()
    rows, columns = np.nonzero(upright)
    assert (left, right) == (columns.min(), columns.max() + 1)
    assert (top, bottom) == (rows.min(), rows.max() + 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_upright_size_matches_the_decoded_image(kind):
    file = rotated(6, kind)
    assert read_header(file, "image").upright == np.asarray(decode_image(file, "image")).shape[:2]


def test_no_boxes_stay_no_boxes():
    empty = np.zeros((0, 4), "float32")
    assert upright_boxes(empty, read_header(rotated(6), "image")).shape == (0, 4)
