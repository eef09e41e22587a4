"""Image files in which a published detector finds objects."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlrecipes.data.image_decoding import decode_image
from dlrecipes.data.image_files import encode_image
from dlrecipes.export.detection_litert import LiteRTDetector, load_detector
from dlrecipes.export.lite_version import LiteVersion
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe.image_inputs import answer_images
from dlrecipes.recipe.labels import published_labels


class SavedModelDetector:
    """Finds objects in images with the SavedModel of a version.

    Args:
        version: Published version, with the signatures of `detection_signatures`.
    """

    def __init__(self, version: ModelVersion):
        self.version = version

    def predict(self, image: np.ndarray, threshold: float = 0.0) -> list[dict[str, Any]]:
        """Returns the detections in an image, as `LiteRTDetector.predict` does.

        Args:
            image: Upright image, uint8 of shape `(height, width)` or `(height, width, 3)`.
            threshold: Lowest score. Defaults to 0: all.
        """
        outputs = self.version.call(image_bytes=[encode_image(image)])
        boxes, labels, scores = (outputs[name][0] for name in ("boxes", "labels", "scores"))
        return [
            {"box": box.tolist(), "label": label.decode(), "score": float(score)}
            for box, label, score in zip(boxes, labels, scores, strict=True)
            if label and score >= threshold
        ]


def open_detector(version: ModelVersion) -> LiteRTDetector | SavedModelDetector:
    """Returns the detector of a version: its LiteRT file's for a `LiteVersion` that has one.

    Args:
        version: Published version.

    Raises:
        PublishError: If the LiteRT file cannot be loaded, or is not a detector.
    """
    if isinstance(version, LiteVersion) and version.has_litert:
        return load_detector(version, published_labels(version))
    return SavedModelDetector(version)


def detect_files(
    detector: LiteRTDetector | SavedModelDetector, files: Sequence[str], threshold: float = 0.0
) -> list[Any]:
    """Returns the objects in each image file, or an `Unanswered` for one that cannot be read.

    Args:
        detector: Detector of a version, such as `open_detector` returns it.
        files: Paths of image files, such as `expand_images` returns them.
        threshold: Lowest score. Defaults to 0: all.

    Returns:
        For each file, in their order, a dictionary of `file`, its path; `width` and `height` of the
        upright image; and `objects`, a list of dictionaries by decreasing score: `box`, left, top,
        right and bottom in pixels of the upright image; `label`; and `score`.
    """

    def answer(names: list[str], contents: list[bytes]) -> list[dict[str, Any]]:
        return [_objects(detector, *pair, threshold) for pair in zip(names, contents, strict=True)]

    return answer_images(files, answer)


def _objects(
    detector: LiteRTDetector | SavedModelDetector, name: str, content: bytes, threshold: float
) -> dict[str, Any]:
    image = np.asarray(decode_image(io.BytesIO(content), name))
    height, width = image.shape[:2]
    objects = detector.predict(image, threshold)
    return {"file": name, "width": width, "height": height, "objects": objects}
