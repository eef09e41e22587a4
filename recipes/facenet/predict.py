"""Predictions of FaceNet: whether two images show one person, and who is in a gallery."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrecipes.data import image_files
from dlrecipes.data.gallery import Gallery
from dlrecipes.data.image_files import read_image_bytes
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.version import EXTRAS

from .config import PredictOptions

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

THRESHOLD_FILE = "threshold.txt"
BATCH = 64


def predict(
    version: ModelVersion, names: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Returns a comparison of each two images, or the identity of each one in a gallery.

    Args:
        version: The published version.
        names: Paths of image files.
        options: The gallery and the threshold.

    Raises:
        UsageError: If there is nothing to compare with.
        DataError: If an image cannot be read, or a gallery cannot be used.
    """
    if not options.gallery:
        if options.enrol:
            raise UsageError("--enrol needs a gallery.", "Add --gallery FOLDER.")
        if len(names) < 2:
            raise UsageError(
                "One image alone cannot be compared.",
                "Give two images, or --gallery FOLDER with one folder of images per person.",
            )
    elif not names and not options.enrol:
        raise UsageError("There is no image to identify.", "Give images after the options.")
    threshold = options.threshold or float(version.file(f"{EXTRAS}/{THRESHOLD_FILE}").read_text())
    if not options.gallery:
        return _comparisons(version, names, threshold)
    gallery = _gallery(version, Path(options.gallery).expanduser())
    predictions: list[dict[str, Any]] = []
    if options.enrol:
        gallery.save(Path(options.enrol).expanduser())
        people = len(set(gallery.names))
        predictions.append(
            {"enrolled": options.enrol, "images": len(gallery.names), "people": people}
        )
    for name, embedding in zip(names, _embeddings(version, names), strict=True):
        matches: list[dict[str, Any]] = [
            {"person": match.name, "distance": match.distance}
            for match in gallery.nearest(embedding, 2)
        ]
        known = matches[0]["distance"] <= threshold
        predictions.append(
            {
                "file": name,
                "person": matches[0]["person"] if known else None,
                "nearest": matches,
                "threshold": threshold,
            }
        )
    return predictions


def present(prediction: Mapping[str, Any]) -> str:
    """Returns a comparison, an identity, or what was enrolled, as one line."""
    if "enrolled" in prediction:
        return "{enrolled}: enrolled {images:,} images of {people:,} people".format(**prediction)
    threshold = f"threshold {prediction['threshold']:.3f}"
    if "files" in prediction:
        same = "one person" if prediction["same_person"] else "two people"
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
    """Returns a digest of a model's weights, which a gallery keeps: embeddings do not mix."""
    index = version.file("variables/variables.index").read_bytes()
    return hashlib.sha256(index).hexdigest()


def _comparisons(
    version: ModelVersion, names: Sequence[str], threshold: float
) -> list[dict[str, Any]]:
    embeddings = _embeddings(version, names)
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


def _gallery(version: ModelVersion, path: Path) -> Gallery:
    model = fingerprint(version)
    if not path.is_dir():
        if not path.exists():
            raise DataError(f"{path}: there is no such folder or file.")
        return Gallery.load(path, model)
    people = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    files = {
        folder.name: image_files.list_images(folder) for folder in people if folder.name[0] != "."
    }
    for name, own in files.items():
        if not own:
            raise DataError(f"{path / name}: the person has no images.")
    if not files:
        raise DataError(f"{path}: there is no folder of images in it.", "Make one per person.")
    names = [name for name, own in files.items() for _ in own]
    paths = [str(file) for own in files.values() for file in own]
    return Gallery(_embeddings(version, paths), names, model)


def _embeddings(version: ModelVersion, paths: Sequence[str]) -> np.ndarray:
    parts = [
        version.call(image_bytes=[read_image_bytes(name) for name in paths[k : k + BATCH]])
        for k in range(0, len(paths), BATCH)
    ]
    if not parts:
        return np.zeros((0, 0), "float32")
    return np.concatenate([part["embedding"] for part in parts])
