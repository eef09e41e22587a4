"""Image files in which a published detector finds objects, without TensorFlow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlrecipes.data.image_decoding import decode_image
from dlrecipes.export.detection_litert import LiteRTDetector
from dlrecipes.recipe.image_inputs import answer_images


def detect_files(
    detector: LiteRTDetector, files: Sequence[str], threshold: float = 0.0
) -> list[Any]:
    """Returns the objects in each image file, or an `Unanswered` for one that cannot be read.

    Args:
        detector: Detector of a version, such as `load_detector` returns it.
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
    detector: LiteRTDetector, name: str, content: bytes, threshold: float
) -> dict[str, Any]:
    image = np.asarray(decode_image(io.BytesIO(content), name))
    height, width = image.shape[:2]
    objects = detector.predict(image, threshold)
    return {"file": name, "width": width, "height": height, "objects": objects}
