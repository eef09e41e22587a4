"""Predictions of pix2pix: image files in, translated image files out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrecipes._utils.files import write_new
from dlrecipes.errors import UsageError, reason
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe.image_inputs import answer_images, expand_images
from dlrecipes.recipe.unanswered import complete

from .config import PredictOptions


def prepare(version: ModelVersion, inputs: Sequence[str], options: PredictOptions) -> list[str]:
    """Returns the image files that the inputs name; does not load TensorFlow.

    Args:
        version: Published version.
        inputs: Image files, folders and patterns.
        options: The folder for the results.

    Raises:
        UsageError: If an input or the folder for the results does not exist.
        DataError: If a folder has no images.
    """
    if not inputs:
        raise UsageError("No images to translate.", "Give image files.")
    if not Path(options.output_dir).expanduser().is_dir():
        raise UsageError(f"--output-dir {options.output_dir}: there is no such folder.")
    return expand_images(inputs)


def predict(
    version: ModelVersion, inputs: Sequence[str], options: PredictOptions
) -> list[dict[str, str]]:
    """Writes the translation of each image to a file that is not there yet; returns the paths.

    Args:
        version: The published version.
        inputs: Image files, folders and patterns.
        options: The folder for the results.

    Raises:
        UsageError: If an input does not exist, or the folder cannot be written to.
        IncompletePredictions: If one of several files cannot be decoded as an image; the error has
            the predictions of the others. It is a `DataError`, as for a single file.
    """
    folder = Path(options.output_dir).expanduser()

    def answer(names: list[str], contents: list[Any]) -> list[dict[str, str]]:
        images = version.call(image_bytes=contents)["png_bytes"]
        return [
            {
                "file": name,
                "translated": _write(folder / f"{Path(name).stem}.translated.png", image),
            }
            for name, image in zip(names, images, strict=True)
        ]

    return complete(answer_images(prepare(version, inputs, options), answer, version.read_image))


def _write(path: Path, content: bytes) -> str:
    try:
        return str(write_new(path, content))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {reason(error)}.") from None


def present(prediction: Mapping[str, str]) -> str:
    """Returns the path of the translated image."""
    return "{file}: translated to {translated}".format(**prediction)
