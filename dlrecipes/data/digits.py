"""Images of single characters with their classes: built in, IDX files, folders, TFDS."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlrecipes.data import idx, image_files, image_folders, tfds
from dlrecipes.data.image_decoding import scale_to_uint8
from dlrecipes.data.image_folders import Note
from dlrecipes.data.parts import stratified_split
from dlrecipes.data.photographs import mostly_photographs
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.copies import WHOLE
from dlrecipes.data.reports.images import Files, ImageCheck, check_images
from dlrecipes.data.sources import existing_folder
from dlrecipes.errors import DataError, UsageError

# Side of MNIST's images, and of the box that its digits fill.
SIZE, FILLED = 28, 20
# Fraction of the training images that replaces a missing split, and fractions of the three splits
# of a folder without any.
HELD_OUT = 1 / 12
SHARES = (0.8, 0.1, 0.1)
MOST_CLASSES = 10_000
EXPECTED = "a folder of IDX files, or one with a folder of images per class"


@dataclass(frozen=True)
class LabelledImages:
    """Images with their classes; slices are `LabelledImages` again.

    Args:
        images: uint8 array of shape `(count, height, width)` or `(count, height, width,
            channels)`. Digits are grey, 28x28, light on black.
        labels: int32 array of shape `(count,)`, indices of `names`.
        names: Names of the classes.
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
    """Returns scikit-learn's 1,797 digits by 13 writers, split 60/20/20 within each class.

    Args:
        seed: Seed of the split.

    Returns:
        Training, validation and test images.

    Example:

    >>> from dlrecipes.data.digits import builtin_digits
    >>> train, validation, test = builtin_digits(seed=0)
    >>> train.images.shape[1:], len(train) + len(validation) + len(test)
    ((28, 28), 1797)

    Reference:
        Alpaydin and Kaynak, 1998, "Optical recognition of handwritten digits", UCI machine
        learning repository, https://doi.org/10.24432/C50P49.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = fitted((digits.images * (255 / 16)).round().astype("uint8"))
    names = tuple(str(digit) for digit in digits.target_names)
    whole = LabelledImages(images, digits.target.astype("int32"), names)
    return stratified_split(whole, seed, (0.6, 0.2, 0.2), "the built-in digits")


def read_digits(
    path: Path,
    seed: int,
    note: Note = image_folders.ignore,
    *,
    orientation: idx.Orientation = "auto",
) -> Parts:
    """Returns training, validation and test images from a folder of IDX files or of images.

    Three layouts are read:

    - IDX files named like MNIST's; a twelfth of the training images is held out for validation.
    - Folders `train`, `validation` and `test`, each with one folder of images per class; a
      twelfth of the training images is held out for each missing split.
    - One folder of images per class, which is split 80/10/10 within each class.

    They may be wrapped in other folders, as in torchvision's `MNIST/raw`.

    Args:
        path: Folder to read; a leading `~` is expanded.
        seed: Seed of the split.
        note: Receives sentences about how the folder was read. Defaults to
            `image_folders.ignore`.
        orientation: Whether the images in IDX files are `"upright"` or `"transposed"`. Defaults to
            `"auto"`: by the names of the files (see `dlrecipes.data.idx.read_idx_folder`).

    Returns:
        Training, validation and test images.

    Raises:
        DataError: If the folder or a file in it cannot be read; the message names it.
        UsageError: If an orientation is given for files other than IDX files.
    """
    path = existing_folder(path, EXPECTED)
    path = image_folders.find_data(path, _is_data, note)
    if idx.is_idx_folder(path):
        return _idx_parts(path, seed, orientation)
    _require_auto(orientation, path)
    files = _class_files(path, note)
    names = tuple(next(iter(files.values())))
    training = [file for own in next(iter(files.values())).values() for file in own]
    if mostly_photographs(training):
        note(
            f"{path}: most images look like photographs, and this recipe reads characters: strokes "
            f"on a plain ground. Did you mean: dlrecipes run image_classification --data {path}"
        )
    parts = {part: _read(own, names) for part, own in files.items()}
    if WHOLE in parts:
        return stratified_split(parts[WHOLE], seed, SHARES, str(path))
    for part in ("test", "validation"):
        if part not in parts:
            shares = (1 - HELD_OUT, 0, HELD_OUT)
            parts["train"], _, parts[part] = stratified_split(
                parts["train"], seed, shares, str(path)
            )
    return parts["train"], parts["validation"], parts["test"]


def _require_auto(orientation: idx.Orientation, path: Path) -> None:
    if orientation != "auto":
        raise UsageError(
            f"--orientation {orientation}: {path} has no IDX files.", "Leave the option out."
        )


def check_digits(path: Path, name: str, orientation: idx.Orientation = "auto") -> DataReport | None:
    """Returns the report on a folder of images of characters; `None` for IDX files.

    Args:
        path: Folder to read.
        name: Name of the data.
        orientation: Orientation of the images in IDX files. Defaults to `"auto"`.

    Raises:
        DataError: If the folder does not exist.
        UsageError: If an orientation is given for files other than IDX files.
    """
    path = existing_folder(path, EXPECTED)
    with contextlib.suppress(DataError):  # Reported below.
        if idx.is_idx_folder(image_folders.find_data(path, _is_data)):
            return None
    _require_auto(orientation, path)

    def find(note: Note) -> Files:
        return _class_files(image_folders.find_data(path, _is_data, note), note)

    def validate(check: ImageCheck) -> None:
        counts = next(iter(check.counts.values()))
        labels = np.repeat(np.arange(len(counts), dtype="int32"), list(counts.values()))
        whole = LabelledImages(np.empty((len(labels), 0, 0), "uint8"), labels, tuple(counts))
        missing = len({"validation", "test"} - set(check.counts))
        stratified_split(whole, 0, [(1, 0, 0), (0.9, 0, 0.1), SHARES][missing], str(path))

    return check_images(name, path, find, validate=validate)


def _class_files(folder: Path, note: Note) -> dict[str, dict[str, list[Path]]]:
    """Returns the files by part and class; the part is `WHOLE` if the folder has no parts."""
    folders = image_folders.parts(folder, note)
    if not folders:
        return {WHOLE: image_folders.classes(folder, note)}
    files: dict[str, dict[str, list[Path]]] = {}
    for part, own in folders.items():
        own = image_folders.find_data(own, image_folders.has_classes, note)
        files[part] = image_folders.classes(own, note, least=1 if files else 2)
        if part != "train":
            image_folders.match_classes(files[part], files["train"], own, note)
    return files


def _is_data(folder: Path) -> bool:
    return idx.is_idx_folder(folder) or image_folders.has_classes(folder)


def tfds_digits(name: str, data_dir: str | Path, seed: int) -> Parts:
    """Returns the splits of a dataset of TensorFlow Datasets whose images have one label each.

    A twelfth of the training images is held out for validation.

    Args:
        name: Name in the catalogue, such as `"mnist"`, `"fashion_mnist"`, `"kmnist"` or
            `"emnist/digits"`.
        data_dir: Folder of the downloaded datasets; a leading `~` is expanded.
        seed: Seed of the split.

    Returns:
        Training, validation and test images.

    Raises:
        DataError: If the dataset does not exist, cannot be downloaded, or does not consist of
            labelled images.
    """
    where = f"tfds:{name}"
    with tfds.prepared(name, data_dir) as builder:
        features = builder.info.features
        missing = {"image", "label"} - set(features)
        if missing or not {"train", "test"} <= set(builder.info.splits):
            raise DataError(
                f"{where}: expected images with a label, in the splits train and test.",
                "Try mnist, fashion_mnist, kmnist or emnist/digits.",
            )
        names = tuple(str(label) for label in features["label"].names)
        parts = {part: _tfds_part(builder, part, names) for part in ("train", "test")}
    train, _, validation = stratified_split(
        parts["train"], seed, (1 - HELD_OUT, 0, HELD_OUT), where
    )
    return train, validation, parts["test"]


def _tfds_part(builder, part: str, names: tuple[str, ...]) -> LabelledImages:
    images, labels = [], []
    for example in builder.as_dataset(split=part).as_numpy_iterator():
        image = image_files.grey(scale_to_uint8(example["image"], f"tfds:{builder.name}"))
        images.append(image.T if idx.is_transposed(builder.name) else image)
        labels.append(example["label"])
    if len({image.shape for image in images}) > 1:
        raise DataError(f"tfds:{builder.name}: expected images of one size.")
    return LabelledImages(fitted(np.stack(images)), np.array(labels, "int32"), names)


def _idx_parts(folder: Path, seed: int, orientation: idx.Orientation) -> Parts:
    arrays = idx.read_idx_folder(folder, orientation)
    names, ids = idx_classes(folder, [labels for _, labels in arrays.values()])
    whole, test = (
        LabelledImages(fitted(images), ids[labels], names)
        for images, labels in (arrays["train"], arrays["test"])
    )
    train, _, validation = stratified_split(whole, seed, (1 - HELD_OUT, 0, HELD_OUT), str(folder))
    return train, validation, test


def idx_classes(folder: Path, labels: Sequence[np.ndarray]) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the names of the classes of IDX files, and the number of each label's class.

    The names are those of EMNIST's mapping file, if the folder has one, and else the numbers from 0
    to the largest label.

    Args:
        folder: Folder of the files.
        labels: Labels of each part.

    Raises:
        DataError: If a label is negative or too large, or the mapping file lacks one.
    """
    largest, smallest = int(max(map(np.max, labels))), int(min(map(np.min, labels)))
    if smallest < 0 or largest >= MOST_CLASSES:
        raise DataError(
            f"{folder}: expected labels from 0 to below {MOST_CLASSES:,}, got {smallest} to "
            f"{largest}."
        )
    known = idx.read_class_names(folder) or {label: str(label) for label in range(largest + 1)}
    unknown = sorted({int(label) for part in labels for label in part} - set(known))
    if unknown:
        raise DataError(f"{folder}: the mapping file has no line for the label {unknown[0]}.")
    # Labels of letters begin at 1.
    ids = np.zeros(max(known) + 1, "int32")
    ids[sorted(known)] = np.arange(len(known))
    return tuple(known[label] for label in sorted(known)), ids


