"""Facts about image files, read once: size, format, content hash, and why one cannot be read."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dlrecipes._utils.cpu import available_cpus
from dlrecipes.data.image_decoding import decode_image, open_image
from dlrecipes.errors import DataError, reason

# Bytes that are read at once, and files that wait for a thread.
_CHUNK, _WINDOW = 1 << 20, 64


class EncodedImage(NamedTuple):
    """An image that is not a file of its own, such as one of a TFDS dataset.

    Args:
        name: Name for messages.
        read: Function that returns the bytes of the image file.
    """

    name: str
    read: Callable[[], bytes]

    def __str__(self) -> str:
        return self.name


ImageSource = Path | EncodedImage


class ImageFacts(NamedTuple):
    """Size, format and content hash of an image file.

    Args:
        source: The file.
        digest: Hash of the file's bytes; `None` if they cannot be read.
        width: Width of the upright image in pixels; 0 if it is unknown.
        height: Height of the upright image in pixels; 0 if it is unknown.
        mode: Pillow's name of the colours as they are stored, such as `"L"`, `"RGB"`, `"P"` or
            `"CMYK"`; `""` if it is unknown.
        format: Format by the content, such as `"JPEG"`; `""` if it is unknown.
        problem: Why the image cannot be used; `None` if it can.
    """

    source: ImageSource
    digest: bytes | None
    width: int
    height: int
    mode: str
    format: str
    problem: DataError | None


def open_source(source: ImageSource) -> BinaryIO:
    """Returns an image file, opened for reading bytes."""
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source.read())


def image_facts(source: ImageSource) -> ImageFacts:
    """Returns what a file holds; never raises an error because of its content.

    The whole image is decoded, as a reader does, so that a truncated file is found. An image with
    too many pixels is not decoded.

    Args:
        source: File to read.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from dlrecipes.data.image_facts import image_facts
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> Image.new("L", (40, 30)).save(path)
    >>> image = image_facts(path)
    >>> image.format, image.mode, image.width, image.height, image.problem
    ('PNG', 'L', 40, 30, None)
    """
    digest = None
    size, mode, kind = (0, 0), "", ""
    problem = None
    try:
        with open_source(source) as file:
            digest = _digest(file)
            file.seek(0)
            with open_image(file, str(source)) as image:
                size, mode, kind = image.size, image.mode, image.format or ""
            file.seek(0)
            size = decode_image(file, str(source)).size
    except DataError as error:
        problem = error
    except OSError as error:
        problem = DataError(f"{source}: the image cannot be read: {reason(error)}.")
    return ImageFacts(source, digest, *size, mode, kind, problem)


def read_facts(
    sources: Iterable[ImageSource], progress: Callable[[int], None] | None = None
) -> Iterator[ImageFacts]:
    """Yields what each file holds, in the given order; the files are read by several threads.

    Memory does not grow with the number of files.

    Args:
        sources: Files to read.
        progress: Called with the number of files that have been read. Defaults to `None`.
    """
    sources = iter(sources)
    pool = ThreadPoolExecutor(available_cpus())
    try:
        first = itertools.islice(sources, _WINDOW)
        running = deque(pool.submit(image_facts, source) for source in first)
        count = 0
        while running:
            yield running.popleft().result()
            running += [pool.submit(image_facts, source) for source in itertools.islice(sources, 1)]
            count += 1
            if progress is not None:
                progress(count)
    finally:
        # After Ctrl-C the files that wait are not read.
        pool.shutdown(wait=True, cancel_futures=True)


def _digest(file: BinaryIO) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.digest()
