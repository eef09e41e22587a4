"""Endless training batches of some images of each of some identities.

What losses need that compare examples of one batch: positives and negatives in each.
As in `data.batches`, the order is a function of seed and epoch alone.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.errors import DataError

# Tells the draws of one epoch apart.
_IDENTITIES, _IMAGES = 0, 1


def identity_steps(labels: np.ndarray, identities: int, images: int) -> int:
    """Returns how many batches show as many images as there are, the last one whole.

    Args:
        labels: As for `identity_rows`.
        identities: As for `identity_rows`.
        images: As for `identity_rows`.

    Example:

    >>> identity_steps(np.array([0, 0, 0, 1, 1, 2, 2, 2, 2]), identities=2, images=2)
    3
    """
    return -(-len(labels) // (identities * images))


def identity_rows(
    labels: np.ndarray,
    identities: int,
    images: int,
    seed: int,
    start_epoch: int = 0,
    steps: int | None = None,
) -> tf.data.Dataset:
    """Returns an endless data set of the rows of each batch: P identities by K images.

    The identities come in rounds: in each round each of them once, in an order of its own;
    those that fill up its last batch come twice. An identity's K images are drawn anew each
    time, none of them twice, unless it has fewer than K: then each of them comes
    as often as the others or once more. An identity with a single image, which has no
    positive, is left out.

    Args:
        labels: Whom each image shows: one integer or string an image.
        identities: P, the identities of a batch, at least 2.
        images: K, the images of each, at least 2.
        seed: Decides every epoch's order.
        start_epoch: The epoch to begin with, counted from 0.
        steps: Batches of an epoch, at least 1; by default `identity_steps(...)`.

    Returns:
        Data set of int32 tensors of shape `(identities * images,)`, an identity's images
        one after the other; each `steps` of them make one epoch.

    Raises:
        ValueError: If an argument is out of its bounds, or `labels` is no vector.
        DataError: If fewer than P identities have two images or more.

    Example:

    >>> labels = np.array([7, 7, 7, 8, 8, 9, 9, 9, 9])
    >>> rows = next(iter(identity_rows(labels, identities=2, images=2, seed=0)))
    >>> shown = labels[rows.numpy()]
    >>> bool(shown[0] == shown[1] != shown[2] == shown[3])
    True

    Reference:
        Hermans, Beyer and Leibe, 2017, "In defense of the triplet loss for person
        re-identification", section 2.
    """
    least = {"identities": (identities, 2), "images": (images, 2), "steps": (steps, 1)}
    for name, (value, bound) in least.items():
        if value is not None and value < bound:
            raise ValueError(f"{name} must be at least {bound}, not {value!r}.")
    table, counts = _by_identity(labels, images)
    if len(counts) < identities:
        raise DataError(
            f"{len(counts)} identities have two images or more: too few for batches of "
            f"{identities}.",
            "Ask for fewer identities a batch, or bring more images of each.",
        )
    steps = identity_steps(labels, identities, images) if steps is None else steps
    steps_a_round = -(-len(counts) // identities)

    def rows(epoch: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        key = tf.random.fold_in(tf.stack([tf.cast(seed, tf.int64), epoch]), step // steps_a_round)
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(counts)), seed=tf.random.fold_in(key, _IDENTITIES)
        )
        # What is left of a round is filled up from its beginning, which the batch does not hold.
        first = tf.cast(step % steps_a_round, tf.int32) * identities
        chosen = tf.gather(order, (first + tf.range(identities)) % len(counts))
        key = tf.random.fold_in(tf.random.fold_in(key, _IMAGES), step % steps_a_round)
        return _drawn(tf.gather(table, chosen), tf.gather(counts, chosen), images, key)

    def epoch_of(epoch: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.range(steps).map(lambda step: rows(epoch, step))

    return tf.data.Dataset.counter(start_epoch).flat_map(epoch_of).with_options(_options())


def pk_batches(
    examples: Any,
    labels: np.ndarray,
    identities: int,
    images: int,
    seed: int,
    start_epoch: int = 0,
    steps: int | None = None,
) -> tf.data.Dataset:
    """Returns an endless data set of examples with their labels, as `identity_rows` has them.

    Args:
        examples: Array, or a structure of arrays, with the images along the first axis.
        labels: As for `identity_rows`.
        identities: As for `identity_rows`.
        images: As for `identity_rows`.
        seed: As for `identity_rows`.
        start_epoch: As for `identity_rows`.
        steps: As for `identity_rows`.

    Returns:
        Data set of `(examples, labels)`, the first axis of size `identities * images`.

    Raises:
        ValueError: As for `identity_rows`, or if there are not as many examples as labels.
        DataError: As for `identity_rows`.

    Example:

    >>> images, labels = np.zeros((6, 8, 8, 1), "float32"), np.array([0, 0, 1, 1, 2, 2])
    >>> batches = pk_batches(images, labels, identities=2, images=2, seed=0)
    >>> [tuple(part.shape) for part in next(iter(batches))]
    [(4, 8, 8, 1), (4,)]
    """
    rows = identity_rows(labels, identities, images, seed, start_epoch, steps)
    for array in tf.nest.flatten(examples):
        if len(array) != len(labels):
            raise ValueError(f"There are {len(array)} examples, but {len(labels)} labels.")
    tables = tf.nest.map_structure(tf.constant, (examples, labels))
    batches = rows.map(lambda row: tf.nest.map_structure(lambda part: tf.gather(part, row), tables))
    return batches.prefetch(4).with_options(_options())


def _by_identity(labels: np.ndarray, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of each identity that has two or more, padded, and how many they are."""
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels must have shape (images,), not {labels.shape}.")
    _, identity, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order, starts = np.argsort(identity, kind="stable"), np.cumsum(counts) - counts
    longest = max(images, counts.max(initial=0))
    table = np.zeros((len(counts), longest), "int32")
    for number, (start, count) in enumerate(zip(starts, counts, strict=True)):
        table[number, :count] = order[start : start + count]
    return table[counts > 1], counts[counts > 1].astype("int32")


def _drawn(table: tf.Tensor, counts: tf.Tensor, images: int, key: tf.Tensor) -> tf.Tensor:
    """Returns some rows of each identity, of which the table has `counts`, in one vector."""
    draws = tf.random.stateless_uniform(tf.shape(table), key)
    real = tf.range(tf.shape(table)[1]) < counts[:, None]
    _, columns = tf.math.top_k(tf.where(real, draws, -1.0), k=images)
    again = tf.range(images) % counts[:, None]
    columns = tf.gather(columns, again, axis=1, batch_dims=1)
    rows = tf.gather(table, columns, axis=1, batch_dims=1)
    return tf.reshape(rows, [table.shape[0] * images])


def _options() -> tf.data.Options:
    options = tf.data.Options()
    # Autotuning makes the end of every `fit` wait seconds for a background timer.
    options.autotune.enabled = False
    options.deterministic = True
    return options