def _read(files_of: Mapping[str, Sequence[Path]], names: Sequence[str]) -> LabelledImages:
    """Returns the images in the files of each class, in the format of MNIST."""
    import tensorflow as tf

    from dlrecipes.data.handwriting import normalise

    normalised = tf.function(normalise, input_signature=[tf.TensorSpec([None, None], tf.uint8)])
    images, labels = [], []
    for name, files in files_of.items():
        for file in files:
            ink = normalised(image_files.read_image(file, "L")).numpy()
            images.append((ink * 255).round().astype("uint8"))
            labels.append(names.index(name))
    return LabelledImages(np.stack(images), np.array(labels, "int32"), tuple(names))


def fitted(images: np.ndarray) -> np.ndarray:
    """Returns images resized to 28x28; smaller ones fill a box of 20x20, as MNIST's digits do.

    Args:
        images: uint8 array of shape `(count, height, width)`.

    Returns:
        uint8 array of shape `(count, 28, 28)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.digits import fitted
    >>> images = fitted(np.full((1, 8, 8), 255, "uint8"))
    >>> images.shape, int((images > 0).sum())
    ((1, 28, 28), 400)
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


def described(parts: Parts) -> Mapping[str, str]:
    """Returns a description of the splits for the model card: numbers of images and classes.

    Args:
        parts: Training, validation and test images.

    Returns:
        Text by heading.
    """
    train, validation, test = parts
    shown = ", ".join(train.names[:20]) + (", ..." if len(train.names) > 20 else "")
    return {
        "training images": f"{len(train):,}",
        "validation images": f"{len(validation):,}",
        "test images": f"{len(test):,}",
        "classes": f"{len(train.names)}: {shown}",
    }
