"""Predictions of a trained model, computed once for its metrics, its thresholds and its figures."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import keras

Value = TypeVar("Value")


class PredictionMemo:
    """Keeps the last predictions of a model, and computes others.

    The weights are part of the key, so that predictions of a model that is trained further are
    computed again.

    Args:
        size: Number of results to keep. Defaults to 4: two kinds, on validation and test.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from dlrecipes.recipe.prediction_memo import PredictionMemo
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> memo, images = PredictionMemo(), np.zeros((5, 3), "float32")
    >>> first = memo.get("outputs", model, images, lambda: np.asarray(model(images)))
    >>> memo.get("outputs", model, images, lambda: np.asarray(model(images))) is first
    True
    """

    def __init__(self, size: int = 4):
        self.size = size
        # With the model and the examples: as long as they live, nothing else has their ids.
        self._kept: OrderedDict[tuple[Any, ...], tuple[Any, Any, Any]] = OrderedDict()

    def get(
        self,
        kind: Any,
        model: keras.Model,
        examples: Any,
        compute: Callable[[], Value],
        reloaded: bool = False,
    ) -> Value:
        """Returns the predictions that are kept, or computes them.

        Args:
            kind: Name of the predictions, and values that they depend on, such as a threshold.
            model: The model.
            examples: Examples of one part of the data; the same object as before.
            compute: Function that returns the predictions.
            reloaded: Whether those of another model with the same weights will do, such as one
                that was loaded from a file. Defaults to `False`.
        """
        key = (kind, 0 if reloaded else id(model), id(examples), _checksum(model))
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            self._kept[key] = (model, examples, compute())
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)
        return self._kept[key][2]


def _checksum(model: keras.Model) -> int:
    import keras

    checksum = 0
    for weight in model.weights:
        checksum = zlib.crc32(keras.ops.convert_to_numpy(weight).tobytes(), checksum)
    return checksum
