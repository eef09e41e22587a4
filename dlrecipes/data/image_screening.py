"""A quick look at many image files: which of them cannot be used, by their headers and ends."""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from dlrecipes.data.image_decoding import (
    LARGEST,
    OversizedImageError,
    decode_image,
    open_image,
    orientation_of,
)
from dlrecipes.data.image_orientation import ImageHeader
from dlrecipes.data.sources import ARCHIVES
from dlrecipes.errors import DataError

# An image with a shorter side shows nothing.
LEAST_SIDE = 2
# Reading waits for disks and networks more than it computes.
_THREADS = 8
_CHUNK = 64
# Bytes at the end of a file in which the mark of its end lies.
_TAIL = 1024
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}
# First bytes of images: such a file without a readable header is damaged.
_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF")
_SHOWN = 3
# Bytes at the start of a file that show whether it is text.
_HEAD = 4096

NOT_AN_IMAGE = "not an image"
DAMAGED = "truncated or damaged"
TOO_LARGE = f"more than {LARGEST:,} pixels"
TOO_SMALL = f"a side below {LEAST_SIDE} pixels"
UNREADABLE = "unreadable"


class ScreenedImage(NamedTuple):
    """The header of an image file, and why the file cannot be used.

    Args:
        problem: Reason why the file cannot be used; `None` if it can.
        header: Size and orientation; `None` if they cannot be read.
    """

    problem: str | None
    header: ImageHeader | None = None


def screen_images(paths: Sequence[str | Path]) -> list[str | None]:
    """Returns the reason why each file cannot be used, or `None` if it can.

    Only headers and ends of files are read, in parallel. A file that lacks the mark of its end, or
    whose format has none, is decoded to see whether it is whole.

    Args:
        paths: Files to look at.

    Returns:
        `NOT_AN_IMAGE`, `DAMAGED`, `TOO_LARGE`, `TOO_SMALL`, `UNREADABLE` or `None` for each file.

    Example:

    >>> import pathlib, tempfile
    >>> from dlrecipes.data.image_screening import screen_images
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "photo.jpg"
    >>> _ = path.write_text("404: not found")
    >>> screen_images([path])
    ['not an image']
    """
    return [image.problem for image in screen_headers(paths)]


def screen_headers(paths: Sequence[str | Path]) -> list[ScreenedImage]:
    """Returns what the headers of files say, and why a file cannot be used, as `screen_images`.

    Args:
        paths: Files to look at.
    """
    chunks = [paths[k : k + _CHUNK] for k in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [image for part in pool.map(_screen_all, chunks) for image in part]


def describe_skipped(paths: Sequence[str | Path], reasons: Sequence[str | None]) -> str:
    """Returns a note about the files that are skipped, or `""` if there are none.

    Args:
        paths: Files that were looked at.
        reasons: Reasons from `screen_images`.

    Example:

    >>> from dlrecipes.data.image_screening import describe_skipped
    >>> describe_skipped(["a.jpg", "b.jpg", "c.png"], [None, "not an image", None])
    'Skipped 1 of 3 files: 1 not an image (b.jpg).'
    """
    groups: dict[str, list[str]] = {}
    for path, reason in zip(paths, reasons, strict=True):
        if reason:
            groups.setdefault(reason, []).append(str(path))
    if not groups:
        return ""
    texts = [
        f"{len(names):,} {reason} ({', '.join(names[:_SHOWN])}{', ...' * (len(names) > _SHOWN)})"
        for reason, names in groups.items()
    ]
    count = sum(map(len, groups.values()))
    return f"Skipped {count:,} of {len(paths):,} files: {'; '.join(texts)}."


def require_text(path: Path, expected: str, formats: str) -> Path:
    """Returns the path of a file that may be text: not an archive, an image or another binary.

    Args:
        path: File that exists.
        expected: Kind of data in place of a single image, for the message.
        formats: Formats of the data, for the hint.

    Raises:
        DataError: If the file is not text.
    """
    if path.suffix.lower() in ARCHIVES:
        raise DataError(f"{path}: expected a folder, got an archive.", "Unpack it.")
    with path.open("rb") as file:
        start = file.read(_HEAD)
    # UTF-16 has null bytes as well, and begins with a mark.
    if b"\0" in start and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        kind = "a binary file" if screen_images([path])[0] == NOT_AN_IMAGE else "one image"
        raise DataError(f"{path}: expected {expected}, got {kind}.", f"Give {formats}.")
    return path


def _screen_all(paths: Sequence[str | Path]) -> list[ScreenedImage]:
    return [_screen(path) for path in paths]


def _screen(path: str | Path) -> ScreenedImage:
    from PIL import UnidentifiedImageError

    try:
        with open_image(path, path) as image:
            kind = image.format or ""
            header = ImageHeader(*image.size, orientation_of(image))
        if min(header.width, header.height) < LEAST_SIDE:
            return ScreenedImage(TOO_SMALL, header)
        is_damaged = not _has_end(path, kind) and _is_damaged(path)
        return ScreenedImage(DAMAGED if is_damaged else None, header)
    except OversizedImageError:
        return ScreenedImage(TOO_LARGE)
    except OSError:
        return ScreenedImage(UNREADABLE)
    except DataError as error:
        if not isinstance(error.__context__, UnidentifiedImageError):
            # Pillow raises an OSError without a number for a damaged file.
            is_unreadable = getattr(error.__context__, "errno", None)
            return ScreenedImage(UNREADABLE if is_unreadable else DAMAGED)
        with Path(path).open("rb") as file:
            is_image = file.read(len(_STARTS[0])).startswith(_STARTS)
        return ScreenedImage(DAMAGED if is_image else NOT_AN_IMAGE)


def _has_end(path: str | Path, kind: str) -> bool:
    with Path(path).open("rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if kind == "WEBP":
            file.seek(4)
            return int.from_bytes(file.read(4), "little") + 8 <= size
        file.seek(max(0, size - _TAIL))
        tail = file.read()
        if kind == "GIF":
            return tail.rstrip(b"\0").endswith(b";")
        return kind in _ENDS and _ENDS[kind] in tail


def _is_damaged(path: str | Path) -> bool:
    try:
        decode_image(path, path)
    except DataError:
        return True
    return False
