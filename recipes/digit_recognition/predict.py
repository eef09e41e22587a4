"""Predictions of digit recognition: from image files to classes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from dlrecipes._utils.notes import print_note
from dlrecipes.data.image_files import read_image_bytes
from dlrecipes.data.photographs import is_photograph

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

# Classes below this probability are not printed.
MIN_PROBABILITY = 0.01


def predict(version: ModelVersion, names: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the class of each image file and the probabilities of all classes.

    Args:
        version: Published version.
        names: Paths of image files.

    Raises:
        UsageError: If a file does not exist.
        DataError: If a file cannot be decoded as an image.
    """
    return [_predict(version, name) for name in names]


def _predict(version: ModelVersion, name: str) -> dict[str, Any]:
    content = read_image_bytes(name)
    with Image.open(io.BytesIO(content)) as image:
        if is_photograph(image):
            print_note(
                f"{name} looks like a photograph, and this model reads characters: strokes on a "
                "plain ground. Did you mean image_classification?",
                once="photograph",
            )
    outputs = version.call(image_bytes=[content])
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
