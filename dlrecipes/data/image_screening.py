"""A quick look at many image files: which of them cannot be used, by their headers and ends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dlrecipes.data.image_decoding import LARGEST, OversizedImageError, decode_image, open_image
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

NOT_AN_IMAGE = "not an image"
DAMAGED = "truncated or damaged"
TOO_LARGE = f"more than {LARGEST:,} pixels"
TOO_SMALL = f"a side below {LEAST_SIDE} pixels"
UNREADABLE = "unreadable"


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
    chunks = [paths[k : k + _CHUNK] for k in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [reason for part in pool.map(_screen_all, chunks) for reason in part]


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


def _screen_all(paths: Sequence[str | Path]) -> list[str | None]:
    return [_screen(path) for path in paths]


def _screen(path: str | Path) -> str | None:
    from PIL import UnidentifiedImageError

    try:
        with open_image(path, path) as image:
            shorter, kind = min(image.size), image.format or ""
        if shorter < LEAST_SIDE:
            return TOO_SMALL
        return DAMAGED if not _has_end(path, kind) and _is_damaged(path) else None
    except OversizedImageError:
        return TOO_LARGE
    except OSError:
        return UNREADABLE
    except DataError as error:
        if not isinstance(error.__context__, UnidentifiedImageError):
            # Pillow raises an OSError without a number for a damaged file.
            return UNREADABLE if getattr(error.__context__, "errno", None) else DAMAGED
        with Path(path).open("rb") as file:
            return DAMAGED if file.read(len(_STARTS[0])).startswith(_STARTS) else NOT_AN_IMAGE


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
