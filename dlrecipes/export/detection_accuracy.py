"""The mean average precision of a detector's LiteRT file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dlrecipes.data.image_resizing import fit_array
from dlrecipes.data.image_store import ImageStore
from dlrecipes.export.detection_litert import in_pixels
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
            `(height, width, 3)`. Each is read once, and kept in the size of the file's input in an
            `ImageStore`.
        truths: Boxes, classes and ignored objects of each image, as `detection_metrics` takes them.
        names: Names of the classes.
        size: Height and width of the file's input.

    Returns:
        Function from a `LiteRTModel` to mAP50, from 0 to 1.
    """

    prepared = _Prepared(images, len(truths), size)

    def measure(detect: Callable[..., Mapping[str, np.ndarray]]) -> float:
        predictions = []
        for k in range(len(truths)):
            image, height, width = prepared[k]
            predictions.append(in_pixels(detect(images=image[None]), height, width))
        # Undefined without any object.
        return float(detection_metrics(predictions, truths, names).get("map50", 0.0))

    return measure


class _Prepared:
    """Images as `fit_array` returns them, which are read when they are first needed.

    Args:
        images: Function from a number to an image.
        count: Number of images.
        size: Height and width that the images are stretched to.
    """

    def __init__(self, images: Callable[[int], np.ndarray], count: int, size: int):
        self._images, self._count, self._size = images, count, size
        self._sizes: dict[int, tuple[int, int]] = {}
        self._places = np.full(count, -1)

    def __getitem__(self, k: int) -> tuple[np.ndarray, int, int]:
        """Returns an image, float32 from 0 to 1, and the height and width that it had."""
        levels = np.empty((1, self._size, self._size, 3), "uint8")
        if not self._store.read(self._places[k : k + 1], levels)[0]:
            image = self._images(k)
            self._sizes[k] = image.shape[0], image.shape[1]
            # Multiples of 1/255.
            levels = (fit_array(image, self._size)[None] * 255).round().astype("uint8")
            places = self._store.add(levels)
            self._places[k : k + len(places)] = places
        return (levels[0] / np.float32(255), *self._sizes[k])

    @functools.cached_property
    def _store(self) -> ImageStore:
        return ImageStore(self._count, (self._size, self._size, 3))
