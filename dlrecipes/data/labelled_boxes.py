"""Images with boxes around their objects: Pascal VOC, COCO and YOLO files, and TFDS."""

from __future__ import annotations

from pathlib import Path

from dlrecipes.data import coco_boxes, image_folders, pascal_voc, yolo_boxes
from dlrecipes.data.annotated_images import Annotated, labelled_examples
from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.data.box_split import split_boxes
from dlrecipes.data.image_facts import ImageFacts
from dlrecipes.data.image_folders import Note
from dlrecipes.data.image_screening import (
    LEAST_SIDE,
    TOO_SMALL,
    require_text,
)
from dlrecipes.data.parts import complete_parts
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.boxes import SIZE, add_boxes
from dlrecipes.data.reports.copies import WHOLE
from dlrecipes.data.reports.images import Files, ImageCheck, check_images
from dlrecipes.data.sources import expand_home
from dlrecipes.data.text_files import missing_file
from dlrecipes.data.tfds_boxes import tfds_labelled_boxes
from dlrecipes.errors import DataError

__all__ = ["BoxExamples", "check_labelled_boxes", "read_labelled_boxes", "tfds_labelled_boxes"]

Parts = tuple[BoxExamples, BoxExamples, BoxExamples]

_FORMATS = (pascal_voc, coco_boxes, yolo_boxes)
_EXPECTED = "a folder in the format of Pascal VOC, COCO or YOLO"
_HINT = "; ".join(f"{format_.NAME}: {format_.EXPECTED}" for format_ in _FORMATS)


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
    - EXIF orientation is applied to images and their boxes. Boxes refer to the upright image if
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


def check_labelled_boxes(
    path: str | Path, name: str, size: int = SIZE, strict: bool = False
) -> DataReport:
    """Returns the report on images with boxes: every image is decoded once.

    Args:
        path: Folder, JSON file or YAML file; a leading `~` is expanded.
        name: Name of the data.
        size: Height and width of the network's images, for which anchors are suggested. Defaults
            to 256.
        strict: Whether an annotated image that does not exist or cannot be read is a problem.
            Defaults to `False`: it is left out, with a note.

    Raises:
        DataError: If the folder or file does not exist.
    """
    path = expand_home(path)
    if not path.exists():
        raise missing_file(path, f"Give {_EXPECTED}.")
    parts: dict[str, BoxExamples] = {}

    def find(note: Note) -> Files:
        annotated = read_annotations(path, note)
        examples = labelled_examples(annotated, note, strict)
        shown = {WHOLE if len(examples) == 1 else part: part for part in examples}
        parts.update({name: examples[part] for name, part in shown.items()})
        own = {name: annotated.parts[part].images for name, part in shown.items()}
        return {name: {"": list(map(Path, images))} for name, images in own.items()}

    def inspect(image: ImageFacts) -> DataError | None:
        if min(image.width, image.height) >= LEAST_SIDE:
            return None
        return DataError(f"{image.source}: {TOO_SMALL}.")

    def validate(_: ImageCheck) -> None:
        own = {"train" if part == WHOLE else part: examples for part, examples in parts.items()}
        complete_parts(own, 0, str(path), image_folders.ignore, split_boxes)

    report = check_images(
        name, path, find, inspect=inspect, validate=validate, groups=None, skips=True
    )
    if parts:
        add_boxes(report, parts, size)
    return report
