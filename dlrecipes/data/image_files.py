"""Image files, one by one or in folders by class."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from dlrecipes.data.image_decoding import SUFFIXES, decode_image
from dlrecipes.data.sources import expand_home
from dlrecipes.errors import DataError, UsageError, reason

if TYPE_CHECKING:
    from PIL import Image

PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
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
    content = io.BytesIO()
    # The bytes are decoded at once, so speed matters more than size.
    _open(path).save(content, "PNG", compress_level=1)
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
    return (images[..., :3] @ LUMINANCE).round().astype("uint8")


def classes(folder: Path) -> dict[str, list[Path]]:
    """Returns the image files of each class, given a folder with one folder of images per class.

    Hidden files and files without an image suffix are ignored.

    Args:
        folder: Folder that holds one folder per class.

    Returns:
        Sorted files by class, with the classes in the natural order of their names: 2 before 10.

    Raises:
        DataError: If there are fewer than two classes, or a class has no images.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder.")
    folders = [path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._"]
    files = {}
    for path in sorted(folders, key=lambda path: natural(path.name)):
        files[path.name] = list_images(path)
        if not files[path.name]:
            raise DataError(
                f"{path}: the class has no images.",
                f"Put images there ({', '.join(SUFFIXES[:3])}, ...), or remove the folder.",
            )
    if len(files) < 2:
        count = "one class folder" if files else "no class folders"
        raise DataError(
            f"{folder}: expected at least two class folders, got {count}.",
            "Give a folder with one folder of images per class.",
        )
    return files


def list_images(folder: Path) -> list[Path]:
    """Returns the image files of a folder in natural order, without those of its subfolders."""
    files = (
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and path.is_file() and path.name[0] != "."
    )
    return sorted(files, key=lambda path: natural(path.name))


def parts(folder: Path) -> dict[str, Path]:
    """Returns the folders of the splits `train`, `validation` and `test`, as far as they exist.

    Args:
        folder: Folder that may hold such folders; `valid`, `val` and `dev` stand for `validation`,
            `training` for `train` and `testing` for `test`.

    Returns:
        Folders by split; empty if there are none.

    Raises:
        DataError: If two folders hold the same split, or there are splits but not `train`.
    """
    splits = {}
    for split, names in PARTS.items():
        paths = [folder / name for name in names if (folder / name).is_dir()]
        if len(paths) > 1:
            both = " and ".join(path.name for path in paths)
            raise DataError(f"{folder}: {both} hold the same split.", "Keep one of them.")
        if paths:
            splits[split] = paths[0]
    if splits and "train" not in splits:
        others = ", ".join(path.name for path in splits.values())
        raise DataError(f"{folder}: expected a folder train next to {others}.")
    return splits


def natural(name: str) -> list[tuple[int, int | str]]:
    """Returns a sort key that compares the numbers in names by value.

    Example:

    >>> from dlrecipes.data.image_files import natural
    >>> sorted(["10", "2", "b", "a10", "a9"], key=natural)
    ['2', '10', 'a9', 'a10', 'b']
    """
    # Only ASCII digits: `int` does not accept every Unicode digit.
    return [
        (0, int(part)) if re.fullmatch("[0-9]+", part) else (1, part.casefold())
        for part in re.split("([0-9]+)", name)
        if part
    ]
