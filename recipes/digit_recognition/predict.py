"""Predictions of digit recognition: from image files to classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.version import RejectedInput

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

# Classes below this probability are not printed.
MIN_PROBABILITY = 0.01


def predict(version: ModelVersion, names: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the class of each image file and the probabilities of all classes.

    Args:
        version: Published version.
        names: Paths of PNG or JPEG files.

    Raises:
        UsageError: If a file does not exist.
        DataError: If a file cannot be decoded as an image.
    """
    return [_predict(version, name) for name in names]


def _predict(version: ModelVersion, name: str) -> dict[str, Any]:
    try:
        content = Path(name).expanduser().read_bytes()
    except OSError as error:
        raise UsageError(
            f"{name}: {error.strerror or error}.", "Give paths of PNG or JPEG files."
        ) from None
    try:
        outputs = version.call(image_bytes=[content])
    except RejectedInput:
        raise DataError(
            f"{name}: this is not an image that can be decoded, or it is truncated.",
            "Give a PNG or JPEG file.",
        ) from None
    classes = [label.decode() for label in outputs["classes"][0]]
    return {
        "file": name,
        "label": outputs["label"][0].decode(),
        "probabilities": dict(zip(classes, outputs["probabilities"][0].tolist(), strict=True)),
    }


def present(prediction: Mapping[str, Any]) -> str:
    """Returns the class with its probability, and up to three other likely classes."""
    name, label = prediction["file"], prediction["label"]
    if not label:
        return f"{name}: the image is blank"
    ordered = sorted(prediction["probabilities"].items(), key=lambda pair: -pair[1])
    likely = [(other, chance) for other, chance in ordered[1:4] if chance >= MIN_PROBABILITY]
    others = ", ".join(f"{other} {chance:.1%}" for other, chance in likely)
    return f"{name}: {label} ({ordered[0][1]:.1%})" + (f"; or {others}" if others else "")
