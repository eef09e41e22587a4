"""Labelled images of faces, split by person: built in, folders, TFDS."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dlrecipes._utils.wording import counted
from dlrecipes.data import image_files, image_folders, tfds
from dlrecipes.data.generated.faces import generated_faces
from dlrecipes.data.image_decoding import scale_to_uint8
from dlrecipes.data.image_folders import Note
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.copies import WHOLE
from dlrecipes.data.reports.images import Files, ImageCheck, check_images
from dlrecipes.data.sources import existing_folder
from dlrecipes.errors import DataError

# Fractions of the people in training, validation and test.
SHARES = (0.7, 0.15, 0.15)
PARTS = ("train", "validation", "test")
# Part of a drawn image that fills the face's image: a portrait of 6 by 5, as close as a passport's,
# which is resized to a square like any other.
PORTRAIT = (0.70, 0.58)
# Verification needs two people with two images each.
LEAST_PEOPLE, LEAST_IMAGES = 2, 2
EXPECTED = "a folder with one folder of images per person"


@dataclass(frozen=True)
class FaceImages:
    """Images of one size with the people they show; slices are `FaceImages` again.

    Args:
        images: uint8 array of shape `(count, size, size, channels)`, 1 or 3 channels.
        labels: int32 array of shape `(count,)`, indices of `names`.
        names: Names of the people.
        left_out: Number of people that were skipped because they have a single image. Defaults
            to 0.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice | np.ndarray) -> FaceImages:
        return FaceImages(self.images[rows], self.labels[rows], self.names, self.left_out)

    @property
    def people(self) -> int:
        """Number of different people in the images."""
        return len(np.unique(self.labels))


Parts = tuple[FaceImages, FaceImages, FaceImages]


@dataclass(frozen=True)
class Size:
    """Size that images are cropped and resized to.

    Args:
        side: Height and width in pixels.
        crop: Fraction of an image's height and width that a central crop keeps. Defaults to 1.0.
        channels: 1 for grey, 3 for colour. Defaults to 1.
    """

    side: int
    crop: float = 1.0
    channels: Literal[1, 3] = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        return self.side, self.side, self.channels


def builtin_faces(people: Sequence[int], each: int, size: Size, seed: int) -> Parts:
    """Returns generated faces; the splits share no people.

    Args:
        people: Numbers of people in training, validation and test.
        each: Images per person.
        size: Size and channels of the images. `crop` has no effect: the faces fill the images.
        seed: Seed of the people and of their images.

    Returns:
        Training, validation and test images.

    Example:

    >>> from dlrecipes.data.faces import Size, builtin_faces
    >>> train, validation, test = builtin_faces((4, 2, 2), 3, Size(16), seed=0)
    >>> len(train), train.people, train.images.shape
    (12, 4, (12, 16, 16, 1))
    """
    parts, first = [], 0
    for count in people:
        images, labels = generated_faces(count, each, seed, size.side, first, PORTRAIT)
        names = tuple(f"person {first + number + 1}" for number in range(count))
        if size.channels == 1:
            images = image_files.grey(images)[..., None]
        parts.append(FaceImages(images, labels - first, names))
        first += count
    train, validation, test = parts
    return train, validation, test


def read_faces(path: Path, size: Size, seed: int, note: Note = image_folders.ignore) -> Parts:
    """Returns training, validation and test images from a folder with one folder per person.

    The folder holds one folder of images per person, and the people are split 70/15/15. Or it
    holds folders `train`, `validation` and `test` with such folders of different people; people
    of the training split are held out for each missing split. People with a single image are
    skipped. The folder may be wrapped in others, as in `lfw/lfw`.

    Args:
        path: Folder to read; a leading `~` is expanded.
        size: Size that the images are cropped and resized to.
        seed: Seed of the split.
        note: Receives sentences about how the folder was read. Defaults to
            `image_folders.ignore`.

    Returns:
        Training, validation and test images.

    Raises:
        DataError: If the folder or a file in it cannot be read, there are too few people, or two
            splits share a person; the message names the folder or file.
    """
    path = existing_folder(path, EXPECTED)
    folders = _folders(path, note)
    parts = {}
    for part, folder in folders.items():
        files = image_folders.classes(folder, note)
        images = [read_fitted(file, size) for own in files.values() for file in own]
        names = [name for name, own in files.items() for _ in own]
        parts[part] = _labelled(images, names, str(folder))
    return _with_all_parts(parts, folders, seed)


