"""Labelled images of any kind, decoded when they are needed: folders, CSV files, TFDS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrecipes.data import image_folders, tfds
from dlrecipes.data.class_names import refuse_similar
from dlrecipes.data.folder_entries import natural
from dlrecipes.data.image_examples import EncodedImages, ImageExamples
from dlrecipes.data.image_facts import ImageFacts
from dlrecipes.data.image_folders import Note
from dlrecipes.data.image_screening import (
    LEAST_SIDE,
    TOO_SMALL,
    describe_skipped,
    require_text,
    screen_images,
)
from dlrecipes.data.image_tables import has_tables, read_image_tables
from dlrecipes.data.parts import complete_parts, stratified_split
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.copies import WHOLE
from dlrecipes.data.reports.images import ImageCheck, check_images
from dlrecipes.data.sources import expand_home
from dlrecipes.data.text_files import missing_file
from dlrecipes.errors import DataError

__all__ = ["ImageExamples", "read_labelled_images", "tfds_labelled_images"]

_FORMATS = (
    "a folder with one folder of images per class, or a CSV file with the columns path and label"
)

Parts = tuple[ImageExamples, ImageExamples, ImageExamples]
# Image files and their classes.
Files = list[tuple[Path, str]]


def read_labelled_images(path: str | Path, seed: int, note: Note = image_folders.ignore) -> Parts:
    """Returns training, validation and test images from class folders or CSV files.

    Three layouts are read:

    - One folder of images per class.
    - Folders `train`, `validation` and `test`, each with one folder of images per class.
    - A CSV file with the columns `path` and `label` (see `read_image_table`), or a folder with such
      files for `train`, `validation` and `test`.

    A tenth of the training images, within each class, is held out for each missing part. Only the
    headers of the files are read. Files that are not images, are truncated, or have too many or too
    few pixels are skipped with a note.

    Args:
        path: Folder or CSV file; a leading `~` is expanded.
        seed: Seed of the split.
        note: Receives sentences about how the data was read. Defaults to
            `image_folders.ignore`.

    Returns:
        Training, validation and test images with the same classes, in the natural order of their
        names.

    Raises:
        DataError: If the data cannot be read as labelled images; the message names the file.
    """
    path = expand_home(path)
    files = _files(path, note)
    refuse_similar(path, (name for _, name in files["train"]))
    files = _without_unusable(path, files, note)
    names = _require_classes(path, (name for _, name in files["train"]))
    for part, examples in files.items():
        image_folders.match_classes(
            dict.fromkeys(name for _, name in examples), names, path / part, note
        )
    labelled = {part: _examples(chosen, names) for part, chosen in files.items()}
    return complete_parts(labelled, seed, str(path), note, stratified_split)


def check_labelled_images(path: str | Path, name: str, balance: bool = False) -> DataReport:
    """Returns the report on class folders or CSV files: every image is decoded once.

    Args:
        path: Folder or CSV file; a leading `~` is expanded.
        name: Name of the data.
        balance: Whether the recipe has a setting `--balance`. Defaults to `False`.

    Raises:
        DataError: If the folder or file does not exist.
    """
    path = expand_home(path)
    if not path.exists():
        raise missing_file(path, f"Give {_FORMATS}.")

    def find(note: Note) -> Mapping[str, Mapping[str, Sequence[Path]]]:
        files = _files(path, note)
        refuse_similar(path, (name for _, name in files["train"]))
        by_class: dict[str, dict[str, list[Path]]] = {}
        for part, examples in files.items():
            own = by_class.setdefault(part if len(files) > 1 else WHOLE, {})
            for file, label in examples:
                own.setdefault(label, []).append(Path(file))
        return by_class

    def inspect(image: ImageFacts) -> DataError | None:
        if min(image.width, image.height) >= LEAST_SIDE:
            return None
        return DataError(f"{image.source}: {TOO_SMALL}.")

    def validate(check: ImageCheck) -> None:
        parts = {"train" if part == WHOLE else part: own for part, own in check.readable.items()}
        empty = [label for own in parts.values() for label, files in own.items() if not files]
        if empty:
            raise DataError(
                f"{path}: no image of the class {empty[0]!r} can be used.",
                "Replace these images, or remove the class.",
            )
        names = _require_classes(path, parts["train"])
        for part, own in parts.items():
            image_folders.match_classes(own, names, path / part)
        examples = {
            part: _examples([(Path(str(x)), k) for k, files in own.items() for x in files], names)
            for part, own in parts.items()
        }
        complete_parts(examples, 0, str(path), image_folders.ignore, stratified_split)

    return check_images(
        name, path, find, inspect=inspect, validate=validate, balance=balance, skips=True
    )


def _require_classes(path: Path, labels: Iterable[str]) -> list[str]:
    names = sorted(set(labels), key=natural)
    if len(names) < 2:
        raise DataError(
            f"{path}: expected at least two classes, got one, {names[0]!r}.",
            "Add images of another class.",
        )
    return names


def _files(path: Path, note: Note) -> Mapping[str, Files]:
    """Returns the files of each part; `train` is one of them."""
    if path.is_file():
        return read_image_tables(require_text(path, "many images", _FORMATS), note)
    if not path.is_dir():
        raise missing_file(path, f"Give {_FORMATS}.")
    folder = image_folders.find_data(path, _is_data, note)
    if not image_folders.has_classes(folder) and has_tables(folder):
        return read_image_tables(folder, note)
    parts = image_folders.parts(folder, note)
    if not parts:
        return {"train": _class_files(folder, note, least=2)}
    return {
        part: _class_files(
            image_folders.find_data(inner, image_folders.has_classes, note),
            note,
            least=2 if part == "train" else 1,
        )
        for part, inner in parts.items()
    }


def _is_data(folder: Path) -> bool:
    return image_folders.has_classes(folder) or has_tables(folder)


def _class_files(folder: Path, note: Note, least: int) -> Files:
    classes = image_folders.classes(folder, note, least)
    return [(file, name) for name, files in classes.items() for file in files]


def _without_unusable(path: Path, files: Mapping[str, Files], note: Note) -> dict[str, Files]:
    paths = [file for examples in files.values() for file, _ in examples]
    reasons = screen_images(paths)
    shown = [_relative(file, path) for file in paths]
    skipped = describe_skipped(shown, reasons)
    if skipped:
        note(f"{path}: {skipped}")
    unused = {file for file, reason in zip(paths, reasons, strict=True) if reason}
    usable = {
        part: [example for example in examples if example[0] not in unused]
        for part, examples in files.items()
    }
    for part, examples in files.items():
        lost = {name for _, name in examples} - {name for _, name in usable[part]}
        if lost:
            raise DataError(
                f"{path}: no image of the class {min(lost)!r} can be used. {skipped}",
                "Replace these images, or remove the class.",
            )
    return usable


def _relative(file: Path, folder: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)


def _examples(files: Files, names: Sequence[str]) -> ImageExamples:
    places = {name: place for place, name in enumerate(names)}
    labels = [places[name] for _, name in files]
    return ImageExamples.from_files([file for file, _ in files], labels, names)


def tfds_labelled_images(
    name: str, data_dir: str | Path, seed: int, note: Note = image_folders.ignore
) -> Parts:
    """Returns the splits of a dataset of TensorFlow Datasets whose images have one label each.

    The encoded images are copied into a temporary file, so that memory does not grow with the
    dataset. A tenth of the training images, within each class, is held out for each missing part.
    A dataset with a single split is split 80/10/10.

    Args:
        name: Name in the catalogue, such as `"cifar10"`, `"cats_vs_dogs"` or `"tf_flowers"`.
        data_dir: Folder of the downloaded datasets; a leading `~` is expanded.
        seed: Seed of the split.
        note: Receives sentences about how the data was split. Defaults to
            `image_folders.ignore`.

    Returns:
        Training, validation and test images.

    Raises:
        DataError: If the dataset does not exist, cannot be downloaded, or does not consist of
            labelled images.
    """
    where = f"tfds:{name}"
    with tfds.prepared(name, data_dir) as builder:
        features = builder.info.features
        label = features.get("label")
        if "image" not in features or not hasattr(label, "names"):
            raise DataError(
                f"{where}: expected images with a class each, features image and label.",
                "Try cifar10, cats_vs_dogs or tf_flowers.",
            )
        names = [str(text) for text in label.names]
        parts = {
            part: _tfds_part(builder, split, names, where)
            for part, split in tfds.part_splits(builder, where, note).items()
        }
    return complete_parts(parts, seed, where, note, stratified_split)


def _tfds_part(builder: Any, split: str, names: Sequence[str], where: str) -> ImageExamples:
    import tensorflow_datasets

    labels: list[int] = []

    def contents() -> Iterator[bytes]:
        decoders = {"image": tensorflow_datasets.decode.SkipDecoding()}
        examples = builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)
        for example in examples.as_numpy_iterator():
            labels.append(int(example["label"]))
            yield example["image"]

    source = EncodedImages(contents(), f"{where}, {split}")
    if not labels or min(labels) < 0:
        raise DataError(f"{where}: the split {split} has images without a label.")
    return ImageExamples(source, np.array(labels), names)
