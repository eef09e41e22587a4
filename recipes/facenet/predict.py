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
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.version import EXTRAS, ModelVersion
from dlrecipes.recipe.image_inputs import answer_images, expand_images
from dlrecipes.recipe.unanswered import Unanswered, complete

from .config import PredictOptions

THRESHOLD_FILE = "threshold.txt"
# Each image is compared with each other.
INDEPENDENT_INPUTS = False


def prepare(version: ModelVersion, inputs: Sequence[str], options: PredictOptions) -> list[str]:
    """Returns the image files that the inputs name; does not load TensorFlow.

    Args:
        version: Published version.
        inputs: Image files, folders and patterns.
        options: The gallery.

    Raises:
        UsageError: If an input does not exist, or there is nothing to compare.
        DataError: If the gallery does not exist, or a folder has no images.
    """
    names = expand_images(inputs)
    if options.gallery:
        if not names and not options.enrol:
            raise UsageError("No image to identify.", "Give images after the options.")
        if not Path(options.gallery).expanduser().exists():
            raise DataError(f"{options.gallery}: there is no such folder or file.")
        enrol = Path(options.enrol).expanduser()
        if options.enrol and not enrol.parent.is_dir():
            raise UsageError(f"--enrol {options.enrol}: there is no folder {enrol.parent}.")
        if options.enrol and enrol.is_file() and enrol.stat().st_size:
            raise UsageError(
                f"--enrol {options.enrol}: the file exists, and is not replaced.",
                "Delete it, or give another name.",
            )
    elif options.enrol:
        raise UsageError("--enrol needs a gallery.", "Add --gallery FOLDER.")
    elif len(names) < 2:
        raise UsageError(
            "A single image cannot be compared.",
            "Give two images, or --gallery FOLDER with one folder of images per person.",
        )
    return names


def predict(
    version: ModelVersion, inputs: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Returns a comparison of each pair of images; or, with a gallery, each image's identity.

    Args:
        version: The published version.
        inputs: Image files, folders and patterns.
        options: The gallery and the threshold.

    Raises:
        UsageError: If there is nothing to compare.
        DataError: If an image or the gallery cannot be read; of several images, an
            `IncompletePredictions` with the predictions of the others.
    """
    names = prepare(version, inputs, options)
    threshold = options.threshold or float(version.file(f"{EXTRAS}/{THRESHOLD_FILE}").read_text())
    predictions: list[dict[str, Any]] = []
    gallery = None
    if options.gallery:
        gallery = _gallery(version, Path(options.gallery).expanduser())
        if options.enrol:
            gallery.save(Path(options.enrol).expanduser())
            counts = {"images": len(gallery.names), "people": len(set(gallery.names))}
            predictions.append({"enrolled": options.enrol, **counts})
    embeddings = _embeddings_of(version, names)
    missing = [part for part in embeddings if isinstance(part, Unanswered)]
    pairs = [
        (name, embedding)
        for name, embedding in zip(names, embeddings, strict=True)
        if not isinstance(embedding, Unanswered)
    ]
    if gallery is not None:
        predictions += [_identity(gallery, *pair, threshold) for pair in pairs]
    elif len(pairs) < 2:
        raise missing[0].error
    else:
        predictions += _comparisons(pairs, threshold)
    return complete([*predictions, *missing])


def _embed(version: ModelVersion, contents: Sequence[Any]) -> list[np.ndarray]:
    return list(version.call(image_bytes=contents)["embedding"])


def _embeddings_of(version: ModelVersion, names: Sequence[str]) -> list[Any]:
    """Returns the embedding of each image file, or an `Unanswered`."""
    return answer_images(names, lambda _, contents: _embed(version, contents), version.read_image)


def _identity(
    gallery: Gallery, name: str, embedding: np.ndarray, threshold: float
) -> dict[str, Any]:
    nearest = gallery.nearest(embedding, 2)
    return {
        "file": name,
        "person": nearest[0].name if nearest[0].distance <= threshold else None,
        "nearest": [{"person": m.name, "distance": m.distance} for m in nearest],
        "threshold": threshold,
    }


def _comparisons(pairs: Sequence[tuple[str, np.ndarray]], threshold: float) -> list[dict[str, Any]]:
    comparisons = []
    for (first, one), (second, other) in itertools.combinations(pairs, 2):
        distance = float(np.sum((one - other) ** 2))
        comparisons.append(
            {
                "files": [first, second],
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
    names = [str(path) for path in paths]
    embeddings = _embeddings_of(version, names)
    return np.stack(complete(embeddings))
