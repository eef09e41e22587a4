"""Predictions of FaceNet: whether images show the same person, and who is in a gallery."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrecipes._utils.notes import print_note
from dlrecipes.data.gallery import Gallery, list_people
from dlrecipes.data.image_files import read_image_bytes
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.version import EXTRAS, ModelVersion

from .config import PredictOptions

THRESHOLD_FILE = "threshold.txt"
BATCH = 64


def predict(
    version: ModelVersion, names: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Returns a comparison of each pair of images; or, with a gallery, each image's identity.

    Args:
        version: The published version.
        names: Paths of image files.
        options: The gallery and the threshold.

    Raises:
        UsageError: If there is nothing to compare.
        DataError: If an image or the gallery cannot be read.
    """
    _check(names, options)
    threshold = options.threshold or float(version.file(f"{EXTRAS}/{THRESHOLD_FILE}").read_text())
    if not options.gallery:
        return _comparisons(names, _embeddings(version, names), threshold)
    gallery = _gallery(version, Path(options.gallery).expanduser())
    predictions: list[dict[str, Any]] = []
    if options.enrol:
        gallery.save(Path(options.enrol).expanduser())
        people = len(set(gallery.names))
        counts = {"images": len(gallery.names), "people": people}
        predictions.append({"enrolled": options.enrol, **counts})
    for name, embedding in zip(names, _embeddings(version, names), strict=True):
        nearest = gallery.nearest(embedding, 2)
        is_known = nearest[0].distance <= threshold
        predictions.append(
            {
                "file": name,
                "person": nearest[0].name if is_known else None,
                "nearest": [{"person": m.name, "distance": m.distance} for m in nearest],
                "threshold": threshold,
            }
        )
    return predictions


def _check(names: Sequence[str], options: PredictOptions) -> None:
    if options.gallery:
        if not names and not options.enrol:
            raise UsageError("No image to identify.", "Give images after the options.")
    elif options.enrol:
        raise UsageError("--enrol needs a gallery.", "Add --gallery FOLDER.")
    elif len(names) < 2:
        raise UsageError(
            "A single image cannot be compared.",
            "Give two images, or --gallery FOLDER with one folder of images per person.",
        )


def _comparisons(
    names: Sequence[str], embeddings: np.ndarray, threshold: float
) -> list[dict[str, Any]]:
    comparisons = []
    for first, second in itertools.combinations(range(len(names)), 2):
        distance = float(np.sum((embeddings[first] - embeddings[second]) ** 2))
        comparisons.append(
            {
                "files": [names[first], names[second]],
                "same_person": distance <= threshold,
                "distance": distance,
                "threshold": threshold,
            }
        )
    return comparisons


def present(prediction: Mapping[str, Any]) -> str:
    """Returns a comparison, an identity or an enrolment as one line."""
    if "enrolled" in prediction:
        return "{enrolled}: enrolled {images:,} images of {people:,} people".format(**prediction)
    threshold = f"threshold {prediction['threshold']:.3f}"
    if "files" in prediction:
        same = "same person" if prediction["same_person"] else "different people"
        distance = f"distance {prediction['distance']:.3f}"
        return f"{' and '.join(prediction['files'])}: {same} ({distance}, {threshold})"
    first, *others = prediction["nearest"]
    distance = f"distance {first['distance']:.3f}"
    if prediction["person"] is None:
        nearest = f"nearest is {first['person']}, {distance}, {threshold}"
        return f"{prediction['file']}: unknown ({nearest})"
    other = "".join(f"; next {match['person']}, {match['distance']:.3f}" for match in others)
    return f"{prediction['file']}: {first['person']} ({distance}, {threshold}{other})"


def fingerprint(version: ModelVersion) -> str:
    """Returns a digest of a model's weights: embeddings of different models do not compare."""
    index = version.file("variables/variables.index").read_bytes()
    return hashlib.sha256(index).hexdigest()


def _gallery(version: ModelVersion, path: Path) -> Gallery:
    model = fingerprint(version)
    if not path.is_dir():
        if not path.exists():
            raise DataError(f"{path}: there is no such folder or file.")
        return Gallery.load(path, model)
    files = list_people(path, print_note)
    names = [name for name, paths in files.items() for _ in paths]
    return Gallery(_embeddings(version, list(itertools.chain(*files.values()))), names, model)


def _embeddings(version: ModelVersion, paths: Sequence[str | Path]) -> np.ndarray:
    batches = [
        version.call(image_bytes=[read_image_bytes(path) for path in paths[k : k + BATCH]])
        for k in range(0, len(paths), BATCH)
    ]
    return np.concatenate([batch["embedding"] for batch in batches] or [np.zeros((0, 0), "f4")])
