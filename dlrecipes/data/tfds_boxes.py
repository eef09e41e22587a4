"""Images with boxes of TensorFlow Datasets."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrecipes.data import image_folders, tfds
from dlrecipes.data.box_annotations import Annotations, place_boxes
from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.data.box_split import split_boxes
from dlrecipes.data.image_examples import EncodedImages
from dlrecipes.data.image_folders import Note
from dlrecipes.data.image_orientation import ImageHeader, read_header
from dlrecipes.data.parts import complete_parts
from dlrecipes.errors import DataError, raise_first

# Features of objects.
_LABELS, _IGNORED = ("label", "type", "category"), ("is_difficult", "is_crowd")


def tfds_labelled_boxes(
    name: str, data_dir: str | Path, seed: int, note: Note = image_folders.ignore
) -> tuple[BoxExamples, BoxExamples, BoxExamples]:
    """Returns the splits of a dataset of TensorFlow Datasets whose images have boxes.

    The dataset has the features `image` and `objects`, which have a `bbox`, a `label` and perhaps
    `is_difficult` or `is_crowd`. The encoded images are copied into a temporary file, so that
    memory does not grow with the dataset. A tenth of the training images is held out for each
    missing part. A split without any box, such as COCO's test split, is not used.

    Args:
        name: Name in the catalogue, such as `"voc/2007"`.
        data_dir: Folder of the downloaded datasets; a leading `~` is expanded.
        seed: Seed of the split.
        note: Receives sentences about how the data was read. Defaults to
            `image_folders.ignore`.

    Returns:
        Training, validation and test images.

    Raises:
        DataError: If the dataset does not exist, cannot be downloaded, or does not consist of
            images with boxes.
    """
    where = f"tfds:{name}"
    with tfds.prepared(name, data_dir) as builder:
        features = builder.info.features
        objects = features.get("objects") or {}
        label = next((key for key in _LABELS if key in objects), "")
        if "image" not in features or "bbox" not in objects or not label:
            raise DataError(
                f"{where}: expected the features image and objects, with a bbox and a label each.",
                "Try voc/2007.",
            )
        names = [str(text) for text in objects[label].names]
        parts = {
            part: _tfds_part(builder, split, (label, names), where, note)
            for part, split in tfds.part_splits(builder, where, note).items()
        }
    used = {part: examples for part, examples in parts.items() if len(examples.table.boxes)}
    if "train" not in used:
        raise DataError(f"{where}: none of the training images has a box.", "Try voc/2007.")
    unused = [part for part in parts if part not in used]
    if unused:
        note(f"{where}: not used, because no image has a box: {', '.join(unused)}.")
    return complete_parts(used, seed, where, note, split_boxes)


def _tfds_part(
    builder: Any, split: str, label: tuple[str, Sequence[str]], where: str, note: Note
) -> BoxExamples:
    import tensorflow_datasets

    key, names = label
    place = f"{where}, {split}"
    annotations = Annotations(
        {name: number for number, name in enumerate(names)},
        lambda file, number: f"{file}: object {number}",
        fractions=True,
        # TensorFlow Datasets decodes images without their orientation.
        upright=False,
    )
    headers: list[ImageHeader] = []
    empty = 0

    def contents() -> Iterator[bytes]:
        nonlocal empty
        decoders = {"image": tensorflow_datasets.decode.SkipDecoding()}
        examples = builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)
        for number, example in enumerate(examples.as_numpy_iterator()):
            image = f"{place}, image {number}"
            headers.append(read_header(io.BytesIO(example["image"]), image))
            annotations.add_image(image, image)
            empty += _add_objects(example["objects"], key, names, annotations)
            yield example["image"]

    source = EncodedImages(contents(), place)
    annotations.find_problems()
    raise_first(annotations.problems)
    if empty:
        note(f"{place}: empty boxes, which are left out: {empty:,}.")
    placed = place_boxes(annotations, headers)
    return BoxExamples(source, placed.table, names, placed.sizes)


def _add_objects(
    objects: Mapping[str, Any], key: str, names: Sequence[str], annotations: Annotations
) -> int:
    """Adds the boxes of an image, and returns how many were empty."""
    count, empty = len(objects["bbox"]), 0
    flags = [np.asarray(objects[flag], bool) for flag in _IGNORED if flag in objects]
    ignored = np.any([np.zeros(count, bool), *flags], axis=0).tolist()
    for number, (box, label) in enumerate(zip(objects["bbox"], objects[key], strict=True)):
        top, left, bottom, right = (float(side) for side in box)
        if not 0 <= label < len(names):
            annotations.add_problem(f"{annotations.images[-1]}: object {number} has no class.")
        elif top == bottom or left == right:
            empty += 1
        else:
            corners = (left, top, right, bottom)
            annotations.add_box(corners, names[int(label)], number, ignored[number])
    return empty
