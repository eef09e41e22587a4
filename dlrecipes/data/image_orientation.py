"""EXIF orientation without decoding: sizes of upright images, and boxes on them."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from dlrecipes.data.image_decoding import open_image, orientation_of

# Orientations that exchange width and height.
_SIDEWAYS = (5, 6, 7, 8)


class ImageHeader(NamedTuple):
    """Size and orientation of an image as its file stores them.

    Args:
        width: Width in pixels of the stored image, before it is made upright.
        height: Height in pixels of the stored image.
        orientation: EXIF orientation, 1 to 8; 1 if the file does not give it.
    """

    width: int
    height: int
    orientation: int

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width of the upright image."""
        if self.orientation in _SIDEWAYS:
            return self.width, self.height
        return self.height, self.width


def read_header(file: str | Path | BinaryIO, name: str | Path) -> ImageHeader:
    """Returns the size and orientation of an image without decoding it.

    Args:
        file: Path, or file opened for reading bytes.
        name: Name of the file for messages.

    Raises:
        DataError: If the file is not an image or has more than 100 million pixels.

    Example:

    >>> import io
    >>> from PIL import Image
    >>> from dlrecipes.data.image_orientation import read_header
    >>> file, exif = io.BytesIO(), Image.Exif()
    >>> exif[274] = 6
    >>> Image.new("RGB", (30, 20)).save(file, "JPEG", exif=exif)
    >>> header = read_header(file, "photo.jpg")
    >>> header, header.upright
    (ImageHeader(width=30, height=20, orientation=6), (30, 20))
    """
    with open_image(file, name) as image:
        return ImageHeader(*image.size, orientation_of(image))


def upright_boxes(boxes: np.ndarray, header: ImageHeader) -> np.ndarray:
    """Returns boxes on the stored image as boxes on the upright one.

    Args:
        boxes: `(left, top, right, bottom)` in pixels of the stored image, shape `(n, 4)`.
        header: Size and orientation of the stored image.

    Returns:
        Array of the same shape and type.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.image_orientation import ImageHeader, upright_boxes
    >>> upright_boxes(np.array([[0, 0, 10, 5]]), ImageHeader(30, 20, 6)).tolist()
    [[15, 0, 20, 10]]
    """
    left, top, right, bottom = boxes.T
    from_right, from_left = header.width - right, header.width - left
    from_bottom, from_top = header.height - bottom, header.height - top
    sides = {
        2: (from_right, top, from_left, bottom),
        3: (from_right, from_bottom, from_left, from_top),
        4: (left, from_bottom, right, from_top),
        5: (top, left, bottom, right),
        6: (from_bottom, left, from_top, right),
        7: (from_bottom, from_right, from_top, from_left),
        8: (top, from_right, bottom, from_left),
    }
    return np.stack(sides.get(header.orientation, (left, top, right, bottom)), axis=1)
