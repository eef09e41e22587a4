"""Images of single characters with their classes: built in, IDX files, folders, TFDS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlrecipes.data import idx, image_files, tfds
from dlrecipes.errors import DataError

# What MNIST's images are, and the box that its digits fill.
SIZE, FILLED = 28, 20
# Of training images without a validation part of their own; of images without any part.
HELD_OUT = 1 / 12
SHARES = (0.8, 0.1, 0.1)
# Transposed in TFDS.
TRANSPOSED = ("emnist",)


@dataclass(frozen=True)
class LabelledImages:
    """Grey images of 28x28, light on black, and their classes; slices are the same again.

    Args:
        images: uint8 array of shape `(count, 28, 28)`.
        labels: int32 array of shape `(count,)`, places in `names`.
        names: The classes.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice | np.ndarray) -> LabelledImages:
        return LabelledImages(self.images[rows], self.labels[rows], self.names)


Parts = tuple[LabelledImages, LabelledImages, LabelledImages]


def builtin_digits(seed: int) -> Parts:
    """Returns scikit-learn's 1,797 digits by 43 writers, 60, 20 and 20 % of each class.

    Args:
        seed: Decides who is in which part.

    Reference:
        Alpaydin and Kaynak, 1998, "Optical recognition of handwritten digits", UCI machine
        learning repository.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    images = fitted((found.images * (255 / 16)).round().astype("uint8"))
    names = tuple(str(digit) for digit in found.target_names)
    whole = LabelledImages(images, found.target.astype("int32"), names)
    return split(whole, seed, (0.6, 0.2, 0.2), "the built-in digits")


def read_digits(path: Path, seed: int) -> Parts:
    """Returns training, validation and test images of a folder, of IDX files or images.

    IDX files: a twelfth of the training part is held out for validation. Images: folders
    `train`, `validation` and `test` of a folder a class each; of what is missing a twelfth of
    the training part is held out. Or a folder a class alone, 80, 10 and 10 % of each.

    Args:
        path: The folder.
        seed: Decides what is held out.

    Raises:
        DataError: If something cannot be read as it is, saying where.
    """
    path = Path(path)
    if not path.is_dir():
        reason = "this is no folder" if path.exists() else "there is no such folder"
        raise DataError(
            f"{path}: {reason}.", "Give a folder of IDX files, or of a folder of images a class."
        )
    if idx.is_idx_folder(path):
        return _idx_parts(path, seed)
    there = image_files.parts(path)
    if not there:
        return split(_folder(path), seed, SHARES, str(path))
    train = _folder(there["train"])
    found = {part: _folder(there[part], train.names) for part in there if part != "train"}
    for part in ("test", "validation"):
        if part not in found:
            train, _, found[part] = split(train, seed, (1 - HELD_OUT, 0, HELD_OUT), str(path))
    return train, found["validation"], found["test"]


def tfds_digits(name: str, data_dir: Path, seed: int) -> Parts:
    """Returns the parts of a data set of TensorFlow Datasets: images with one label each.

    A twelfth of the training part is held out for validation.

    Args:
        name: Such as `"mnist"`, `"fashion_mnist"`, `"kmnist"` or `"emnist/digits"`.
        data_dir: Where it is kept, or downloaded to.
        seed: Decides what is held out.

    Raises:
        DataError: If there is no such data set, it cannot be had, or holds something else.
    """
    where = f"tfds:{name}"
    with tfds.prepared(name, data_dir) as builder:
        features = builder.info.features
        missing = {"image", "label"} - set(features)
        if missing or not {"train", "test"} <= set(builder.info.splits):
            raise DataError(
                f"{where}: images with a label, in the splits train and test, are wanted.",
                "Such are mnist, fashion_mnist, kmnist and emnist/digits.",
            )
        names = tuple(str(label) for label in features["label"].names)
        parts = {part: _tfds_part(builder, part, names) for part in ("train", "test")}
    train, _, validation = split(parts["train"], seed, (1 - HELD_OUT, 0, HELD_OUT), where)
    return train, validation, parts["test"]


def _tfds_part(builder, part: str, names: tuple[str, ...]) -> LabelledImages:
    images, labels = [], []
    for example in builder.as_dataset(split=part).as_numpy_iterator():
        image = image_files.grey(example["image"])
        images.append(image.T if builder.name.split("/")[0] in TRANSPOSED else image)
        labels.append(example["label"])
    if len({image.shape for image in images}) > 1:
        raise DataError(f"tfds:{builder.name}: images of one size are wanted.")
    return LabelledImages(fitted(np.stack(images)), np.array(labels, "int32"), names)


def _idx_parts(folder: Path, seed: int) -> Parts:
    found = idx.read_idx_folder(folder)
    count = 1 + max(int(labels.max()) for _, labels in found.values())
    if min(int(labels.min()) for _, labels in found.values()) < 0 or count > 10_000:
        raise DataError(f"{folder}: labels from 0 on are wanted.")
    names = tuple(str(label) for label in range(count))
    whole, test = (
        LabelledImages(fitted(images), labels, names)
        for images, labels in (found["train"], found["test"])
    )
    train, _, validation = split(whole, seed, (1 - HELD_OUT, 0, HELD_OUT), str(folder))
    return train, validation, test


def _folder(folder: Path, names: Sequence[str] | None = None) -> LabelledImages:
    """Returns the images of a folder a class, each brought to what MNIST's are."""
    import tensorflow as tf

    from dlrecipes.data.handwriting import normalise

    normalised = tf.function(normalise, input_signature=[tf.TensorSpec([None, None], tf.uint8)])
    found = image_files.classes(folder)
    unknown = [name for name in found if names is not None and name not in names]
    if unknown:
        raise DataError(f"{folder}: the class {unknown[0]!r} is not among those of training.")
    names = tuple(found) if names is None else tuple(names)
    images, labels = [], []
    for name, files in found.items():
        for file in files:
            ink = normalised(image_files.read_image(file, "L")).numpy()
            images.append((ink * 255).round().astype("uint8"))
            labels.append(names.index(name))
    return LabelledImages(np.stack(images), np.array(labels, "int32"), names)


