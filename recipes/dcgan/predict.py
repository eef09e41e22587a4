"""Predictions of DCGAN: a seed in, a sheet of images out, without TensorFlow."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from dlrecipes._utils.files import atomic_write
from dlrecipes.errors import UsageError, reason
from dlrecipes.export.version import EXTRAS

from .config import PredictOptions

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion


def predict(
    version: ModelVersion, inputs: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Writes a sheet of generated images to a file; returns its path.

    Args:
        version: The published version.
        inputs: None: options say everything.
        options: Number, seed and class of the images.

    Raises:
        UsageError: If there are inputs, the class is unknown, or the file cannot be written.
    """
    from dlrecipes.figures import tiled

    if inputs:
        raise UsageError(f"{inputs[0]}: dcgan takes no inputs.", "Give --count and --seed.")
    names = label_names(version)
    request = {"seed": [options.seed], "count": [options.count]}
    if options.label and options.label not in names:
        known = f"Its classes are {', '.join(names)}." if names else "Leave it out."
        problem = "unknown class" if names else "this model has no classes"
        raise UsageError(f"--label {options.label}: {problem}.", known)
    if names:
        request["label"] = [names.index(options.label) if options.label else -1]
    path = Path(options.sheet).expanduser()
    if path.is_dir():
        raise UsageError(f"--sheet {options.sheet}: expected a file, got a folder.")
    if not path.parent.is_dir():
        raise UsageError(f"--sheet {options.sheet}: there is no such folder.")
    sheet = io.BytesIO()
    Image.fromarray(tiled(version.call(**request)["images"]).squeeze()).save(sheet, "PNG")
    try:
        atomic_write(path, sheet.getvalue())
    except OSError as error:
        raise UsageError(f"--sheet {options.sheet}: {reason(error)}.") from None
    return [{"file": options.sheet, "count": options.count, "seed": options.seed}]


def present(prediction: Mapping[str, Any]) -> str:
    """Returns the path of the sheet."""
    return "{count} images of seed {seed}: {file}".format(**prediction)


def label_names(version: ModelVersion) -> tuple[str, ...]:
    """Returns the classes of a conditional model; none for others."""
    path = version.folder / EXTRAS / "labels.txt"
    return tuple(path.read_text("utf-8").splitlines()) if path.is_file() else ()