def check_faces(path: Path, name: str) -> DataReport:
    """Returns the report on a folder with one folder of images per person.

    Args:
        path: Folder to read.
        name: Name of the data.

    Raises:
        DataError: If the folder does not exist.
    """
    path = existing_folder(path, EXPECTED)
    folders: dict[str, Path] = {}

    def find(note: Note) -> Files:
        folders.update(_folders(path, note))
        return {part: image_folders.classes(folder, note) for part, folder in folders.items()}

    def validate(check: ImageCheck) -> None:
        parts = {}
        for part, counts in check.counts.items():
            names = [name for name, count in counts.items() for _ in range(count)]
            images = [np.empty(0, "uint8")] * len(names)
            parts[part] = _labelled(images, names, str(folders[part]))
        _with_all_parts(parts, folders, 0)

    return check_images(name, path, find, validate=validate, groups="people")


def _folders(path: Path, note: Note) -> dict[str, Path]:
    """Returns the folder of each part; the part is `WHOLE` if the folder has no parts."""
    path = image_folders.find_data(path, image_folders.has_classes, note)
    folders = image_folders.parts(path, note)
    if not folders:
        return {WHOLE: path}
    return {
        part: image_folders.find_data(folder, image_folders.has_classes, note)
        for part, folder in folders.items()
    }


def _with_all_parts(parts: dict[str, FaceImages], folders: Mapping[str, Path], seed: int) -> Parts:
    """Returns three parts, those that are missing split off the training part, or all of one."""
    if WHOLE in parts:
        return split(parts[WHOLE], seed, SHARES, str(folders[WHOLE]))
    _reject_shared_people(parts, folders)
    missing = [part for part in PARTS if part not in parts]
    if missing:
        held = sum(SHARES[PARTS.index(part)] for part in missing)
        shares = [1 - held, *(SHARES[k] if PARTS[k] in missing else 0 for k in (1, 2))]
        new = split(parts["train"], seed, shares, str(folders["train"]))
        parts |= {part: new[PARTS.index(part)] for part in ("train", *missing)}
    for part in PARTS:
        _reject_too_few(parts[part], str(folders.get(part, folders["train"].parent)))
    train, validation, test = (parts[part] for part in PARTS)
    return train, validation, test


def tfds_faces(name: str, data_dir: str | Path, size: Size, seed: int) -> Parts:
    """Returns the splits of a dataset of TensorFlow Datasets whose labels are people's names.

    Args:
        name: Name in the catalogue, such as `"lfw"`.
        data_dir: Folder of the downloaded datasets; a leading `~` is expanded.
        size: Size that the images are cropped and resized to.
        seed: Seed of the split.

    Returns:
        Training, validation and test images.

    Raises:
        DataError: If the dataset does not exist, cannot be downloaded, or does not consist of
            labelled images of enough people.
    """
    where = f"tfds:{name}"
    with tfds.prepared(name, data_dir) as builder:
        if {"image", "label"} - set(builder.info.features):
            raise DataError(f"{where}: expected images with a label.", "Try lfw.")
        images, names = [], []
        for example in builder.as_dataset(split="all").as_numpy_iterator():
            images.append(fit_image(example["image"], size))
            label = example["label"]
            names.append(label.decode() if isinstance(label, bytes) else str(label))
    return split(_labelled(images, names, where), seed, SHARES, where)


def split(whole: FaceImages, seed: int, shares: Sequence[float], where: str) -> Parts:
    """Returns three splits of different people.

    Args:
        whole: Images to split.
        seed: Seed of the split.
        shares: Fractions of the people for the first, second and third split; they sum to 1. A
            fraction of 0 gives an empty split.
        where: Name of the data in error messages.

    Returns:
        Three splits, each with at least two people.

    Raises:
        DataError: If there are too few people for two in each split.
    """
    people = np.unique(whole.labels)
    sizes = [0 if not share else max(2, round(share * len(people))) for share in shares[1:]]
    if len(people) - sum(sizes) < LEAST_PEOPLE:
        needed = LEAST_PEOPLE * sum(share > 0 for share in shares)
        raise DataError(
            f"{where}: {counted(len(people), 'person has', 'people have')} two images or more; "
            f"training, validation and test on different people need at least {needed}.",
            "Give images of more people.",
        )
    order = np.random.default_rng(seed).permutation(people)
    ends = np.cumsum([len(people) - sum(sizes), *sizes])
    train, validation, test = (
        _compact(whole[np.isin(whole.labels, chosen)]) for chosen in np.split(order, ends[:-1])
    )
    return dataclasses.replace(train, left_out=whole.left_out), validation, test


