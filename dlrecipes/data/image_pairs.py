"""Pairs of images that belong together: generated, or files with the two side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlrecipes.data import image_files
from dlrecipes.data.generated.facades import coloured, generated_facades
from dlrecipes.errors import DataError

SHARES = (0.8, 0.1, 0.1)
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class ImagePairs:
    """Images of one size and those that belong to them; slices are the same again.

    Args:
        left: uint8 array of shape `(count, size, size, 3)`.
        right: Likewise.
    """

    left: np.ndarray
    right: np.ndarray

    def __len__(self) -> int:
        return len(self.left)

    def __getitem__(self, rows: slice | np.ndarray) -> ImagePairs:
        return ImagePairs(self.left[rows], self.right[rows])


Parts = tuple[ImagePairs, ImagePairs, ImagePairs]


def builtin_pairs(counts: Sequence[int], size: int, seed: int) -> Parts:
    """Returns generated facades: photographs on the left, their maps on the right.

    Args:
        counts: How many are in the training, the validation and the test part.
        size: Height and width in pixels.
        seed: Decides them all.
    """
    parts, first = [], 0
    for count in counts:
        maps, photographs = generated_facades(count, seed, size, first)
        parts.append(ImagePairs(photographs, coloured(maps)))
        first += count
    return tuple(parts)


def read_pairs(path: Path, size: int, seed: int) -> Parts:
    """Returns the pairs of a folder of images, each of two images side by side.

    Folders `train`, `validation` (val) and `test` hold them, or one folder that is split 80, 10 and
    10 %; of what is missing a part of the training images is held out.

    Args:
        path: The folder.
        size: Height and width that each image is brought to.
        seed: Decides what is held out.

    Raises:
        DataError: If something cannot be read as it is, saying where, or there are too few.
    """
    path = Path(path)
    if not path.is_dir():
        reason = "this is no folder" if path.exists() else "there is no such folder"
        raise DataError(f"{path}: {reason}.", "Give a folder of images, two side by side in each.")
    there = image_files.parts(path) or {"train": path}
    found = {part: _folder(folder, size) for part, folder in there.items()}
    missing = [part for part in PARTS if part not in found]
    if missing:
        shares = [SHARES[PARTS.index(part)] for part in missing]
        sizes = [max(1, round(share * len(found["train"]))) for share in shares]
        kept = len(found["train"]) - sum(sizes)
        if kept < 1:
            raise DataError(
                f"{there['train']}: {len(found['train'])} pairs are too few to hold out "
                f"{' and '.join(missing)}.",
                "Give more pairs, or folders train, val and test.",
            )
        order = np.random.default_rng(seed).permutation(len(found["train"]))
        rows = np.split(order, np.cumsum([kept, *sizes])[:-1])
        whole = found["train"]
        for part, own in zip(("train", *missing), rows, strict=True):
            found[part] = whole[np.sort(own)]
    return tuple(found[part] for part in PARTS)


def described(parts: Parts) -> Mapping[str, str]:
    """Returns facts of the parts for a model card."""
    return {
        f"{name} pairs": f"{len(part):,}"
        for name, part in zip(("training", "validation", "test"), parts, strict=True)
    }


def brought_to(image, size: int):
    """Returns an image at a size, smoothed where it is made smaller; works in a `tf.function`.

    Args:
        image: float32 tensor of shape `(height, width, 3)`, from 0 to 1.
        size: Height and width of what is returned.
    """
    import tensorflow as tf

    found = tf.image.resize(image, [size, size], antialias=True)
    return tf.clip_by_value(found, 0.0, 1.0)


def _folder(folder: Path, size: int) -> ImagePairs:
    files = image_files.list_images(folder)
    if not files:
        raise DataError(
            f"{folder}: there are no images.",
            f"Files of {', '.join(image_files.SUFFIXES[:3])} and others are read.",
        )
    halves = [_halves(file, size) for file in files]
    return ImagePairs(*(np.stack(side) for side in zip(*halves, strict=True)))


def _halves(file: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    whole = image_files.read_image(file, "RGB")
    height, width = whole.shape[:2]
    # Two images of one size: of any shape that could be an image's.
    if width % 2 or not 0.25 <= (width / 2) / height <= 4:
        raise DataError(
            f"{file}: {width} x {height} pixels are no two images of one size side by side.",
            "Join each input and its target to one image, twice as wide.",
        )
    sides = whole[:, : width // 2], whole[:, width // 2 :]
    return tuple(
        (brought_to(side.astype("float32") / 255, size).numpy() * 255).round().astype("uint8")
        for side in sides
    )
