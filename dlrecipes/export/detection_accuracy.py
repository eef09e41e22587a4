"""The mean average precision of a detector's LiteRT file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dlrecipes.export.detection_litert import detections
from dlrecipes.export.signatures import Measure
from dlrecipes.metrics.detection import detection_metrics


def measure_map50(
    images: Callable[[int], np.ndarray],
    truths: Sequence[Mapping[str, np.ndarray]],
    names: Sequence[str],
    size: int,
) -> Measure:
    """Returns a function that measures mAP50 of a LiteRT file, for `Quantized`.

    Args:
        images: Function from a number, counted from 0, to an upright image, uint8 of shape
            `(height, width, 3)`. Images are read one by one, for each file again.
        truths: Boxes, classes and ignored objects of each image, as `detection_metrics` takes them.
        names: Names of the classes.
        size: Height and width of the file's input.

    Returns:
        Function from a `LiteRTModel` to mAP50, from 0 to 1.
    """

    def measure(detect: Callable[..., Mapping[str, np.ndarray]]) -> float:
        predictions = [detections(detect, images(k), size) for k in range(len(truths))]
        # Undefined without any object.
        return float(detection_metrics(predictions, truths, names).get("map50", 0.0))

    return measure
