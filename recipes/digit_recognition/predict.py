"""Predictions of digit recognition: from image files to classes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dlrecipes._utils.notes import print_note
from dlrecipes.data.photographs import is_photograph
from dlrecipes.recipe.image_inputs import answer_images, expand_images
from dlrecipes.recipe.unanswered import complete

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

# Classes below this probability are not printed.
MIN_PROBABILITY = 0.01
# Why an image has no class.
BLANK = "the image is blank"


def prepare(version: ModelVersion, inputs: Sequence[str], options: None = None) -> list[str]:
    """Returns the image files that the inputs name; does not load TensorFlow.

    Args:
        version: Published version.
        inputs: Image files, folders and patterns.
        options: No options. Defaults to `None`.

    Raises:
        UsageError: If an input does not exist.
        DataError: If a folder has no images.
    """
    return expand_images(inputs)


def predict(
    version: ModelVersion, inputs: Sequence[str], options: None = None
) -> list[dict[str, Any]]:
    """Returns the class of each image file and the probabilities of all classes.

    Args:
        version: Published version.
        inputs: Image files, folders and patterns.
        options: No options. Defaults to `None`.

    Raises:
        UsageError: If an input does not exist.
        IncompletePredictions: If one of several files cannot be decoded as an image; the error has
            the predictions of the others. It is a `DataError`, as for a single file.
    """

    def answer(names: list[str], contents: list[Any]) -> list[dict[str, Any]]:
        for name, content in zip(names, contents, strict=True):
            _note_photograph(name, content)
        outputs = version.call(image_bytes=contents)
        return [_prediction(name, outputs, row) for row, name in enumerate(names)]

    return complete(answer_images(prepare(version, inputs), answer, version.read_image))


def _note_photograph(name: str, content: bytes | np.ndarray) -> None:
    if isinstance(content, bytes):
        image: Image.Image = Image.open(io.BytesIO(content))
    else:
        image = Image.fromarray(content)
    if is_photograph(image):
        print_note(
            f"{name} looks like a photograph, and this model reads characters: strokes on a "
            "plain ground. Did you mean image_classification?",
            once="photograph",
        )


def _prediction(name: str, outputs: Mapping[str, Any], row: int) -> dict[str, Any]:
    classes = [label.decode() for label in outputs["classes"][row]]
    probabilities = outputs["probabilities"][row].tolist()
    prediction = {
        "file": name,
        "label": outputs["label"][row].decode(),
        "probabilities": dict(zip(classes, probabilities, strict=True)),
    }
    return prediction if prediction["label"] else {**prediction, "problem": BLANK}


def present(prediction: Mapping[str, Any]) -> str:
    """Returns the class with its probability, and up to three other likely classes."""
    name, label = prediction["file"], prediction["label"]
    if not label:
        return f"{name}: {BLANK}"
    ordered = sorted(prediction["probabilities"].items(), key=lambda pair: -pair[1])
    likely = [(other, chance) for other, chance in ordered[1:4] if chance >= MIN_PROBABILITY]
    others = ", ".join(f"{other} {chance:.1%}" for other, chance in likely)
    return f"{name}: {label} ({ordered[0][1]:.1%})" + (f"; or {others}" if others else "")
