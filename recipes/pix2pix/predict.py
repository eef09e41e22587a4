"""Predictions of pix2pix: image files in, translated image files out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dlrecipes._utils.files import atomic_write
from dlrecipes.data.image_files import read_image_bytes
from dlrecipes.errors import UsageError, reason
from dlrecipes.export.version import ModelVersion

from .config import PredictOptions


def predict(
    version: ModelVersion, names: Sequence[str], options: PredictOptions
) -> list[dict[str, str]]:
    """Writes the translation of each image to a file; returns the paths.

    Args:
        version: The published version.
        names: Paths of image files.
        options: The folder for the results.

    Raises:
        UsageError: If a file does not exist, or the folder cannot be written to.
        DataError: If a file is not an image.
    """
    if not names:
        raise UsageError("No images to translate.", "Give image files.")
    folder = Path(options.output_dir).expanduser()
    if not folder.is_dir():
        raise UsageError(f"--output-dir {options.output_dir}: there is no such folder.")
    stems = [Path(name).stem for name in names]
    for name, stem in zip(names, stems, strict=True):
        if stems.count(stem) > 1:
            raise UsageError(
                f"{name}: several inputs are named {stem} and would be written to one file.",
                "Give them one by one, each with its own --output-dir.",
            )
    predictions = []
    for name, stem in zip(names, stems, strict=True):
        outputs = version.call(image_bytes=[read_image_bytes(name)])
        path = folder / f"{stem}.translated.png"
        try:
            atomic_write(path, outputs["png_bytes"][0])
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {reason(error)}.") from None
        predictions.append({"file": name, "translated": str(path)})
    return predictions


def present(prediction: Mapping[str, str]) -> str:
    """Returns the path of the translated image."""
    return "{file}: translated to {translated}".format(**prediction)
