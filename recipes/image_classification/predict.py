"""Predictions of image classification: from image files to likely classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlrecipes.data.image_files import read_image_bytes

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

    from .config import PredictOptions


def predict(
    version: ModelVersion, names: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Returns the likely classes of each image file, with their probabilities.

    Args:
        version: Published version.
        names: Paths of image files.
        options: Number of classes.

    Raises:
        UsageError: If a file does not exist.
        DataError: If a file cannot be decoded as an image.
    """
    return [_predict(version, name, options.top) for name in names]


def _predict(version: ModelVersion, name: str, top: int) -> dict[str, Any]:
    outputs = version.call(image_bytes=[read_image_bytes(name)])
    classes = [label.decode() for label in outputs["classes"][0]]
    pairs = sorted(zip(classes, outputs["probabilities"][0].tolist(), strict=True), key=_descending)
    return {
        "file": name,
        "label": outputs["label"][0].decode(),
        "probabilities": dict(pairs[:top]),
    }


def _descending(pair: tuple[str, float]) -> float:
    return -pair[1]


def present(prediction: Mapping[str, Any]) -> str:
    """Returns the classes of an image with their probabilities."""
    classes = ", ".join(
        f"{name} {probability:.1%}" for name, probability in prediction["probabilities"].items()
    )
    return f"{prediction['file']}: {classes}"
