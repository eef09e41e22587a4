"""Images with boxes around their objects: Pascal VOC, COCO and YOLO files, and TFDS."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dlrecipes.data import coco_boxes, image_folders, pascal_voc, tfds, yolo_boxes
from dlrecipes.data.box_annotations import Annotations, Placed, place_boxes
from dlrecipes.data.box_examples import BoxExamples, BoxTable
from dlrecipes.data.box_split import split_boxes
from dlrecipes.data.class_names import refuse_similar
from dlrecipes.data.image_examples import EncodedImages, ImageFiles
from dlrecipes.data.image_folders import Note
from dlrecipes.data.image_orientation import ImageHeader, read_header
from dlrecipes.data.image_screening import describe_skipped, require_text, screen_headers
from dlrecipes.data.parts import complete_parts
from dlrecipes.data.reports.copies import shorten
from dlrecipes.data.sources import expand_home
from dlrecipes.data.text_files import missing_file
from dlrecipes.errors import DataError, raise_first

__all__ = ["BoxExamples", "read_labelled_boxes", "tfds_labelled_boxes"]

Parts = tuple[BoxExamples, BoxExamples, BoxExamples]

# Features of objects in TFDS.
_LABELS, _IGNORED = ("label", "type", "category"), ("is_difficult", "is_crowd")
_FORMATS = (pascal_voc, coco_boxes, yolo_boxes)
_EXPECTED = "a folder in the format of Pascal VOC, COCO or YOLO"
_HINT = "; ".join(f"{format_.NAME}: {format_.EXPECTED}" for format_ in _FORMATS)


class Annotated(NamedTuple):
    """The annotations of a folder.

    Args:
        where: Folder or file for messages.
        parts: Boxes by part; `"train"` is one of them.
        has_order: Whether the order of the classes is the file's, rather than that of their names.
    """

    where: Path
    parts: dict[str, Annotations]
    has_order: bool


def read_labelled_boxes(
    path: str | Path, seed: int, note: Note = image_folders.ignore, strict: bool = False
) -> Parts:
    """Returns training, validation and test images with boxes, in any of three formats.

    The format is recognized by the files: Pascal VOC (see `dlrecipes.data.pascal_voc.read_voc`),
    COCO (`dlrecipes.data.coco_boxes.read_coco`) or YOLO (`dlrecipes.data.yolo_boxes.read_yolo`).

    - A tenth of the training images is held out for each missing part, so that every class stays
      in training.
    - Boxes are clipped to their image. Empty, inverted and undefined ones are refused.
    - Images without boxes are background.
    - EXIF orientation is applied to images and boxes alike. Boxes refer to the upright image if
      the size in the annotation says so, and in YOLO's format; to the stored one if the size says
      that.
    - Only the headers of the images are read. Files that are not images, are truncated, or have
      too many or too few pixels are skipped with a note, and so are images that do not exist.

    Args:
        path: Folder, COCO's JSON file or YOLO's YAML file; a leading `~` is expanded.
        seed: Seed of the split.
        note: Receives sentences about how the data was read. Defaults to
            `image_folders.ignore`.
        strict: Whether an annotated image that does not exist or cannot be read is an error.
            Defaults to `False`.

    Returns:
        Training, validation and test images with the same classes: in the natural order of their
        names for Pascal VOC, in the order of the file for COCO and YOLO.

    Raises:
        DataError: If the data cannot be understood; the message names the file and the place in it.
    """
    path = expand_home(path)
    annotated = read_annotations(path, note)
    examples = labelled_examples(annotated, note, strict)
    return complete_parts(examples, seed, str(path), note, split_boxes)


def read_annotations(path: Path, note: Note) -> Annotated:
    """Returns the annotations of a folder as its files give them.

    Args:
        path: Folder, JSON file or YAML file.
        note: Receives sentences about how the data was read.

    Raises:
        DataError: If the format is not recognized, or the files cannot be understood.
    """
    if not path.exists():
        raise missing_file(path, f"Give {_EXPECTED}.")
    if path.is_file():
        suffix = path.suffix.lower()
        if suffix == ".json":
            return Annotated(path, coco_boxes.read_coco(path, note), True)
        if suffix in yolo_boxes.YAML_SUFFIXES:
            return Annotated(path, yolo_boxes.read_yolo(path, note), True)
        require_text(path, "many images", _EXPECTED)
        raise DataError(f"{path}: expected a folder, got a file.", f"Give {_EXPECTED}.")
    folder = image_folders.find_data(path, lambda x: bool(_recognize(x)), note)
    found = _recognize(folder)
    if not found:
        raise DataError(f"{folder}: no annotations of boxes were found.", f"Expected {_HINT}.")
    if len(found) > 1:
        names = " and ".join(f"{name} ({file.relative_to(folder)})" for name, file in found.items())
        raise DataError(
            f"{folder}: annotations in several formats: {names}.",
            "Keep one of them, and move the files of the others elsewhere.",
        )
    if pascal_voc.NAME in found:
        return Annotated(folder, pascal_voc.read_voc(folder, note), False)
    read = coco_boxes.read_coco if coco_boxes.NAME in found else yolo_boxes.read_yolo
    return Annotated(folder, read(folder, note), True)


def _recognize(folder: Path) -> dict[str, Path]:
    """Returns a file of each format that a folder's annotations may have."""
    found = {format_.NAME: format_.evidence(folder) for format_ in _FORMATS}
    known = {name: evidence for name, evidence in found.items() if evidence is not None}
    sure = {name: evidence.path for name, evidence in known.items() if evidence.is_sure}
    return sure or {name: evidence.path for name, evidence in known.items()}


