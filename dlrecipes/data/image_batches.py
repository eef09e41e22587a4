"""Batches of labelled images, decoded in parallel while a network trains."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from dlrecipes._utils.cpu import available_cpus
from dlrecipes.data._reading_guard import ReadingGuard
from dlrecipes.data.batches import array_batches
from dlrecipes.data.image_examples import ImageExamples, ImageSource
from dlrecipes.data.image_resizing import fit, prepare, resize
from dlrecipes.data.image_store import ImageStore
from dlrecipes.errors import DataError

__all__ = ["decoded_batches", "fit", "image_batches", "plain_decoding_errors", "prepare"]

# JPEG files are decoded at a reduced size that is at least this multiple of the network's: with
# less, the images differ from those of `fit` by more than one grey level on average.
DRAFT = 1.5
# Shorter side in pixels below which a JPEG file is not reduced.
LEAST_DRAFT = 128
_PREFETCH = 4

_decoded: weakref.WeakKeyDictionary[ImageSource, dict[int, _DecodedImages]]
_decoded = weakref.WeakKeyDictionary()
_errors: dict[str, DataError] = {}
_numbers = itertools.count()
_guard = ReadingGuard()


def image_batches(
    examples: ImageExamples,
    size: int,
    batch_size: int,
    seed: int,
    start_epoch: int | None = None,
) -> tuple[tf.data.Dataset, int]:
    """Returns batches of images, decoded and resized, with their classes.

    The order is a function of seed and epoch alone, so that a run resumes with the batches that it
    would have seen. Images are decoded in parallel, ahead of the network. Decoded images are kept
    for the next epochs, 400 MB of them in memory, the others in a temporary file: see `ImageStore`.
    Wrap loops over the dataset other than `Trainer.fit` into `plain_decoding_errors`.

    Args:
        examples: Images with their classes.
        size: Height and width that the images are stretched to (see `resize`).
        batch_size: Images per batch, at least 1; the last batch of an epoch may be smaller.
        seed: Seed of every epoch's order.
        start_epoch: First epoch of an endless training stream, counted from 0; `None` for one pass
            in the data's own order. Defaults to `None`.

    Returns:
        Dataset of uint8 images of shape `(batch, size, size, 3)` and int32 labels of shape
        `(batch,)`, and the steps of one epoch.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.image_batches import image_batches
    >>> from dlrecipes.data.labelled_images import ImageExamples
    >>> images = np.zeros((3, 8, 6, 3), "uint8")
    >>> examples = ImageExamples.from_arrays(images, [0, 1, 1], ("cat", "dog"))
    >>> batches, steps = image_batches(examples, size=4, batch_size=2, seed=0)
    >>> steps, [images.shape.as_list() for images, labels in batches]
    (2, [[2, 4, 4, 3], [1, 4, 4, 3]])
    """
    return decoded_batches(
        examples.source, examples.rows, examples.labels, size, batch_size, seed, start_epoch
    )


def decoded_batches(
    source: ImageSource,
    rows: np.ndarray,
    targets: np.ndarray,
    size: int,
    batch_size: int,
    seed: int,
    start_epoch: int | None = None,
) -> tuple[tf.data.Dataset, int]:
    """Returns batches of images, decoded and resized, with any targets.

    Order, decoding and storage are those of `image_batches`.

    Args:
        source: Images.
        rows: Number of each image in the source, integers of shape `(images,)`.
        targets: Array whose first axis counts the images.
        size: Height and width that the images are stretched to.
        batch_size: Images per batch, at least 1.
        seed: Seed of every epoch's order.
        start_epoch: First epoch of an endless training stream; `None` for one pass in the data's
            own order. Defaults to `None`.

    Returns:
        Dataset of uint8 images of shape `(batch, size, size, 3)` and their targets, and the steps
        of one epoch.
    """
    sizes = _decoded.setdefault(source, {})
    if size not in sizes:
        sizes[size] = _DecodedImages(source, size)
    # TensorFlow never forgets a function that it was given.
    reference = weakref.ref(source)

    def read(rows: np.ndarray) -> np.ndarray:
        images = reference()
        if images is None:
            raise RuntimeError("The examples of this dataset were deleted.")
        try:
            with _guard:
                return _decoded[images][size].read(images, rows)
        except DataError as error:
            # TensorFlow keeps the text of an error alone.
            key = f"[decoding error {next(_numbers)}]"
            _errors[key] = error
            raise RuntimeError(key) from None

    def decode(rows: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.numpy_function(read, [rows], tf.uint8)
        return tf.ensure_shape(pixels, [None, size, size, 3]), targets

    batches, steps = array_batches(rows.astype("int32"), targets, batch_size, seed, start_epoch)
    options = tf.data.Options()
    # Autotuning makes the end of every `fit` wait seconds for a background timer.
    options.autotune.enabled = False
    options.deterministic = True
    # Decoding would block the threads that run the network.
    options.threading.private_threadpool_size = available_cpus()
    batches = batches.map(decode, num_parallel_calls=available_cpus(), deterministic=True)
    batches = batches.prefetch(_PREFETCH).with_options(options)
    # The source lives as long as the dataset, or one that is made from it.
    batches.image_source = source
    return batches, steps


@contextlib.contextmanager
def plain_decoding_errors() -> Iterator[None]:
    """Raises the `DataError` of an image that could not be decoded, in place of TensorFlow's error.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.image_batches import image_batches, plain_decoding_errors
    >>> from dlrecipes.data.labelled_images import ImageExamples
    >>> examples = ImageExamples.from_arrays(np.zeros((1, 8, 6, 3), "uint8"), [0], ("cat",))
    >>> with plain_decoding_errors():
    ...     for images, labels in image_batches(examples, size=4, batch_size=2, seed=0)[0]:
    ...         print(labels.numpy())
    [0]
    """
    try:
        yield
    except tf.errors.OpError as error:
        key = re.search(r"\[decoding error \d+\]", error.message)
        original = _errors.pop(key[0], None) if key else None
        if original is None:
            raise
        raise original from None


class _DecodedImages:
    """The images of a source at one size, which are kept once they are decoded.

    Args:
        source: Images.
        size: Height and width of the decoded images.
    """

    def __init__(self, source: ImageSource, size: int):
        self._size, self._lock = size, threading.Lock()
        self._kept = ImageStore(len(source), (size, size, 3))
        self._places = np.full(len(source), -1, "int32")

    def read(self, source: ImageSource, rows: np.ndarray) -> np.ndarray:
        """Returns images, uint8 of shape `(rows, size, size, 3)`; safe in several threads."""
        places = self._places[rows]
        images = np.empty((len(rows), self._size, self._size, 3), "uint8")
        missing = np.flatnonzero(~self._kept.read(places, images))
        for k in missing:
            if _guard.is_exiting:
                # Nothing receives the batch, and TensorFlow would print an error as a warning.
                return np.zeros_like(images)
            image = source.read(int(rows[k]), least=max(LEAST_DRAFT, int(DRAFT * self._size)))
            images[k] = resize(image, self._size)
        if len(missing) and not self._kept.is_full:
            self._keep(rows[missing], images[missing])
        return images

    def _keep(self, rows: np.ndarray, images: np.ndarray) -> None:
        with self._lock:
            rows, first = np.unique(rows, return_index=True)
            is_new = self._places[rows] < 0
            rows, images = rows[is_new], images[first[is_new]]
            places = self._kept.add(images)
            # Other threads read a place as soon as it is known.
            self._places[rows[: len(places)]] = places
