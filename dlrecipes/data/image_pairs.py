"""Pairs of an image and its translation: generated, or the user's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlrecipes.data import image_files
from dlrecipes.data.generated.facades import coloured, generated_facades
from dlrecipes.data.image_facts import ImageFacts
from dlrecipes.data.image_folders import Note, ignore
from dlrecipes.data.pair_layouts import Layout, PairFiles, Pairs, find_pairs
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.images import Files, ImageCheck, check_images
from dlrecipes.data.sources import existing_folder
from dlrecipes.errors import DataError

SHARES = (0.8, 0.1, 0.1)
PARTS = ("train", "validation", "test")
EXPECTED = "a folder of pairs of images"


@dataclass(frozen=True)
class ImagePairs:
    """Pairs of images of one size; slices are `ImagePairs` again.

    Args:
        left: uint8 array of shape `(count, size, size, 3)`.
        right: uint8 array of the same shape; image `k` belongs to image `k` of `left`.
    """

    left: np.ndarray
    right: np.ndarray

    def __len__(self) -> int:
        return len(self.left)

    def __getitem__(self, rows: slice | np.ndarray) -> ImagePairs:
        return ImagePairs(self.left[rows], self.right[rows])


Parts = tuple[ImagePairs, ImagePairs, ImagePairs]


def builtin_pairs(counts: Sequence[int], size: int, seed: int) -> Parts:
    """Returns generated facades: photographs on the left, their label maps on the right.

    Args:
        counts: Numbers of pairs in training, validation and test.
        size: Height and width in pixels, at least 32.
        seed: Seed of the facades.

    Returns:
        Training, validation and test pairs.

    Example:

    >>> from dlrecipes.data.image_pairs import builtin_pairs
    >>> train, validation, test = builtin_pairs((2, 1, 1), size=32, seed=0)
    >>> train.left.shape, train.right.shape
    ((2, 32, 32, 3), (2, 32, 32, 3))
    """
    parts, first = [], 0
    for count in counts:
        maps, photographs = generated_facades(count, seed, size, first)
        parts.append(ImagePairs(photographs, coloured(maps)))
        first += count
    train, validation, test = parts
    return train, validation, test


def read_pairs(
    path: Path, size: int, seed: int, pairs: Pairs = "auto", note: Note = ignore
) -> Parts:
    """Returns training, validation and test pairs from a folder of images.

    Each file holds two images of the same size, side by side or one above the other; or the two
    images of a pair have the same name in two folders, such as `A` and `B`. The files lie in
    folders `train`, `validation` and `test`, and training pairs are held out for each missing
    split; or in the folder itself, which is then split 80/10/10.

    Args:
        path: Folder to read; a leading `~` is expanded.
        size: Height and width that each image is resized to.
        seed: Seed of the split.
        pairs: Layout: `"side_by_side"`, `"stacked"`, `"folders"`, or `"auto"` to recognize it by
            the folders' names and the images' sizes. Defaults to `"auto"`.
        note: Receives sentences about how the folder was read. Defaults to
            `image_folders.ignore`.

    Returns:
        Training, validation and test pairs.

    Raises:
        DataError: If the folder or a file in it cannot be read, or there are too few pairs; the
            message names the folder or file.
    """
    path = existing_folder(path, EXPECTED)
    layout = find_pairs(path, pairs, note)
    parts = {part: _read(files, layout.pairs, size) for part, files in layout.files.items()}
    missing = [part for part in PARTS if part not in parts]
    if missing:
        whole = parts["train"]
        sizes = _part_sizes(len(whole), missing, path)
        order = np.random.default_rng(seed).permutation(len(whole))
        rows = np.split(order, np.cumsum(sizes)[:-1])
        for part, own in zip(("train", *missing), rows, strict=True):
            parts[part] = whole[np.sort(own)]
    train, validation, test = (parts[part] for part in PARTS)
    return train, validation, test


def check_pairs(path: Path, name: str, pairs: Pairs = "auto") -> DataReport:
    """Returns the report on a folder of pairs of images.

    Args:
        path: Folder to read.
        name: Name of the data.
        pairs: Layout, as for `read_pairs`. Defaults to `"auto"`.

    Raises:
        DataError: If the folder does not exist.
    """
    path = existing_folder(path, EXPECTED)
    layouts: list[Layout] = []

    def find(note: Note) -> Files:
        layout = find_pairs(path, pairs, note)
        layouts.append(layout)
        if layout.pairs != "folders":
            return {part: {"pair": [x.left for x in own]} for part, own in layout.files.items()}
        return {
            part: {
                "left": [pair.left for pair in own],
                "right": [pair.right for pair in own if pair.right is not None],
            }
            for part, own in layout.files.items()
        }

    def inspect(image: ImageFacts) -> DataError | None:
        kind = layouts[0].pairs if layouts else "folders"
        if kind == "folders":
            return None
        return _halves_problem(
            str(image.source), (image.height, image.width), 1 if kind == "side_by_side" else 0
        )

    def validate(check: ImageCheck) -> None:
        missing = [part for part in PARTS if part not in check.counts]
        if missing:
            _part_sizes(min(check.counts["train"].values()), missing, path)

    report = check_images(name, path, find, inspect=inspect, validate=validate, groups=None)
    for layout in layouts:
        rows = [[part, len(files), layout.pairs] for part, files in layout.files.items()]
        report.add_table("Pairs", ["part", "pairs", "layout"], rows)
    return report


def _part_sizes(count: int, missing: Sequence[str], path: Path) -> list[int]:
    """Returns how many pairs stay in training, and how many each missing part gets."""
    shares = [SHARES[PARTS.index(part)] for part in missing]
    sizes = [max(1, round(share * count)) for share in shares]
    kept = count - sum(sizes)
    if kept < 1:
        raise DataError(
            f"{path}: expected at least {1 + sum(sizes)} pairs, to hold out "
            f"{' and '.join(missing)}, got {count}.",
            "Give more pairs, or folders train, val and test.",
        )
    return [kept, *sizes]


def described(parts: Parts) -> Mapping[str, str]:
    """Returns a description of the splits for the model card: numbers of pairs.

    Args:
        parts: Training, validation and test pairs.

    Returns:
        Text by heading.
    """
    return {
        f"{name} pairs": f"{len(part):,}"
        for name, part in zip(("training", "validation", "test"), parts, strict=True)
    }


def brought_to(image, size: int):
    """Returns an image resized with antialiasing; works inside a `tf.function`.

    Args:
        image: float32 tensor of shape `(height, width, 3)`, from 0 to 1.
        size: Height and width of the result.

    Returns:
        float32 tensor of shape `(size, size, 3)`, from 0 to 1.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.image_pairs import brought_to
    >>> brought_to(tf.zeros([40, 30, 3]), 16).shape.as_list()
    [16, 16, 3]
    """
    import tensorflow as tf

    resized = tf.image.resize(image, [size, size], antialias=True)
    return tf.clip_by_value(resized, 0.0, 1.0)


def _read(files: Sequence[PairFiles], layout: str, size: int) -> ImagePairs:
    sides = [_sides(pair, layout, size) for pair in files]
    return ImagePairs(*(np.stack(side) for side in zip(*sides, strict=True)))


def _sides(pair: PairFiles, layout: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the left or upper image, and the right or lower one."""
    if pair.right is not None:
        both = [image_files.read_image(file, "RGB") for file in pair if file is not None]
    else:
        both = _halves(pair.left, 1 if layout == "side_by_side" else 0)
    left, right = (
        (brought_to(image.astype("float32") / 255, size).numpy() * 255).round().astype("uint8")
        for image in both
    )
    return left, right


def _halves(file: Path, axis: int) -> list[np.ndarray]:
    """Returns the two halves of an image, along its height (0) or width (1)."""
    whole = image_files.read_image(file, "RGB")
    problem = _halves_problem(str(file), whole.shape[:2], axis)
    if problem is not None:
        raise problem
    return np.split(whole, 2, axis)


def _halves_problem(name: str, shape: tuple[int, ...], axis: int) -> DataError | None:
    """Returns why an image of a height and width cannot be two images of the same size."""
    height, width = shape
    aspect = width / height / 2 if axis else 2 * width / height
    # The halves have the same size; their aspect ratio must be plausible for an image.
    if shape[axis] % 2 == 0 and 0.25 <= aspect <= 4:
        return None
    how = "side by side" if axis else "one above the other"
    return DataError(
        f"{name}: expected two images of the same size {how}, got {width} x {height} pixels.",
        f"Join each input and its target into one image, twice as {('high', 'wide')[axis]}.",
    )
