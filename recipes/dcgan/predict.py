"""Predictions of DCGAN: a seed in, a sheet of images out."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from dlrecipes._utils.files import write_new
from dlrecipes.errors import UsageError, reason
from dlrecipes.export.version import EXTRAS, ModelVersion

from .config import PredictOptions


def prepare(version: ModelVersion, inputs: Sequence[str], options: PredictOptions) -> list[str]:
    """Checks the options before TensorFlow is loaded; returns the inputs, of which there are none.

    Args:
        version: The published version.
        inputs: No inputs; the options say everything.
        options: Class of the images, and the file.

    Raises:
        UsageError: If there are inputs, the class is unknown, or the folder does not exist.
    """
    if inputs:
        raise UsageError(f"{inputs[0]}: dcgan takes no inputs.", "Give --count and --seed.")
    _sheet_path(options.sheet)
    _request(version, options)
    return []


def predict(
    version: ModelVersion, inputs: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Writes a sheet of generated images to a file that is not there yet; returns its path.

    Args:
        version: The published version.
        inputs: No inputs; the options say everything.
        options: Number, seed and class of the images, and the file.

    Raises:
        UsageError: If there are inputs, the class is unknown, or the file cannot be written.
    """
    from dlrecipes.figures import tiled

    prepare(version, inputs, options)
    path = _sheet_path(options.sheet)
    images = version.call(**_request(version, options))["images"]
    sheet = io.BytesIO()
    Image.fromarray(tiled(images).squeeze()).save(sheet, "PNG")
    try:
        path = write_new(path, sheet.getvalue())
    except OSError as error:
        raise UsageError(f"--sheet {options.sheet}: {reason(error)}.") from None
    return [{"file": str(path), "count": options.count, "seed": options.seed}]


def _sheet_path(sheet: str) -> Path:
    path = Path(sheet).expanduser()
    if path.is_dir():
        raise UsageError(f"--sheet {sheet}: expected a file, got a folder.")
    if not path.parent.is_dir():
        raise UsageError(f"--sheet {sheet}: there is no such folder.")
    return path


def _request(version: ModelVersion, options: PredictOptions) -> dict[str, list[int]]:
    """Returns the inputs of the signature; label -1 cycles through the classes."""
    file = version.folder / EXTRAS / "labels.txt"
    names = file.read_text("utf-8").splitlines() if file.is_file() else []
    request = {"seed": [options.seed], "count": [options.count]}
    if options.label and options.label not in names:
        problem = "unknown class" if names else "this model has no classes"
        hint = f"Its classes are {', '.join(names)}." if names else "Leave it out."
        raise UsageError(f"--label {options.label}: {problem}.", hint)
    if names:
        request["label"] = [names.index(options.label) if options.label else -1]
    return request


def present(prediction: Mapping[str, Any]) -> str:
    """Returns the path of the sheet."""
    return "{count} images from seed {seed}: {file}".format(**prediction)
