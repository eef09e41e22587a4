"""IDX files, the format of MNIST and of datasets modelled on it."""

from __future__ import annotations

import gzip
import re
import zlib
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from dlrecipes._utils.notes import print_note
from dlrecipes.data.image_decoding import scale_to_uint8
from dlrecipes.errors import DataError, raise_first

# The third byte of a file names its type; numbers are big-endian.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
PARTS = {"train": ("train",), "test": ("t10k", "test")}
# QMNIST's labels are rows of integers, of which the first is the class.
KINDS = {"images": ("idx3-ubyte",), "labels": ("idx1-ubyte", "idx2-int")}
Orientation = Literal["auto", "upright", "transposed"]
# The images of EMNIST, but not those of FEMNIST or KMNIST, are stored column by column.
_TRANSPOSED = re.compile(r"(?<![a-z])emnist", re.IGNORECASE)


def is_transposed(name: str) -> bool:
    """Returns whether the images of a dataset are stored column by column, by its name alone.

    Args:
        name: Name of the dataset or of a file.

    Example:

    >>> from dlrecipes.data.idx import is_transposed
    >>> [is_transposed(name) for name in ("emnist/digits", "EMNIST-train", "kmnist", "mnist")]
    [True, True, False, False]
    """
    return _TRANSPOSED.search(name) is not None


