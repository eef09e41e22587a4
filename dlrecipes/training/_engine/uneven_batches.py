"""Batches that cannot be divided evenly among replicas, such as the last one of an epoch."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

# A strategy runs each replica in its own thread.
_here = threading.local()


def examples() -> tf.Tensor | None:
    """Returns this replica's number of examples in the current step, an int32 scalar.

    It may be 0. Outside of a step, and with a single replica, it is `None`.
    """
    return getattr(_here, "examples", None)


def weighted_step(
    step: Callable[[Any], dict[str, tf.Tensor]], counts: Callable[[], Sequence[keras.Variable]]
) -> Callable[[Any], dict[str, tf.Tensor]]:
    """Returns a step that weights examples equally, however many a replica has.

    TensorFlow gives the replicas parts of a batch that differ in size, and gives the last ones
    nothing if there are too few examples: a mean over no examples is NaN. Such a replica is given a
    placeholder example of zeros, which is ignored: `examples` is 0, `optimizer_step.apply` weights
    the gradient by it, and the updates of its metrics are undone.

    Args:
        step: Function from a batch to its logs, called in replica context.
        counts: Function that returns the variables in which metrics count examples.

    Returns:
        The step. Its logs have shape `(1,)`, or `(0,)` on a replica without examples, so that the
        mean over all replicas leaves those out.
    """

    def stepped(data: Any) -> dict[str, tf.Tensor]:
        parts = [part for part in tf.nest.flatten(data) if part is not None]
        count = tf.shape(parts[0])[0]
        before = [(variable, tf.identity(variable.value)) for variable in counts()]
        with _example_count(count):
            logs = step(tf.nest.map_structure(lambda part: _at_least_one(part, count), data))
        for variable, value in before:
            variable.assign(tf.where(count == 0, value, variable.value))
        return {
            name: tf.reshape(value, [1])[: tf.minimum(count, 1)] for name, value in logs.items()
        }

    return stepped


def replica_offset(
    here: int | tf.Tensor, padded: bool = True
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the position of this replica's examples among those of all replicas.

    Args:
        here: Number of examples that this replica was given, including a placeholder.
        padded: Whether `here` may include a placeholder. `False` for rows other than the batch's
            examples, such as persistent chains. Defaults to `True`.

    Returns:
        Three int32 scalars: the number of this replica's examples without a placeholder, the number
        of examples on the replicas before it, and the number of examples on all replicas.
    """
    context = tf.distribute.get_replica_context()
    count = examples() if padded else None
    size = tf.convert_to_tensor(here, tf.int32)
    size = size if count is None else tf.minimum(size, count)
    # Gathered as int64, because NCCL does not support int32.
    counts = context.all_gather(tf.reshape(tf.cast(size, tf.int64), [1]), axis=0)
    before = tf.reduce_sum(counts[: context.replica_id_in_sync_group])
    return size, tf.cast(before, tf.int32), tf.cast(tf.reduce_sum(counts), tf.int32)


def weighted_mean(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the mean of gradients over the replicas, weighted by their numbers of examples."""
    context = tf.distribute.get_replica_context()
    count = examples()
    if count is None:
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, list(gradients))
    count = tf.cast(count, tf.float32)
    parts = [tf.math.multiply_no_nan(g, tf.cast(count, g.dtype)) for g in gradients]
    *sums, total = context.all_reduce(tf.distribute.ReduceOp.SUM, [*parts, count])
    return [part / tf.cast(total, part.dtype) for part in sums]


@contextlib.contextmanager
def _example_count(count: tf.Tensor) -> Iterator[None]:
    _here.examples = count
    try:
        yield
    finally:
        _here.examples = None


def _at_least_one(part: Any, count: tf.Tensor) -> Any:
    if not isinstance(part, tf.Tensor) or part.shape[0]:
        return part
    zeros = tf.zeros([tf.cast(count == 0, tf.int32), *tf.unstack(tf.shape(part)[1:])], part.dtype)
    whole = tf.concat([part, zeros], axis=0)
    return tf.ensure_shape(whole, [None, *part.shape[1:]])