def labelled_examples(annotated: Annotated, note: Note, strict: bool) -> dict[str, BoxExamples]:
    """Returns the images of each part with their boxes.

    Args:
        annotated: Annotations.
        note: Receives sentences about how the data was read.
        strict: Whether an annotated image that does not exist or cannot be read is an error.

    Raises:
        DataError: If boxes are wrong, or the parts do not match.
    """
    where, parts, _ = annotated
    for part in parts.values():
        part.find_problems()
    raise_first(problem for part in parts.values() for problem in part.problems)
    points = [place for part in parts.values() for place in part.points]
    if points:
        note(f"{where}: boxes of a single pixel are ignored: {len(points):,}: {shorten(points)}.")
    _check_missing(where, parts, note, strict)
    placed: dict[str, Placed] = {}
    for name, part in parts.items():
        headers = _headers(where, part.images, note, strict)
        if not any(headers):
            raise DataError(
                f"{where}: none of the {name} images can be used.", "Replace them, or the part."
            )
        placed[name] = place_boxes(part, headers)
    _note_placed(where, placed, note)
    names = _class_names(annotated, placed, note)
    shown = [name.strip() for name in names]
    return {
        part: BoxExamples(
            ImageFiles(own.images),
            _renumbered(own.table, parts["train"].classes, names),
            shown,
            own.sizes,
        )
        for part, own in placed.items()
    }


def _check_missing(where: Path, parts: Mapping[str, Annotations], note: Note, strict: bool) -> None:
    """Notes annotated images that do not exist; refuses them if `strict`."""
    missing = [name for part in parts.values() for name in part.missing]
    for name, part in parts.items():
        if part.missing and not part.images:
            raise DataError(
                f"{where}: none of the {len(part.missing):,} {name} images was found, such as "
                f"{part.missing[0]}.",
                f"Put the images next to the annotations. Expected {_HINT}.",
            )
    if missing:
        total = len(missing) + sum(len(part.images) for part in parts.values())
        problem = f"{len(missing):,} of {total:,} annotated images do not exist"
        _report_lost(f"{where}: {problem}: {shorten(missing)}.", note, strict)
    owners: dict[str, str] = {}
    shared = [
        image
        for name, part in parts.items()
        for image in part.images
        if owners.setdefault(image, name) != name
    ]
    if shared:
        note(
            f"{where}: {len(shared):,} images belong to two parts, so that the score is too good: "
            f"{shorten(shared)}."
        )


def _report_lost(problem: str, note: Note, strict: bool) -> None:
    if strict:
        raise DataError(problem, "Add or mend them, or run without --strict.")
    note(f"{problem} They are left out.")


def _headers(
    where: Path, images: Sequence[str], note: Note, strict: bool
) -> list[ImageHeader | None]:
    """Returns the header of each image, `None` for those that cannot be used."""
    screened = screen_headers(images)
    root = f"{where}/"
    names = [image.removeprefix(root) for image in images]
    skipped = describe_skipped(names, [image.problem for image in screened])
    if skipped and strict:
        raise DataError(f"{where}: {skipped}", "Replace these images, or run without --strict.")
    if skipped:
        note(f"{where}: {skipped}")
    return [None if image.problem else image.header for image in screened]


def _note_placed(where: Path, placed: Mapping[str, Placed], note: Note) -> None:
    clipped = sum(own.clipped for own in placed.values())
    if clipped:
        total = sum(len(own.table.boxes) for own in placed.values())
        note(f"{where}: {clipped:,} of {total:,} boxes were clipped at the border of their image.")
    undecided = [image for own in placed.values() for image in own.undecided]
    if undecided:
        note(
            f"{where}: {len(undecided):,} images are rotated by EXIF data, and their annotations "
            f"do not say whether the boxes are: they are read as boxes on the upright image, such "
            f"as in {undecided[0]}."
        )


def _class_names(annotated: Annotated, placed: Mapping[str, Placed], note: Note) -> list[str]:
    """Returns the names of the classes; the ones that annotations have, in order."""
    where, parts, has_order = annotated
    raw = list(parts["train"].classes)
    refuse_similar(where, raw)
    shown = {
        part: {raw[k] for k in np.unique(own.table.classes[~own.table.ignored])}
        for part, own in placed.items()
    }
    _require_boxes(where, shown)
    learned = [name for name in raw if name in shown["train"]]
    for part, names in shown.items():
        own = sorted(names, key=image_folders.natural)
        known = learned if has_order else sorted(learned, key=image_folders.natural)
        image_folders.match_classes(own, known, where / part, note)
    if not has_order:
        # Objects that are ignored may be of further classes.
        used = {raw[k] for own in placed.values() for k in np.unique(own.table.classes)}
        return sorted(used, key=image_folders.natural)
    unused = [name for name in raw if name not in shown["train"]]
    if unused:
        note(f"{where}: classes without a box for training: {len(unused):,}: {shorten(unused)}.")
    return raw


def _require_boxes(where: Path | str, shown: Mapping[str, set[str]]) -> None:
    """Refuses parts without a box that counts."""
    for part, names in shown.items():
        if not names:
            what = "training" if part == "train" else part
            hint = "Annotate them." if part == "train" else "Annotate them, or remove the part."
            raise DataError(f"{where}: none of the {what} images has a box.", hint)


def _renumbered(table: BoxTable, classes: Mapping[str, int], names: Sequence[str]) -> BoxTable:
    """Returns boxes whose classes are indices of `names` in place of the numbers in `classes`."""
    places = np.full(len(classes), -1, "int32")
    for place, name in enumerate(names):
        places[classes[name]] = place
    return table._replace(classes=places[table.classes])


def tfds_labelled_boxes(
    name: str, data_dir: str | Path, seed: int, note: Note = image_folders.ignore
) -> Parts:
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
        note(f"{place}: {empty:,} empty boxes are left out.")
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
