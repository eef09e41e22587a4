"""Images of one size, with or without classes: IDX files, folders of images, TFDS."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from dlrecipes.data import idx, image_decoding, image_folders, tfds
from dlrecipes.data.digits import LabelledImages, idx_classes
from dlrecipes.data.faces import Size, fit_image, read_fitted
from dlrecipes.data.folder_entries import list_entries
from dlrecipes.data.image_examples import ImageFiles
from dlrecipes.data.image_folders import Note
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.images import ImageCheck, check_images
from dlrecipes.data.sources import existing_folder
from dlrecipes.errors import DataError

EXPECTED = "a folder of images"
# Side that larger images are resized to, if none is given.
LARGEST = 64
# Name of the class of images without classes.
NO_CLASS = ""

Channels = Literal[1, 3]
Files = dict[str, list[Path]]


def read_resized_images(
    path: Path, side: int, channels: Channels, note: Note = image_folders.ignore
) -> dict[str, LabelledImages]:
    """Returns the images in a folder, resized to squares of one size, by part.

    The folder holds IDX files named like MNIST's; or images; or one folder of images per class; or
    folders `train`, `validation` and `test` of such images. It may be wrapped in others.

    Args:
        path: Folder to read; a leading `~` is expanded.
        side: Height and width of the results; 0 takes the longest side of all images, at most
            `LARGEST`.
        channels: 1 for grey, 3 for colour. IDX files are grey.
        note: Receives sentences about how the folder was read. Defaults to
            `image_folders.ignore`.

    Returns:
        Images of the parts that the folder has; `"train"` is one of them. Images without classes
        have one class, `NO_CLASS`.

    Raises:
        DataError: If the folder or a file in it cannot be read; the message names it.

    Example:

    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from dlrecipes.data.resized_images import read_resized_images
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for size in (20, 30):
    ...     Image.new("L", (size, size)).save(folder / f"{size}.png")
    >>> read_resized_images(folder, side=0, channels=1)["train"].images.shape
    (2, 30, 30, 1)
    """
    path = existing_folder(path, EXPECTED)
    found = image_folders.find_data(path, lambda x: idx.is_idx_folder(x) or _is_data(x), note)
    if idx.is_idx_folder(found):
        return _idx_parts(found, side)
    files = part_files(found, note)
    names = list(files["train"])
    every = [file for own in files.values() for paths in own.values() for file in paths]
    side = _common_side(path, every, side, note)
    return {part: _read(own, names, Size(side, channels=channels)) for part, own in files.items()}


def check_resized_images(
    path: Path, name: str, validate: Callable[[ImageCheck], None] | None = None
) -> DataReport | None:
    """Returns the report on a folder of images; `None` for IDX files, which hold arrays.

    Args:
        path: Folder as for `read_resized_images`.
        name: Name of the data.
        validate: Function that raises an error if the images do not suffice. Defaults to `None`.

    Raises:
        DataError: If the folder does not exist.
    """
    path = existing_folder(path, EXPECTED)
    with contextlib.suppress(DataError):  # Reported below.
        if idx.is_idx_folder(image_folders.find_data(path, idx.is_idx_folder)):
            return None
    return check_images(name, path, lambda note: part_files(path, note), validate=validate)


def _idx_parts(folder: Path, side: int) -> dict[str, LabelledImages]:
    parts = idx.read_idx_folder(folder)
    names, ids = idx_classes(folder, [labels for _, labels in parts.values()])
    return {
        part: LabelledImages(_squares(images[..., None], side, 1), ids[labels], names)
        for part, (images, labels) in parts.items()
    }


def _squares(images: np.ndarray, side: int, channels: Channels) -> np.ndarray:
    side = side or min(LARGEST, max(images.shape[1:3]))
    if images.shape[1:] == (side, side, channels):
        return images
    return fit_image(images, Size(side, channels=channels))


def _common_side(path: Path, files: Sequence[Path], side: int, note: Note) -> int:
    """Returns the side that all images get, and notes it if they differ in size."""
    source = ImageFiles(files)
    sizes = {source.size(number) for number in range(len(source))}
    side = side or min(LARGEST, max(max(size) for size in sizes))
    if sizes != {(side, side)}:
        ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
        least, *_, most = (f"{width}x{height}" for height, width in (ordered[0], ordered[-1]))
        which = f"of {least} pixels" if len(sizes) == 1 else f"from {least} to {most} pixels"
        note(f"{path}: the images, {which}, are resized to {side}x{side} (--size).")
    return side


def part_files(path: Path, note: Note = image_folders.ignore) -> dict[str, Files]:
    """Returns the image files of each part by class; without classes, all belong to `NO_CLASS`.

    Args:
        path: Folder as for `read_resized_images`, without IDX files.
        note: Receives sentences about how the folder was read. Defaults to
            `image_folders.ignore`.

    Raises:
        DataError: If there are no images, or not all parts have the same classes.
    """
    path = image_folders.find_data(path, _is_data, note)
    folders = image_folders.parts(path, note) or {"train": path}
    files: dict[str, Files] = {}
    for part, folder in folders.items():
        files[part] = _files(image_folders.find_data(folder, _is_data, note), note)
        if (NO_CLASS in files[part]) != (NO_CLASS in files["train"]):
            raise DataError(
                f"{folder}: expected folders of images in both train and {part}, or in neither.",
                "Sort the images of both into folders, or those of neither.",
            )
        if part != "train":
            image_folders.match_classes(files[part], files["train"], folder, note)
    return files


def _is_data(folder: Path) -> bool:
    return bool(image_folders.list_images(folder)) or image_folders.has_classes(folder, least=1)


def _files(folder: Path, note: Note) -> Files:
    """Returns the image files in a folder; or those of its folders, which are the classes."""
    if image_folders.has_classes(folder, least=1):
        return image_folders.classes(folder, note, least=1)
    files = image_folders.list_images(folder, note)
    if not files:
        raise DataError(
            f"{folder}: there are no images in this folder or its folders"
            f"{image_folders.describe_unread(list_entries(folder))}.",
            f"Supported formats: {', '.join(image_decoding.SUFFIXES)}.",
        )
    return {NO_CLASS: files}


def _read(files: Mapping[str, Sequence[Path]], names: Sequence[str], size: Size) -> LabelledImages:
    images = [read_fitted(file, size) for paths in files.values() for file in paths]
    ids = [names.index(name) for name in files]
    labels = np.repeat(np.array(ids, "int32"), [len(paths) for paths in files.values()])
    return LabelledImages(np.stack(images), labels, tuple(names))


def tfds_resized_images(
    name: str,
    data_dir: str | Path,
    side: int,
    colour: bool,
    note: Note = image_folders.ignore,
    parts: Iterable[str] = ("train", "validation", "test"),
) -> dict[str, LabelledImages]:
    """Returns images of a dataset of TensorFlow Datasets, resized to squares of one size, by part.

    Args:
        name: Name in the catalogue, such as `"mnist"` or `"celeb_a"`.
        data_dir: Folder of the downloaded datasets; a leading `~` is expanded.
        side: Height and width of the results; 0 takes the longest side of the first image, at most
            `LARGEST`.
        colour: Whether images that are in colour stay so.
        note: Receives the names of the splits that are not used. Defaults to
            `image_folders.ignore`.
        parts: Parts to read, if the dataset has them. Defaults to all.

    Returns:
        Images of the parts that the dataset has. Images without classes have one class,
        `NO_CLASS`.

    Raises:
        DataError: If the dataset does not exist, cannot be downloaded, or has no images.
    """
    with tfds.prepared(name, Path(data_dir)) as builder:
        features = dict(builder.info.features)
        if "image" not in features:
            raise DataError(f"tfds:{name}: expected images.", "Try mnist or celeb_a.")
        names = tuple(getattr(features.get("label"), "names", None) or (NO_CLASS,))
        channels: Channels = 3 if colour and features["image"].shape[-1] != 1 else 1
        read = {}
        for part, split in tfds.part_splits(builder, f"tfds:{name}", note).items():
            if part not in parts:
                continue
            images, labels = [], []
            for example in builder.as_dataset(split=split).as_numpy_iterator():
                side = side or min(LARGEST, max(example["image"].shape[:2]))
                images.append(_squares(example["image"][None], side, channels)[0])
                labels.append(example.get("label", 0) if len(names) > 1 else 0)
            read[part] = LabelledImages(np.stack(images), np.array(labels, "int32"), names)
        return read
