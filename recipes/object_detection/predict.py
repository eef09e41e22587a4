"""Predictions of object detection: from image files to boxes, without TensorFlow."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlrecipes.data.image_decoding import decode_image
from dlrecipes.errors import UsageError
from dlrecipes.recipe.box_inputs import detect_files, open_detector
from dlrecipes.recipe.image_inputs import expand_images
from dlrecipes.recipe.image_outputs import check_folder, write_image
from dlrecipes.recipe.labels import published_labels
from dlrecipes.recipe.unanswered import Unanswered, complete

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

    from .config import PredictOptions


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

    An image without an object has the best one below the threshold as `best_below`.

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
    files, names = prepare(version, inputs, options), published_labels(version)
    predictions = detect_files(open_detector(version), files)
    for prediction in predictions:
        if isinstance(prediction, Unanswered):
            continue
        everything = prediction["objects"]
        objects = [found for found in everything if found["score"] >= options.threshold]
        prediction["objects"] = objects
        if everything and not objects:
            best = {name: everything[0][name] for name in ("label", "score")}
            prediction["best_below"] = {**best, "threshold": options.threshold}
        if options.draw:
            drawing = _drawn(prediction["file"], objects, names)
            path = write_image(options.draw, prediction["file"], "boxes", drawing)
            prediction["drawing"] = path
    return complete(predictions)


def _drawn(file: str, objects: Sequence[Mapping[str, Any]], names: Sequence[str]) -> bytes:
    """Returns an image with the boxes of its objects, as a PNG file."""
    from dlrecipes.figures import box_colours, draw_boxes

    image = decode_image(file, file).convert("RGB")
    boxes, labels, scores = (
        [found[name] for found in objects] for name in ("box", "label", "score")
    )
    content = io.BytesIO()
    drawing = draw_boxes(image, boxes, labels, scores, box_colours(names))
    drawing.save(content, "PNG", compress_level=1)
    return content.getvalue()


def present(prediction: Mapping[str, Any]) -> str:
    """Returns the objects of an image, one per line, and the path of its drawing."""
    objects = prediction["objects"]
    drawing = f"; drawn in {prediction['drawing']}" if "drawing" in prediction else ""
    counts = _counted(objects) or _nothing(prediction.get("best_below"))
    lines = [f"{prediction['file']}: {counts}{drawing}"]
    for found in objects:
        left, top, right, bottom = (round(edge) for edge in found["box"])
        lines.append(f"  {found['label']} {found['score']:.1%} at {left},{top} to {right},{bottom}")
    return "\n".join(lines)


def _counted(objects: Sequence[Mapping[str, Any]]) -> str:
    """Returns how many objects of each class there are."""
    counts: dict[str, int] = {}
    for found in objects:
        counts[found["label"]] = counts.get(found["label"], 0) + 1
    return ", ".join(f"{count} {label}" for label, count in counts.items())


def _nothing(best: Mapping[str, Any] | None) -> str:
    """Returns that there are no objects, and the best one below the threshold."""
    if best is None:
        return "no objects"
    # Enough digits that a score does not look like the threshold.
    score = f"{best['score']:.2f}"
    if float(score) >= best["threshold"]:
        score = f"{best['score']:.4f}"
    return f"no objects (best: {best['label']} {score}, below the threshold {best['threshold']:g})"
