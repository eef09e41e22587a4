"""Predictions of the autoencoder: restored images, or a ranking of images by their errors."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from typing import Any

from dlrecipes.errors import UsageError
from dlrecipes.export.version import EXTRAS, ModelVersion
from dlrecipes.recipe.image_inputs import answer_images, expand_images
from dlrecipes.recipe.image_outputs import check_folder, write_image
from dlrecipes.recipe.labels import LABELS_FILE
from dlrecipes.recipe.unanswered import Unanswered, complete

from .config import PredictOptions

# A ranking compares all images.
INDEPENDENT_INPUTS = False


def prepare(version: ModelVersion, inputs: Sequence[str], options: PredictOptions) -> list[str]:
    """Returns the image files that the inputs name; does not load TensorFlow.

    Args:
        version: Published version.
        inputs: Image files, folders and patterns.
        options: The folder for the restored images.

    Raises:
        UsageError: If an input does not exist, or the folder for the results cannot be made.
        DataError: If a folder has no images.
    """
    if not inputs:
        raise UsageError("No images to restore.", "Give image files.")
    if options.anomalies and options.output_dir != PredictOptions().output_dir:
        raise UsageError(
            f"--output-dir {options.output_dir}: --anomalies writes no images.",
            "Leave one of them out.",
        )
    check_folder("--output-dir", options.output_dir)
    return expand_images(inputs)


def predict(
    version: ModelVersion, inputs: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Writes the restored image of each file, or ranks the files by error, largest first.

    A version with a classifier returns the most probable class of each file as well.

    Args:
        version: The published version.
        inputs: Image files, folders and patterns.
        options: The folder for the results, and whether to rank.

    Raises:
        UsageError: If an input does not exist, or the folder cannot be written to.
        IncompletePredictions: If one of several files cannot be decoded as an image; the error has
            the predictions of the others. It is a `DataError`, as for a single file.
    """
    percentiles = _percentiles(version)
    classifies = (version.folder / EXTRAS / LABELS_FILE).exists()

    def answer(names: list[str], contents: list[Any]) -> list[dict[str, Any]]:
        outputs = version.call("restore", image_bytes=contents)
        classes = version.call("classify", image_bytes=contents) if classifies else None
        answers: list[dict[str, Any]] = []
        for row, name in enumerate(names):
            answers.append({"file": name})
            if classes is not None:
                answers[-1]["label"] = classes["label"][row].decode()
                answers[-1]["probability"] = float(classes["probabilities"][row].max())
            error = float(outputs["error"][row])
            answers[-1] |= {"error": error, "above": bisect.bisect(percentiles, error) - 1}
            if not options.anomalies:
                content = outputs["png_bytes"][row]
                path = write_image(options.output_dir, name, "restored", content)
                answers[-1]["restored"] = path
        return answers

    predictions = answer_images(prepare(version, inputs, options), answer, version.read_image)
    if options.anomalies:
        # Files that cannot be read come last.
        predictions.sort(key=lambda x: float("inf") if isinstance(x, Unanswered) else -x["error"])
    return complete(predictions)


def _percentiles(version: ModelVersion) -> list[float]:
    text = version.file(f"{EXTRAS}/errors.txt").read_text(encoding="utf-8")
    return [float(line) for line in text.split()]


def present(prediction: Mapping[str, Any]) -> str:
    """Returns an image's class, if any, its error, the error's rank, and the restored file."""
    above = min(100, max(0, prediction["above"]))
    if above == 100:
        usual = "larger than for all validation images"
    else:
        usual = f"larger than for {above} % of the validation images"
    label = ""
    if "label" in prediction:
        label = f"{prediction['label']} ({prediction['probability']:.1%}); "
    text = f"{prediction['file']}: {label}squared error {prediction['error']:.2f}, {usual}"
    return f"{text}; restored to {prediction['restored']}" if "restored" in prediction else text