def fitted(images: np.ndarray) -> np.ndarray:
    """Returns images of one size as 28x28: smaller ones fill 20x20, as MNIST's digits do.

    Args:
        images: uint8 array of shape `(count, height, width)`.
    """
    sides = images.shape[1:]
    if sides == (SIZE, SIZE):
        return images
    import tensorflow as tf

    box = FILLED if max(sides) < SIZE else SIZE
    inside = [max(1, round(side * box / max(sides))) for side in sides]
    resized = tf.image.resize(images[..., None], inside, "bicubic", antialias=True)[..., 0]
    before = [(SIZE - side) // 2 for side in inside]
    margins = [[b, SIZE - side - b] for b, side in zip(before, inside, strict=True)]
    return np.pad(np.clip(np.round(resized), 0, 255).astype("uint8"), [[0, 0], *margins])


def split(whole: LabelledImages, seed: int, shares: Sequence[float], where: str) -> Parts:
    """Returns three parts with about the same share of each class.

    Args:
        whole: The images.
        seed: Decides which are where; the same seed gives the same parts.
        shares: Of the first, the second and the third part; they sum to 1.
        where: What an error message calls the data.

    Raises:
        DataError: If a class has too few images for each part to have one.
    """
    counts = Counter(whole.labels.tolist())
    wanted = sum(share > 0 for share in shares)
    label, least = min(counts.items(), key=lambda item: item[1])
    if least < wanted:
        raise DataError(
            f"{where}: the class {whole.names[label]!r} has {least} of the {wanted} images "
            "that are needed to train, to validate and to test.",
            "Give more images of it, or folders train, validation and test.",
        )
    rng, places = np.random.default_rng(seed), ([], [], [])
    for label in sorted(counts):
        rows = rng.permutation(np.flatnonzero(whole.labels == label))
        sizes = [0 if not share else max(1, round(share * len(rows))) for share in shares[1:]]
        ends = np.cumsum([len(rows) - sum(sizes), *sizes])
        for place, part in zip(places, np.split(rows, ends[:-1]), strict=True):
            place.append(part)
    return tuple(whole[np.sort(np.concatenate(place))] for place in places)


def described(parts: Parts) -> Mapping[str, str]:
    """Returns facts of the parts for a model card: how many images, which classes."""
    train, validation, test = parts
    shown = ", ".join(train.names[:20]) + (", ..." if len(train.names) > 20 else "")
    return {
        "training images": f"{len(train):,}",
        "validation images": f"{len(validation):,}",
        "test images": f"{len(test):,}",
        "classes": f"{len(train.names)}: {shown}",
    }
