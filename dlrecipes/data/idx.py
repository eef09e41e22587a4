"""IDX files, the format of MNIST and its kin."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np

from dlrecipes.errors import DataError

# The third byte names the type; numbers are big-endian.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
PARTS = {"train": ("train",), "test": ("t10k", "test")}
KINDS = {"images": "idx3-ubyte", "labels": "idx1-ubyte"}


def read_idx(path: Path) -> np.ndarray:
    """Returns the array that an IDX file holds, gzipped or not.

    Args:
        path: The file.

    Returns:
        Array of the file's type and shape.

    Raises:
        DataError: If it cannot be read, is no IDX file, or holds more or fewer bytes than its
            header says.

    Reference:
        LeCun, Cortes and Burges, "The MNIST database of handwritten digits", section "File
        formats".
    """
    content = _content(Path(path))
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or not content[3]:
        raise DataError(
            f"{path}: this is no IDX file: it begins with {content[:4].hex(' ') or 'nothing'}.",
            "An IDX file begins with 00 00, its type (08 for bytes) and its number of dimensions.",
        )
    dtype, rank = np.dtype(TYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{path}: the file ends within its header, after {len(content)} bytes.")
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">u4"))
    wanted, found = prod(shape) * dtype.itemsize, len(content) - start
    if wanted != found:
        sizes = " x ".join(map(str, shape))
        raise DataError(
            f"{path}: {found:,} bytes of data where {sizes} need {wanted:,}.",
            "The file is cut off; copy it again." if found < wanted else "It is damaged.",
        )
    return (
        np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
    )


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}.") from None
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is damaged: {error}.", "Copy it again.") from None


def is_idx_folder(folder: Path) -> bool:
    """Returns whether a folder holds IDX files, by their names."""
    return any(_files(folder, part, kind) for part in PARTS for kind in KINDS)


def read_idx_folder(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns the images and labels of `"train"` and `"test"`, from files named as MNIST's.

    Args:
        folder: Holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
            `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, perhaps with `.gz`, a dot in
            place of the second hyphen, `test` for `t10k`, or a prefix: `emnist-digits-`.

    Returns:
        By part: uint8 images `(count, height, width)`, and labels `(count,)`.

    Raises:
        DataError: If a file is missing or wrong, or two do not go together.
    """
    found = {}
    for part, names in PARTS.items():
        images, labels = (read_idx(_one(folder, part, kind)) for kind in KINDS)
        name = f"{folder}, {names[0]}"
        if images.ndim != 3 or images.dtype != np.uint8:
            raise DataError(
                f"{name}: images of shape {images.shape} and type {images.dtype}; count, "
                "height and width, as bytes, are wanted."
            )
        if labels.ndim != 1 or len(labels) != len(images):
            found = " x ".join(f"{side:,}" for side in labels.shape)
            raise DataError(f"{name}: {len(images):,} images, but {found} labels.")
        if not len(images):
            raise DataError(f"{name}: there are no images.")
        found[part] = (images, labels.astype("int32"))
    sizes = {images.shape[1:] for images, _ in found.values()}
    if len(sizes) > 1:
        raise DataError(f"{folder}: training images have another size than test images.")
    return found


def _one(folder: Path, part: str, kind: str) -> Path:
    files = _files(folder, part, kind)
    wanted = f"{PARTS[part][0]}-{kind}-{KINDS[kind]}[.gz]"
    if not files:
        raise DataError(f"{folder}: {wanted} is missing.", "Four files make the data set.")
    # The same file, gzipped and not, is one.
    if len({file.name.removesuffix(".gz") for file in files}) > 1:
        names = ", ".join(file.name for file in files)
        raise DataError(f"{folder}: {names}: one {wanted} is wanted.", "Keep one in the folder.")
    return files[0]


def _files(folder: Path, part: str, kind: str) -> list[Path]:
    return sorted(
        file
        for name in PARTS[part]
        for separator in "-."
        for end in ("", ".gz")
        for file in folder.glob(f"*{name}-{kind}{separator}{KINDS[kind]}{end}")
    )
