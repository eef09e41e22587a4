"""Endless PK batches: K images of each of P identities.

Losses that compare the examples of a batch need positives and negatives in every batch.
As in `data.batches`, the order is a function of seed and epoch alone.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.errors import DataError

# Separate the random streams of one epoch.
_IDENTITIES, _IMAGES = 0, 1


def identity_steps(labels: np.ndarray, identities: int, images: int) -> int:
    """Returns the number of PK batches that hold at least as many images as the dataset.

    Args:
        labels: Identity of each image, integers or strings of shape `(images,)`.
        identities: Identities per batch (P).
        images: Images per identity (K).

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.identities import identity_steps
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
    """Returns an endless dataset with the rows of each PK batch: P identities by K images.

    Each round goes through all identities once, in random order; some of them occur a second
    time, to fill the round's last batch. The K images of an identity are sampled without
    replacement each time. If it has fewer than K, they are repeated as evenly as possible.
    Identities with a single image have no positive pair and are skipped.

    Args:
        labels: Identity of each image, integers or strings of shape `(images,)`.
        identities: Identities per batch (P), at least 2.
        images: Images per identity (K), at least 2.
        seed: Seed of the order in every epoch.
        start_epoch: First epoch, counted from 0. Defaults to 0.
        steps: Batches per epoch, at least 1. Defaults to `identity_steps(...)`.

    Returns:
        Dataset of int32 tensors of shape `(identities * images,)`, in which the images of an
        identity are adjacent; each `steps` elements are one epoch.

    Raises:
        ValueError: If an argument is out of bounds, or `labels` is not one-dimensional.
        DataError: If fewer than P identities have two images or more.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.identities import identity_rows
    >>> labels = np.array([7, 7, 7, 8, 8, 9, 9, 9, 9])
    >>> rows = next(iter(identity_rows(labels, identities=2, images=2, seed=0)))
    >>> shown = labels[rows.numpy()]
    >>> bool(shown[0] == shown[1] != shown[2] == shown[3])
    True

    Reference:
        Hermans, Beyer and Leibe, 2017, "In defense of the triplet loss for person
        re-identification", section 2, https://arxiv.org/abs/1703.07737.
    """
    least = {"identities": (identities, 2), "images": (images, 2), "steps": (steps, 1)}
    for name, (value, bound) in least.items():
        if value is not None and value < bound:
            raise ValueError(f"{name} must be at least {bound}, not {value!r}.")
    table, counts = _by_identity(labels, images)
    if len(counts) < identities:
        raise DataError(
            f"Expected at least {identities} identities with two images or more, got "
            f"{len(counts)}.",
            "Use fewer identities per batch, or give more images of each.",
        )
    steps = identity_steps(labels, identities, images) if steps is None else steps
    steps_per_round = -(-len(counts) // identities)

    def rows(epoch: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        key = tf.random.fold_in(tf.stack([tf.cast(seed, tf.int64), epoch]), step // steps_per_round)
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(counts)), seed=tf.random.fold_in(key, _IDENTITIES)
        )
        # The last batch of a round is filled from the beginning of the round.
        first = tf.cast(step % steps_per_round, tf.int32) * identities
        chosen = tf.gather(order, (first + tf.range(identities)) % len(counts))
        key = tf.random.fold_in(tf.random.fold_in(key, _IMAGES), step % steps_per_round)
        return _sampled_rows(tf.gather(table, chosen), tf.gather(counts, chosen), images, key)

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
    """Returns an endless dataset of PK batches of examples and labels; see `identity_rows`.

    Args:
        examples: Array or structure of arrays, with the images along the first axis.
        labels: Identity of each image, integers or strings of shape `(images,)`.
        identities: Identities per batch (P), at least 2.
        images: Images per identity (K), at least 2.
        seed: Seed of the order in every epoch.
        start_epoch: First epoch, counted from 0. Defaults to 0.
        steps: Batches per epoch, at least 1. Defaults to `identity_steps(...)`.

    Returns:
        Dataset of `(examples, labels)`, whose first axis has size `identities * images`.

    Raises:
        ValueError: If an argument is out of bounds, `labels` is not one-dimensional, or there
            are not as many examples as labels.
        DataError: If fewer than P identities have two images or more.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.identities import pk_batches
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
    """Returns the padded rows of each identity with two images or more, and their numbers."""
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


def _sampled_rows(table: tf.Tensor, counts: tf.Tensor, images: int, key: tf.Tensor) -> tf.Tensor:
    """Returns sampled rows of each identity, which has `counts` rows in the table, as a vector."""
    priority = tf.random.stateless_uniform(tf.shape(table), key)
    real = tf.range(tf.shape(table)[1]) < counts[:, None]
    _, columns = tf.math.top_k(tf.where(real, priority, -1.0), k=images)
    repeated = tf.range(images) % counts[:, None]
    columns = tf.gather(columns, repeated, axis=1, batch_dims=1)
    rows = tf.gather(table, columns, axis=1, batch_dims=1)
    return tf.reshape(rows, [table.shape[0] * images])


def _options() -> tf.data.Options:
    options = tf.data.Options()
    # Autotuning makes the end of every `fit` wait seconds for a background timer.
    options.autotune.enabled = False
    options.deterministic = True
    return options
