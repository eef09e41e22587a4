"""Predictions of object detection: from image files to boxes, without TensorFlow."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrecipes.data.image_decoding import decode_image
from dlrecipes.errors import UsageError
from dlrecipes.export.detection_litert import load_detector
from dlrecipes.recipe.image_inputs import answer_images, expand_images
from dlrecipes.recipe.image_outputs import check_folder, write_image
from dlrecipes.recipe.unanswered import complete

if TYPE_CHECKING:
    from PIL import Image

    from dlrecipes.export.version import ModelVersion

    from .config import PredictOptions

LABELS_FILE = "labels.txt"


def prepare(version: ModelVersion, inputs: Sequence[str], options: PredictOptions) -> list[str]:
    """Returns the image files that the inputs name.

    Args:
        version: Published version.
        inputs: Image files, folders and patterns.
        options: Folder of drawings.

    Raises:
        UsageError: If an input does not exist, or the folder cannot be made.
        DataError: If a folder has no images.
    """
    if not inputs:
        raise UsageError("No images to search.", "Give image files, or a folder of images.")
    check_folder("--draw", options.draw)
    return expand_images(inputs)


def predict(
    version: ModelVersion, inputs: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Returns the objects in each image file: box in its pixels, label and score.

    Args:
        version: Published version.
        inputs: Image files, folders and patterns.
        options: Least score, and the folder of drawings.

    Raises:
        UsageError: If an input does not exist, or a drawing cannot be written.
        IncompletePredictions: If one of several files cannot be decoded as an image; the error has
            the predictions of the others. It is a `DataError`, as for a single file.
        PublishError: If the version's LiteRT file cannot be loaded.
    """
    files = prepare(version, inputs, options)
    detector = load_detector(version, names(version))

    def answer(paths: list[str], contents: list[bytes]) -> list[dict[str, Any]]:
        predictions = []
        for path, content in zip(paths, contents, strict=True):
            image = decode_image(io.BytesIO(content), path).convert("RGB")
            objects = detector.predict(np.asarray(image), options.threshold)
            prediction = {
                "file": path,
                "width": image.width,
                "height": image.height,
                "objects": objects,
            }
            if options.draw:
                drawing = _drawn(image, objects)
                prediction["drawing"] = write_image(options.draw, path, "boxes", drawing)
            predictions.append(prediction)
        return predictions

    return complete(answer_images(files, answer))


def names(version: ModelVersion) -> list[str]:
    """Returns the names of a version's classes."""
    from dlrecipes.export.version import EXTRAS

    text = version.file(f"{EXTRAS}/{LABELS_FILE}").read_text(encoding="utf-8")
    return text.split("\n")[:-1]


def _drawn(image: Image.Image, objects: Sequence[Mapping[str, Any]]) -> bytes:
    """Returns an image with the boxes of its objects, as a PNG file."""
    from dlrecipes.figures import draw_boxes

    columns = ([found[name] for found in objects] for name in ("box", "label", "score"))
    content = io.BytesIO()
    draw_boxes(image, *columns).save(content, "PNG", compress_level=1)
    return content.getvalue()


def present(prediction: Mapping[str, Any]) -> str:
    """Returns the objects of an image, one per line, and the path of its drawing."""
    objects = prediction["objects"]
    drawing = f"; drawn in {prediction['drawing']}" if "drawing" in prediction else ""
    lines = [f"{prediction['file']}: {_counted(objects)}{drawing}"]
    for found in objects:
        left, top, right, bottom = (round(edge) for edge in found["box"])
        lines.append(f"  {found['label']} {found['score']:.1%} at {left},{top} to {right},{bottom}")
    return "\n".join(lines)


def _counted(objects: Sequence[Mapping[str, Any]]) -> str:
    """Returns how many objects of each class there are."""
    counts: dict[str, int] = {}
    for found in objects:
        counts[found["label"]] = counts.get(found["label"], 0) + 1
    return ", ".join(f"{count} {label}" for label, count in counts.items()) or "no objects"
