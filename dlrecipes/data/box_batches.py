"""Batches of images with boxes, decoded in parallel while a network trains."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.data.image_batches import decoded_batches
from dlrecipes.errors import DataError

# Class of an entry that is not a box.
PADDING = -1


def box_batches(
    examples: BoxExamples,
    size: int,
    batch_size: int,
    seed: int,
    start_epoch: int | None = None,
    max_boxes: int | None = None,
) -> tuple[tf.data.Dataset, int]:
    """Returns batches of images, decoded and stretched to a square, with their boxes.

    Images are decoded, kept and ordered as in `dlrecipes.data.image_batches.image_batches`, so that
    a run resumes with the batches that it would have seen. All batches have the same number `M` of
    boxes per image, since a `tf.function` is traced again for each shape; padding is last.

    Args:
        examples: Images with their boxes.
        size: Height and width that images and boxes are stretched to.
        batch_size: Images per batch, at least 1; the last batch of an epoch may be smaller.
        seed: Seed of every epoch's order.
        start_epoch: First epoch of an endless training stream, counted from 0; `None` for one pass
            in the data's own order. Defaults to `None`.
        max_boxes: `M`, at least 1. Defaults to `None`: the most boxes that one image has, or 1 if
            there are none.

    Returns:
        Dataset of images and targets, and the steps of one epoch. Images are uint8 of shape
        `(batch, size, size, 3)`. Targets are a dictionary of

        - `boxes`, float32 of shape `(batch, M, 4)`: `(left, top, right, bottom)` in pixels of the
          stretched image, 0 for padding;
        - `classes`, int32 of shape `(batch, M)`, -1 for padding;
        - `ignored`, bools of shape `(batch, M)`, `False` for padding.

    Raises:
        DataError: If an image has more than `max_boxes` boxes, or its size cannot be read.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.box_batches import box_batches
    >>> from dlrecipes.data.box_examples import BoxExamples
    >>> images = np.zeros((2, 8, 4, 3), "uint8")
    >>> examples = BoxExamples.from_arrays(images, [[], [[0, 2, 4, 8]]], [[], [1]], ("cat", "dog"))
    >>> batches, steps = box_batches(examples, size=16, batch_size=2, seed=0)
    >>> images, targets = next(iter(batches))
    >>> targets["boxes"].numpy().tolist(), targets["classes"].numpy().tolist()
    ([[[0.0, 0.0, 0.0, 0.0]], [[0.0, 4.0, 16.0, 16.0]]], [[-1], [1]])
    """
    look_up = _Targets(examples, size, max_boxes)
    batches, steps = decoded_batches(
        examples.source,
        examples.rows,
        np.arange(len(examples), dtype="int32"),
        size,
        batch_size,
        seed,
        start_epoch,
    )
    return batches.map(lambda images, places: (images, look_up(places))), steps


class _Targets:
    """The boxes of all images in flat arrays, as padded tensors of some of them.

    Args:
        examples: Images with their boxes.
        size: Height and width that the images are stretched to.
        max_boxes: Boxes of an image in the result, or `None` for the most that one has.
    """

    def __init__(self, examples: BoxExamples, size: int, max_boxes: int | None):
        offsets = examples.table.offsets
        starts, counts = offsets[examples.rows], np.diff(offsets)[examples.rows]
        most = int(counts.max(initial=1))
        if max_boxes is not None and most > max_boxes:
            name = examples.sources(int(counts.argmax()))
            raise DataError(
                f"{name}: the image has {most:,} boxes, more than max_boxes={max_boxes:,}.",
                f"Set max_boxes to at least {most}.",
            )
        self._most = max_boxes or most
        splits = np.concatenate([[0], np.cumsum(counts, dtype="int64")])
        rows = np.arange(splits[-1]) + np.repeat(starts - splits[:-1], counts)
        table, images = examples.table, np.repeat(np.arange(len(counts)), counts)
        sizes = np.ones((len(counts), 2), "float32")
        for k in np.flatnonzero(counts).tolist():
            sizes[k] = examples.size(k)
        scale = size / sizes[images][:, [1, 0, 1, 0]]
        boxes = (table.boxes[rows] * scale).astype("float32")
        self._flat = {
            name: (tf.RaggedTensor.from_row_splits(values, splits, validate=False), padding)
            for name, values, padding in (
                ("boxes", boxes, 0.0),
                ("classes", table.classes[rows], PADDING),
                ("ignored", table.ignored[rows], False),
            )
        }

    def __call__(self, places: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            name: tf.gather(ragged, places).to_tensor(
                padding, shape=[None, self._most, *ragged.shape[2:]]
            )
            for name, (ragged, padding) in self._flat.items()
        }
