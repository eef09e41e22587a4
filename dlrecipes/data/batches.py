"""Endless training batches whose order is a function of seed and epoch alone.

A run that was killed resumes with exactly the batches it would have seen, because the
order is not kept in a state that could be lost.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Returns the number of batches in one pass, including the smaller last one.

    Args:
        examples: Number of examples.
        batch_size: Examples per batch.

    Example:

    >>> from dlrecipes.data.batches import steps_per_epoch
    >>> steps_per_epoch(11, batch_size=4)
    3
    """
    return -(-examples // batch_size)


def passes_per_epoch(steps: int, min_steps: int) -> int:
    """Returns how often an epoch repeats the data so that it has a minimum number of steps.

    Args:
        steps: Steps of one pass, at least 1.
        min_steps: Minimum steps per epoch.

    Example:

    >>> from dlrecipes.data.batches import passes_per_epoch
    >>> passes_per_epoch(4, min_steps=10), passes_per_epoch(40, min_steps=10)
    (3, 1)
    """
    return max(1, -(-min_steps // steps))


def epoch_steps(examples: int, batch_size: int, min_steps: int) -> tuple[int, int]:
    """Returns the steps of an epoch, and how often it repeats the data.

    Args:
        examples: Number of examples.
        batch_size: Examples per batch.
        min_steps: Minimum steps per epoch.

    Example:

    >>> from dlrecipes.data.batches import epoch_steps
    >>> epoch_steps(examples=30, batch_size=8, min_steps=10)
    (12, 3)
    """
    steps = steps_per_epoch(examples, batch_size)
    passes = passes_per_epoch(steps, min_steps)
    return steps * passes, passes


def map_numbered(
    batches: tf.data.Dataset, function: Callable[..., Any], first: int
) -> tf.data.Dataset:
    """Returns batches after a function of their number over all epochs and of themselves.

    Args:
        batches: Batches from the first epoch to train on.
        function: Function of the number and of a batch, such as an augmentation whose seed is the
            number.
        first: Number of the first batch.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.batches import map_numbered
    >>> batches = tf.data.Dataset.from_tensor_slices([[1.0], [2.0]])
    >>> numbered = map_numbered(batches, lambda number, batch: (number, batch[0]), first=40)
    >>> [(int(number), float(x)) for number, x in numbered]
    [(40, 1.0), (41, 2.0)]
    """
    numbered = batches.enumerate(first)
    return numbered.map(function, num_parallel_calls=2, deterministic=True).prefetch(2)


def training_batches(
    inputs: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    batch_size: int,
    seed: int,
    start_epoch: int = 0,
    lengths: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Returns an endless dataset that shuffles the examples in each epoch.

    With `lengths`, sentences of similar length share a batch, and each batch is cut to its
    longest sentence, which makes recurrent networks several times as fast.

    Args:
        inputs: Arrays by name with shape `(examples, ...)`, or `(examples, time, ...)` if
            `lengths` is given.
        targets: Arrays by name, of the same shapes as `inputs`; those without a `time` axis are
            not cut.
        batch_size: Examples per batch, at least 1; the last batch of an epoch may be smaller.
        seed: Seed of the order in every epoch.
        start_epoch: First epoch, counted from 0. Defaults to 0.
        lengths: Length of each example, integers of shape `(examples,)`. Defaults to `None`: all
            examples have the same size.

    Returns:
        Dataset of `(inputs, targets)`; each `steps_per_epoch(...)` elements are one epoch.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.batches import steps_per_epoch, training_batches
    >>> inputs, targets = {"x": np.arange(5)}, {"y": np.arange(5)}
    >>> batches = training_batches(inputs, targets, batch_size=2, seed=0)
    >>> epoch = batches.take(steps_per_epoch(5, 2))
    >>> sorted(int(number) for x, _ in epoch for number in x["x"])
    [0, 1, 2, 3, 4]
    """
    count = len(next(iter(inputs.values())))
    steps = steps_per_epoch(count, batch_size)
    rows = None if lengths is None else tf.constant(lengths, tf.int32)

    def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
        order = _order(count, rows, seed, tf.cast(epoch, tf.int32))
        starts = tf.random.experimental.stateless_shuffle(
            tf.range(steps), seed=[seed, 2 * tf.cast(epoch, tf.int32) + 1]
        )
        return tf.data.Dataset.from_tensor_slices(starts).map(
            lambda s: order[s * batch_size : (s + 1) * batch_size]
        )

    epochs = tf.data.Dataset.counter(start_epoch).flat_map(batches_of)
    return _with_options(epochs.map(_gatherer(inputs, targets, rows)).prefetch(4))


def evaluation_batches(
    inputs: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    batch_size: int,
    lengths: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Returns a dataset with one pass over the examples in their own order.

    Args:
        inputs: Arrays by name, as for `training_batches`.
        targets: Arrays by name, as for `training_batches`.
        batch_size: Examples per batch, at least 1; the last batch may be smaller.
        lengths: Length of each example, as for `training_batches`. Defaults to `None`.

    Returns:
        Dataset of `(inputs, targets)`.
    """
    count = len(next(iter(inputs.values())))
    rows = None if lengths is None else tf.constant(lengths, tf.int32)
    order = tf.data.Dataset.range(count, output_type=tf.int32).batch(batch_size)
    return _with_options(order.map(_gatherer(inputs, targets, rows)).prefetch(4))


def array_batches(
    inputs: np.ndarray,
    targets: np.ndarray,
    batch_size: int,
    seed: int,
    start_epoch: int | None = None,
) -> tuple[tf.data.Dataset, int]:
    """Returns batches of two arrays as `Recipe.dataset` does: for training or for evaluation.

    Args:
        inputs: Array whose first axis counts the examples.
        targets: Likewise.
        batch_size: Examples per batch, at least 1; the last batch of an epoch may be smaller.
        seed: Seed of every epoch's order.
        start_epoch: First epoch of an endless training stream, counted from 0; `None` for one
            pass in the data's own order. Defaults to `None`.

    Returns:
        Dataset of `(inputs, targets)`, and the steps of one epoch.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.batches import array_batches
    >>> batches, steps = array_batches(np.eye(5), np.arange(5), batch_size=2, seed=0)
    >>> steps, [y.numpy().tolist() for x, y in batches]
    (3, [[0, 1], [2, 3], [4]])
    """
    arrays = {"inputs": inputs}, {"targets": targets}
    if start_epoch is None:
        batches = evaluation_batches(*arrays, batch_size)
    else:
        batches = training_batches(*arrays, batch_size, seed, start_epoch)
    steps = steps_per_epoch(len(inputs), batch_size)
    return batches.map(lambda x, y: (x["inputs"], y["targets"])), steps


def map_batches(function: Callable[..., Any], *arrays: np.ndarray, batch_size: int) -> Any:
    """Returns a function's results for whole arrays, computed batch by batch.

    Args:
        function: Function of as many batches as there are arrays. It returns a tensor whose first
            axis counts the examples, or a list, tuple or dictionary of such tensors.
        *arrays: Arrays with the same first axis, which counts the examples, at least one.
        batch_size: Examples per batch; the last batch may be smaller.

    Returns:
        The function's result with a NumPy array in place of each tensor.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.batches import map_batches
    >>> map_batches(lambda x: 2 * x, np.arange(5), batch_size=2).tolist()
    [0, 2, 4, 6, 8]
    """
    results = [
        function(*(array[start : start + batch_size] for array in arrays))
        for start in range(0, len(arrays[0]), batch_size)
    ]
    return tf.nest.map_structure(
        lambda *parts: np.concatenate(list(map(np.asarray, parts))), *results
    )


def _order(count: int, lengths: tf.Tensor | None, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    if lengths is None:
        return tf.random.experimental.stateless_shuffle(tf.range(count), seed=[seed, 2 * epoch])
    # Random noise of up to two keeps sentences from sharing a batch in every epoch.
    blur = tf.random.stateless_uniform([count], seed=[seed, 2 * epoch], maxval=2.0)
    return tf.argsort(tf.cast(lengths, tf.float32) + blur, stable=True)


def _gatherer(inputs, targets, lengths):
    tables = [{k: tf.constant(v) for k, v in part.items()} for part in (inputs, targets)]

    def gather(rows: tf.Tensor):
        parts = [{k: tf.gather(v, rows) for k, v in part.items()} for part in tables]
        if lengths is not None:
            longest = tf.reduce_max(tf.gather(lengths, rows))
            parts = [
                {k: v[:, :longest] if v.shape.rank > 1 else v for k, v in part.items()}
                for part in parts
            ]
        return tuple(parts)

    return gather


def _with_options(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # Autotuning makes the end of every `fit` wait seconds for a background timer.
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)
