"""Images in files, and in folders by class."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Literal

import numpy as np

from dlrecipes.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
# More pixels than that are a mistake, or an attack.
LARGEST = 100_000_000
# Luminance of red, green and blue, ITU-R BT.601.
LUMINANCE = (0.299, 0.587, 0.114)


def read_image(path: Path, mode: Literal["L", "RGB"] = "RGB") -> np.ndarray:
    """Returns the pixels of an image file, upright; what is transparent is white.

    Args:
        path: A PNG, JPEG, BMP, GIF (its first frame), PGM, PPM, TIFF or WebP file.
        mode: `"L"` for grey (luminance, ITU-R BT.601), `"RGB"` for colour.

    Returns:
        uint8 array of shape `(height, width)` for `"L"`, `(height, width, 3)` for `"RGB"`. Of 16
        bits the upper 8 are taken.

    Raises:
        DataError: If it is no image, or not the whole of one.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(path) as file:
            # Pillow warns of what is refused here.
            warnings.simplefilter("ignore")
            if file.width * file.height > LARGEST:
                raise DataError(f"{path}: {file.width} x {file.height} pixels are too many.")
            upright = ImageOps.exif_transpose(file)
            if upright.mode.startswith("I"):
                deep = np.asarray(upright, "int64")
                upright = Image.fromarray((deep.clip(0, 65_535) // 256).astype("uint8"))
            elif upright.has_transparency_data:
                layer = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
            return np.asarray(upright.convert("RGB").convert(mode))
    except UnidentifiedImageError:
        raise DataError(
            f"{path}: this is no image.", f"Files of {', '.join(SUFFIXES)} are read."
        ) from None
    except DataError:
        raise
    except Exception as error:
        # What Pillow's many readers raise on damaged files is of any kind.
        raise DataError(
            f"{path}: the image cannot be read: {str(error).rstrip('.')}.", "Copy it again."
        ) from None


def grey(images: np.ndarray) -> np.ndarray:
    """Returns the luminance of images, uint8, of shape `(..., height, width)`.

    Args:
        images: uint8 of shape `(..., height, width, channels)`, of 1 channel, or 3 or more.
    """
    if images.shape[-1] == 1:
        return images[..., 0]
    return (images[..., :3] @ LUMINANCE).round().astype("uint8")


def classes(folder: Path) -> dict[str, list[Path]]:
    """Returns the image files of each class: a class is a folder of images.

    Hidden files, and files that are no images by their names, are left alone.

    Args:
        folder: Holds a folder a class.

    Returns:
        Sorted files by class, in the natural order of the names: 2 before 10.

    Raises:
        DataError: If there are no classes, only one, or one without images.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder.")
    names = [path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._"]
    found = {}
    for path in sorted(names, key=lambda path: natural(path.name)):
        found[path.name] = list_images(path)
        if not found[path.name]:
            raise DataError(
                f"{path}: the class has no images.",
                f"Put images there ({', '.join(SUFFIXES[:3])}, ...), or remove the folder.",
            )
    if len(found) < 2:
        what = "one class folder" if found else "no class folders"
        raise DataError(f"{folder}: {what}; at least two are wanted, a folder of images a class.")
    return found


def list_images(folder: Path) -> list[Path]:
    """Returns the image files of a folder in natural order, not those of folders in it."""
    files = (
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and path.is_file() and path.name[0] != "."
    )
    return sorted(files, key=lambda path: natural(path.name))


def parts(folder: Path) -> dict[str, Path]:
    """Returns the folders named train, validation (valid, val, dev) and test, where there are any.

    Raises:
        DataError: If two folders are of one part, or there are some but not train.
    """
    found = {}
    for part, names in PARTS.items():
        there = [folder / name for name in names if (folder / name).is_dir()]
        if len(there) > 1:
            both = " and ".join(path.name for path in there)
            raise DataError(f"{folder}: {both} are one part; keep one of them.")
        if there:
            found[part] = there[0]
    if found and "train" not in found:
        only = ", ".join(path.name for path in found.values())
        raise DataError(f"{folder}: {only}, but no folder train.")
    return found


def natural(name: str) -> list[tuple[int, int | str]]:
    """Returns what to sort by for numbers in names to count as numbers.

    Example:

    >>> sorted(["10", "2", "b", "a10", "a9"], key=natural)
    ['2', '10', 'a9', 'a10', 'b']
    """
    # ASCII digits alone: other digits need not be integers to Python.
    return [
        (0, int(part)) if re.fullmatch("[0-9]+", part) else (1, part.casefold())
        for part in re.split("([0-9]+)", name)
        if part
    ]