def read_idx(path: Path) -> np.ndarray:
    """Returns the array in an IDX file, gzipped or not.

    Args:
        path: IDX file.

    Returns:
        Array of the file's type and shape.

    Raises:
        DataError: If the file cannot be read, is not an IDX file, or holds more or fewer bytes
            than its header says.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from dlrecipes.data.idx import read_idx
    >>> path = Path(tempfile.mkdtemp()) / "labels"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read_idx(path).tolist()
    [7, 2, 1]

    Reference:
        LeCun, Cortes and Burges, "The MNIST database of handwritten digits", section "File
        formats".
    """
    content = _content(Path(path))
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or not content[3]:
        raise DataError(
            f"{path}: this is not an IDX file: it begins with {content[:4].hex(' ') or 'nothing'}.",
            "An IDX file begins with 00 00, its type (08 for bytes) and its number of dimensions.",
        )
    dtype, rank = np.dtype(TYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{path}: the file ends within its header, after {len(content)} bytes.")
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">u4"))
    expected, actual = prod(shape) * dtype.itemsize, len(content) - start
    if expected != actual:
        sizes = " x ".join(map(str, shape))
        raise DataError(
            f"{path}: expected {expected:,} bytes of data for {sizes}, got {actual:,}.",
            "The file is truncated; copy it again." if actual < expected else "It is damaged.",
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
    """Returns whether a folder holds files that are named like MNIST's IDX files."""
    return any(_files(folder, part, kind) for part in PARTS for kind in KINDS)


def read_idx_folder(
    folder: Path, orientation: Orientation = "auto"
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns the images and labels of `"train"` and `"test"` from files named like MNIST's.

    Labels may have further columns, as QMNIST's have; the first one is read.

    Args:
        folder: Folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
            `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`. The names may end in `.gz`,
            have a dot instead of the second hyphen, `test` instead of `t10k`, or a prefix such as
            `emnist-digits-`. Each file may lie in a folder of its own name.
        orientation: `"transposed"` swaps rows and columns of the images, `"upright"` does not.
            Defaults to `"auto"`: they are swapped, with a note, if the names of the files contain
            `emnist`.

    Returns:
        For each split, uint8 images of shape `(count, height, width)` and int32 labels of shape
        `(count,)`.

    Raises:
        DataError: If a file is missing, duplicate or malformed, or images and labels do not match.
    """
    splits = {}
    files = {(part, kind): _file(folder, part, kind) for part in PARTS for kind in KINDS}
    arrays, problems = {}, []
    for place, file in files.items():
        try:
            is_images = place[1] == "images"
            arrays[place] = _images(file, orientation) if is_images else _labels(file)
        except DataError as error:
            problems.append(error)
    raise_first(problems)
    for part in PARTS:
        images_file, labels_file = (files[part, kind] for kind in KINDS)
        images, labels = (arrays[part, kind] for kind in KINDS)
        if len(labels) != len(images):
            raise DataError(
                f"{folder}, {part}: {len(images):,} images, but {len(labels):,} labels.",
                f"{images_file.name} and {labels_file.name} belong to different data.",
            )
        splits[part] = (images, labels)
    sizes = [images.shape[1:] for images, _ in splits.values()]
    if len(set(sizes)) > 1:
        train, test = (" x ".join(map(str, size)) for size in sizes)
        raise DataError(f"{folder}: the training images are {train}, but the test images {test}.")
    return splits


def read_class_names(folder: Path) -> dict[int, str]:
    """Returns the characters of the labels in EMNIST's mapping file; nothing without the file.

    Each line has a label and the codes of its characters: `1 65 97` is the class `Aa`.

    Args:
        folder: Folder of IDX files, with `emnist-letters-mapping.txt` for
            `emnist-letters-train-images-idx3-ubyte`.

    Raises:
        DataError: If a line is malformed, or two labels have the same characters.
    """
    images = _file(folder, "train", "images")
    prefix = images.name[: images.name.index("train")]
    path = folder / f"{prefix}mapping.txt"
    if not path.is_file():
        return {}
    names: dict[int, str] = {}
    for number, line in enumerate(path.read_bytes().decode("ascii", "replace").split("\n"), 1):
        words = line.split()
        if not words:
            continue
        try:
            label, *codes = map(int, words)
            name = "".join(map(chr, codes))
        except (ValueError, OverflowError):
            name = ""
        if not name or not name.isprintable() or label in names or name in names.values():
            raise DataError(
                f"{path}:{number}: expected a label and the codes of its characters, each once.",
                "A line such as 10 65 says that images of the label 10 are an A.",
            )
        names[label] = name
    print_note(f"{folder}: the classes are named as {path.name} says.", once=("names", path))
    return names


def _images(file: Path, orientation: Orientation) -> np.ndarray:
    images = read_idx(file)
    if images.ndim != 3 or 0 in images.shape[1:]:
        raise DataError(
            f"{file}: expected images of shape (count, height, width), got {images.shape}."
        )
    if not len(images):
        raise DataError(f"{file}: there are no images.")
    images = scale_to_uint8(images, file)
    if orientation == "auto" and is_transposed(file.name):
        print_note(
            f"{file.parent}: rows and columns of the images are swapped, because the files are "
            "named emnist. --orientation upright leaves them as they are.",
            once=("transposed", file.parent),
        )
        orientation = "transposed"
    elif orientation == "auto" and any(map(is_transposed, file.parent.parts[-2:])):
        print_note(
            f"{file.parent}: the folder is named for EMNIST, but its files are not: rows and "
            "columns are left as they are. --orientation transposed swaps them.",
            once=("upright", file.parent),
        )
    return images.swapaxes(1, 2) if orientation == "transposed" else images


def _labels(file: Path) -> np.ndarray:
    labels = read_idx(file)
    if labels.ndim == 2 and labels.shape[1]:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(f"{file}: expected labels of shape (count,), got {labels.shape}.")
    if not np.all(np.isfinite(labels) & (labels == np.rint(labels)) & (labels < 2**31)):
        raise DataError(f"{file}: the labels are not whole numbers.")
    return labels.astype("int32")


def _file(folder: Path, part: str, kind: str) -> Path:
    files = _files(folder, part, kind)
    expected = f"{PARTS[part][0]}-{kind}-{KINDS[kind][0]}[.gz]"
    if not files:
        raise DataError(f"{folder}: {expected} is missing.", "The dataset consists of four files.")
    # A file next to its gzipped copy is not a duplicate.
    if len({file.name.removesuffix(".gz") for file in files}) > 1:
        names = ", ".join(file.name for file in files)
        raise DataError(f"{folder}: expected one {expected}, got {names}.", "Keep one of them.")
    return files[0]


def _files(folder: Path, part: str, kind: str) -> list[Path]:
    paths = sorted(
        path
        for name in PARTS[part]
        for separator in "-."
        for content in KINDS[kind]
        for end in ("", ".gz")
        for path in folder.glob(f"*{name}-{kind}{separator}{content}{end}")
        if path.name[0] != "."
    )
    # Kaggle's archive has a folder of the file's name around each file.
    nested = [path / path.name for path in paths if (path / path.name).is_file()]
    return [path for path in paths if path.is_file()] or nested
