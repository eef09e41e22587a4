"""Image files, read one by one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from dlrecipes.data.image_decoding import decode_image
from dlrecipes.data.sources import expand_home
from dlrecipes.errors import DataError, UsageError, reason

if TYPE_CHECKING:
    from PIL import Image

# Luminance of red, green and blue, ITU-R BT.601.
LUMINANCE = (0.299, 0.587, 0.114)


def read_image(path: str | Path, mode: Literal["L", "RGB"] = "RGB") -> np.ndarray:
    """Returns the pixels of an image file.

    EXIF orientation is applied, and transparent areas become white. Only the first frame or page is
    read. `dlrecipes.data.image_decoding.scale_to_uint8` scales values of more than 8 bits: the
    range that a file uses decides which value is white.

    Args:
        path: PNG, JPEG, BMP, GIF, PBM, PGM, PPM, TIFF, WebP or AVIF file, or a HEIC file if
            `pillow-heif` is installed; a leading `~` is expanded.
        mode: `"L"` for grey (luminance, ITU-R BT.601) or `"RGB"` for colour. Defaults to
            `"RGB"`.

    Returns:
        uint8 array of shape `(height, width)` for `"L"`, `(height, width, 3)` for `"RGB"`.

    Raises:
        UsageError: If the file does not exist, or `path` names a folder instead.
        DataError: If the file is not an image, is truncated or damaged, or has more than 100
            million pixels.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from dlrecipes.data.image_files import read_image
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> Image.fromarray(np.array([[0, 255]], "uint8")).save(path)
    >>> read_image(path, "L").tolist()
    [[0, 255]]
    """
    return np.asarray(_open(path).convert(mode))


def read_pixels(path: str | Path) -> np.ndarray:
    """Returns the pixels of an image file, grey or colour as the file is.

    Args:
        path: Image file, as for `read_image`.

    Returns:
        uint8 array of shape `(height, width)` or `(height, width, 3)`.

    Raises:
        UsageError: If the file does not exist, or `path` names a folder instead.
        DataError: If the file is not an image, or is truncated or damaged.
    """
    return np.asarray(_open(path))


def _open(path: str | Path) -> Image.Image:
    path = expand_home(path)
    try:
        if path.is_dir() or not path.exists():
            problem = "expected a file, got a folder" if path.is_dir() else "there is no such file"
            raise UsageError(f"{path}: {problem}.", "Give the path of an image file.")
    except OSError as error:
        raise DataError(f"{path}: the image cannot be read: {reason(error)}.") from None
    return decode_image(path, path)


def read_image_bytes(path: str | Path) -> bytes:
    """Returns the image in a file as PNG bytes, which a graph can decode.

    `dlrecipes.data.image_bytes.decode`, and thus signatures with an input `image_bytes`, support
    fewer formats than `read_image` does. The pixels are equal to those of `read_image`.

    Args:
        path: Image file of any format that `read_image` reads; a leading `~` is expanded.

    Returns:
        Grey or RGB image as PNG.

    Raises:
        UsageError: If the file does not exist, or `path` names a folder instead.
        DataError: If the file is not an image, or is truncated or damaged.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from dlrecipes.data.image_files import read_image_bytes
    >>> path = Path(tempfile.mkdtemp()) / "scan.tiff"
    >>> Image.fromarray(np.zeros((2, 3), "uint8")).save(path)
    >>> read_image_bytes(path)[1:4]
    b'PNG'
    """
    return encode_image(read_pixels(path))


def encode_image(image: np.ndarray) -> bytes:
    """Returns an image as PNG bytes.

    Args:
        image: uint8 array of shape `(height, width)` or `(height, width, 3)`.
    """
    from PIL import Image

    content = io.BytesIO()
    # The bytes are decoded at once, so speed matters more than size.
    Image.fromarray(image).save(content, "PNG", compress_level=1)
    return content.getvalue()


def grey(images: np.ndarray) -> np.ndarray:
    """Returns the luminance of colour images (ITU-R BT.601).

    Args:
        images: uint8 array of shape `(..., height, width, channels)` with 1 channel, or with 3 or
            more, of which the first three are red, green and blue.

    Returns:
        uint8 array of shape `(..., height, width)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.image_files import grey
    >>> red, white = [255, 0, 0], [255, 255, 255]
    >>> grey(np.array([[red, white]], "uint8")).tolist()
    [[76, 255]]
    """
    if images.shape[-1] == 1:
        return images[..., 0]
    if images.ndim == 3:
        return (images[..., :3] @ LUMINANCE).round().astype("uint8")
    # One image at a time, because the product takes floats.
    result = np.empty(images.shape[:-1], "uint8")
    for number, image in enumerate(images):
        result[number] = grey(image)
    return result