def described(parts: Parts) -> Mapping[str, str]:
    """Returns a description of the splits for the model card: numbers of images and people.

    Args:
        parts: Training, validation and test images.

    Returns:
        Text by heading.
    """
    names = ("training", "validation", "test")
    facts = {
        name: f"{counted(len(part), 'image')} of {counted(part.people, 'person', 'people')}"
        for name, part in zip(names, parts, strict=True)
    }
    left_out = sum(part.left_out for part in parts)
    if left_out:
        facts["left out"] = f"{left_out:,} people with a single image"
    return facts


def fitted(image, size: Size):
    """Returns an image cropped and resized for the network; works inside a `tf.function`.

    Args:
        image: float32 tensor of shape `(height, width, channels)`, or of several images with one
            more axis before, with 1 to 4 channels, from 0 to 1.
        size: Size to crop and resize to.

    Returns:
        float32 tensor of shape `(side, side, channels)`, or of several images, from 0 to 1.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.faces import Size, fitted
    >>> fitted(tf.zeros([40, 30, 3]), Size(16, crop=0.5)).shape.as_list()
    [16, 16, 1]
    """
    import tensorflow as tf

    from dlrecipes.data.image_bytes import of_channels

    image = of_channels(image, size.channels)
    if size.crop < 1:
        image = tf.image.central_crop(image, size.crop)
    image = tf.image.resize(image, [size.side, size.side], antialias=True)
    return tf.clip_by_value(image, 0.0, 1.0)


def fit_image(image: np.ndarray, size: Size) -> np.ndarray:
    """Returns an image cropped and resized, as `fitted` does, as uint8.

    Args:
        image: Array of shape `(height, width)`, `(height, width, channels)` or, for several images
            of the same size, `(images, height, width, channels)`, with 1 to 4 channels. Types other
            than uint8 are scaled (see `dlrecipes.data.image_decoding.scale_to_uint8`).
        size: Size to crop and resize to.

    Returns:
        uint8 array of shape `(side, side, channels)`, or `(images, side, side, channels)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.faces import Size, fit_image
    >>> fit_image(np.zeros((40, 30), "uint8"), Size(16)).shape
    (16, 16, 1)
    """
    image = np.atleast_3d(scale_to_uint8(image, "The dataset")).astype("float32") / 255
    resized = fitted(image, size).numpy()
    return (resized * 255).round().astype("uint8")


def read_fitted(path: Path, size: Size) -> np.ndarray:
    """Returns the image in a file, cropped and resized.

    Args:
        path: Image file (see `dlrecipes.data.image_files.read_image`).
        size: Size to crop and resize to.

    Returns:
        uint8 array of shape `(side, side, channels)`.

    Raises:
        UsageError: If the file does not exist.
        DataError: If the file is not an image, or is damaged.
    """
    return fit_image(image_files.read_image(path, "RGB" if size.channels == 3 else "L"), size)


def _labelled(images: Sequence[np.ndarray], names: Sequence[str], where: str) -> FaceImages:
    counts = Counter(names)
    known = [name for name, count in counts.items() if count >= LEAST_IMAGES]
    if len(known) < LEAST_PEOPLE:
        single = next((name for name in counts if name not in known), "")
        raise DataError(
            f"{where}: expected at least two people with two images each, got {len(known)}"
            + (f"; {single!r} has a single image." if single else "."),
            "Give more images of each person.",
        )
    rows = [row for row, name in enumerate(names) if name in set(known)]
    places = {name: place for place, name in enumerate(known)}
    labels = np.array([places[names[row]] for row in rows], "int32")
    kept = np.stack([images[row] for row in rows])
    return FaceImages(kept, labels, tuple(known), len(counts) - len(known))


def _compact(part: FaceImages) -> FaceImages:
    """Returns the same images with only the names of the people they show."""
    shown, labels = np.unique(part.labels, return_inverse=True)
    names = tuple(part.names[place] for place in shown)
    return FaceImages(part.images, labels.astype("int32"), names)


def _reject_shared_people(parts: Mapping[str, FaceImages], folders: Mapping[str, Path]) -> None:
    for first, second in itertools.combinations([part for part in PARTS if part in parts], 2):
        # A name in another case is the same person.
        known = {name.casefold() for name in parts[first].names}
        shared = [name for name in parts[second].names if name.casefold() in known]
        if shared:
            raise DataError(
                f"{folders[second]}: {min(shared)!r} also occurs in {folders[first].name}.",
                "Use different people in each of train, validation and test.",
            )


def _reject_too_few(part: FaceImages, where: str) -> None:
    if part.people < LEAST_PEOPLE:
        raise DataError(f"{where}: expected at least two people, got {part.people}.")
