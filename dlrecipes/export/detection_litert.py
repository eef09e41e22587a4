"""Detections of a LiteRT file: images of any size in, boxes in pixels out, without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrecipes.data.image_resizing import fit_array
from dlrecipes.errors import PublishError, reason
from dlrecipes.export.detection_outputs import CLASSES, COUNT, LOCATIONS, SCORES
from dlrecipes.export.litert_interpreter import open_interpreter

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

Detect = Callable[..., Mapping[str, np.ndarray]]


class LiteRTDetector:
    """Finds objects in images with a LiteRT file, as the SavedModel of the same version does.

    Args:
        path: The file, with the inputs and outputs of `detection_signatures`.
        names: Names of the classes.
        threads: Number of threads of the interpreter. Defaults to 1.

    Raises:
        PublishError: If the file cannot be loaded, or is not a detector.
    """

    def __init__(self, path: Path, names: Sequence[str], threads: int = 1):
        self.names = tuple(names)
        try:
            # Kept, because the runner does not keep it alive.
            self._interpreter = open_interpreter(path, threads)
            self._detect = self._interpreter.get_signature_runner()
            self.size = int(self._detect.get_input_details()["images"]["shape"][1])
            outputs = set(self._detect.get_output_details())
        except Exception as error:
            raise PublishError(f"{path}: LiteRT cannot load it: {reason(error)}") from error
        if outputs != {LOCATIONS, CLASSES, SCORES, COUNT}:
            raise PublishError(f"{path}: it has the outputs {sorted(outputs)}, not a detector's.")

    def __call__(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the detections in an image; see `detections`.

        Args:
            image: Upright image, uint8 of shape `(height, width)` or `(height, width, 3)`.
        """
        return detections(self._detect, image, self.size)

    def predict(self, image: np.ndarray, threshold: float = 0.0) -> list[dict[str, Any]]:
        """Returns the detections in an image as data.

        Args:
            image: Upright image, uint8 of shape `(height, width)` or `(height, width, 3)`.
            threshold: Lowest score. Defaults to 0: all.

        Returns:
            A dictionary for each object, by decreasing score: `box`, a list of left, top, right and
            bottom in pixels of the image; `label`; and `score`.
        """
        outputs = self(image)
        return [
            {"box": box.tolist(), "label": self.names[kind], "score": float(score)}
            for box, kind, score in zip(
                outputs["boxes"], outputs["classes"], outputs["scores"], strict=True
            )
            if score >= threshold
        ]


def load_detector(version: ModelVersion, names: Sequence[str], threads: int = 1) -> LiteRTDetector:
    """Returns the detector in the LiteRT file of a version.

    Args:
        version: Published version.
        names: Names of the classes.
        threads: Number of threads of the interpreter. Defaults to 1.

    Raises:
        PublishError: If the file is missing, cannot be loaded, or is not a detector.
    """
    from dlrecipes.export.version import LITERT_FILE

    return LiteRTDetector(version.file(LITERT_FILE), names, threads)


def detections(detect: Detect, image: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Returns the detections of a LiteRT file in an image of any size.

    Args:
        detect: Function of the file, from `images` to its outputs, such as a `LiteRTModel`.
        image: Upright image, uint8 of shape `(height, width)` or `(height, width, 3)`.
        size: Height and width of the file's input.

    Returns:
        By decreasing score: `boxes`, left, top, right and bottom in pixels of the image, float32 of
        shape `(n, 4)`; `scores`, float32 of shape `(n,)`; and `classes`, int32 of shape `(n,)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.export.detection_litert import detections
    >>> def detect(images):
    ...     locations = [[0.25, 0.0, 0.75, 0.5], [0.0, 0.0, -1.0, -1.0]]
    ...     outputs = {"locations": locations, "classes": [2.0, -1.0], "scores": [0.9, 0.0]}
    ...     return {name: np.array([values], "float32") for name, values in outputs.items()}
    >>> detections(detect, np.zeros((40, 60, 3), "uint8"), 32)["boxes"].tolist()
    [[0.0, 10.0, 30.0, 30.0]]
    """
    return in_pixels(detect(images=fit_array(image, size)[None]), *image.shape[:2])


def in_pixels(outputs: Mapping[str, np.ndarray], height: int, width: int) -> dict[str, np.ndarray]:
    """Returns a LiteRT file's outputs for one image as `detections` does.

    Args:
        outputs: Outputs of the file by name.
        height: Height of the upright image, in pixels.
        width: Width of the upright image, in pixels.
    """
    classes = outputs[CLASSES][0].round().astype("int32")
    real = classes >= 0
    top, left, bottom, right = outputs[LOCATIONS][0][real].T
    rows, columns = np.float32(height), np.float32(width)
    boxes = [left * columns, top * rows, right * columns, bottom * rows]
    return {
        "boxes": np.stack(boxes, axis=-1),
        "scores": outputs[SCORES][0][real],
        "classes": classes[real],
    }
