"""Predictions of image classification: from image files to likely classes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dlrecipes.errors import UsageError
from dlrecipes.recipe.image_inputs import answer_images, expand_images
from dlrecipes.recipe.image_outputs import check_folder, write_image
from dlrecipes.recipe.unanswered import complete

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

    from .config import PredictOptions


def prepare(version: ModelVersion, inputs: Sequence[str], options: PredictOptions) -> list[str]:
    """Returns the image files that the inputs name; does not load TensorFlow.

    Args:
        version: Published version.
        inputs: Image files, folders and patterns.
        options: Folder of heat maps.

    Raises:
        UsageError: If an input does not exist, or the folder cannot be made.
        DataError: If a folder has no images.
    """
    if not inputs:
        raise UsageError("No images to classify.", "Give image files, or a folder of images.")
    check_folder("--explain", options.explain)
    return expand_images(inputs)


def predict(
    version: ModelVersion, inputs: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Returns the likely classes of each image file, with their probabilities.

    Args:
        version: Published version.
        inputs: Image files, folders and patterns.
        options: Number of classes, and the folder of heat maps.

    Raises:
        UsageError: If an input does not exist, or a heat map cannot be written.
        IncompletePredictions: If one of several files cannot be decoded as an image; the error has
            the predictions of the others. It is a `DataError`, as for a single file.
    """

    def answer(names: list[str], contents: list[Any]) -> list[dict[str, Any]]:
        outputs = version.call(image_bytes=contents)
        predictions = [
            _prediction(name, outputs, row, options.top) for row, name in enumerate(names)
        ]
        if options.explain:
            maps = version.call("explain", image_bytes=contents)["explanation_bytes"]
            for prediction, content in zip(predictions, maps, strict=True):
                prediction["explanation"] = write_image(
                    options.explain, prediction["file"], "explained", content
                )
                if _is_grey(content):
                    label = prediction["label"]
                    prediction["note"] = f"no part of the image raises the score of {label}"
        return predictions

    return complete(answer_images(prepare(version, inputs, options), answer, version.read_image))


def _prediction(name: str, outputs: Mapping[str, Any], row: int, top: int) -> dict[str, Any]:
    classes = [label.decode() for label in outputs["classes"][row]]
    probabilities = outputs["probabilities"][row].tolist()
    pairs = sorted(zip(classes, probabilities, strict=True), key=_descending)
    return {
        "file": name,
        "label": outputs["label"][row].decode(),
        "probabilities": dict(pairs[:top]),
    }


def _is_grey(content: bytes) -> bool:
    """Returns whether a heat map is empty, so that nothing but the grey image shows."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    return bool((pixels == pixels[..., :1]).all())


def _descending(pair: tuple[str, float]) -> float:
    return -pair[1]


def present(prediction: Mapping[str, Any]) -> str:
    """Returns an image's classes with their probabilities, and its heat map with any note."""
    classes = ", ".join(
        f"{name} {probability:.1%}" for name, probability in prediction["probabilities"].items()
    )
    heat_map = f"; heat map {prediction['explanation']}" if "explanation" in prediction else ""
    note = f" ({prediction['note']})" if "note" in prediction else ""
    return f"{prediction['file']}: {classes}{heat_map}{note}"
