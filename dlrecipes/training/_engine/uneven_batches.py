"""Batches that replicas cannot share evenly, such as the last one of an epoch."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

# A strategy runs each replica in a thread of its own.
_here = threading.local()


def examples() -> tf.Tensor | None:
    """Returns how many examples this replica has in the step that runs, an int32 scalar.

    `None` outside of a step, and where there is one replica. A replica may have none.
    """
    return getattr(_here, "examples", None)


def weighted_step(
    step: Callable[[Any], dict[str, tf.Tensor]], counts: Callable[[], Sequence[keras.Variable]]
) -> Callable[[Any], dict[str, tf.Tensor]]:
    """Returns a step in which each example counts alike, however few a replica has.

    TensorFlow gives the replicas shares of a batch whose sizes differ, and nothing to the last of
    them where there are too few examples: of a mean over none comes NaN. Such a replica is given
    one example of zeros that counts nowhere: `examples` is 0, by which `optimizer_step.apply`
    weighs the gradient, and what its metrics counted is taken back.

    Args:
        step: From a batch to its logs, called in replica context.
        counts: Returns the variables in which metrics count examples.

    Returns:
        The step; its logs have shape `(1,)`, or `(0,)` on a replica without examples, so that
        their mean over all replicas leaves those out.
    """

    def stepped(data: Any) -> dict[str, tf.Tensor]:
        parts = [part for part in tf.nest.flatten(data) if part is not None]
        count = tf.shape(parts[0])[0]
        before = [(variable, tf.identity(variable.value)) for variable in counts()]
        with _sharing(count):
            logs = step(tf.nest.map_structure(lambda part: _at_least_one(part, count), data))
        for variable, value in before:
            variable.assign(tf.where(count == 0, value, variable.value))
        return {
            name: tf.reshape(value, [1])[: tf.minimum(count, 1)] for name, value in logs.items()
        }

    return stepped


def replica_offset(here: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns where this replica's examples stand among those of all replicas.

    Args:
        here: How many this replica was given, perhaps one that counts nowhere.

    Returns:
        How many of them count; how many come before them, of other replicas; and how many there
        are in all. Int32 scalars.
    """
    context = tf.distribute.get_replica_context()
    count = examples()
    counting = tf.convert_to_tensor(here, tf.int32)
    counting = counting if count is None else tf.minimum(counting, count)
    # Gathered as int64: NCCL has no int32.
    counts = context.all_gather(tf.reshape(tf.cast(counting, tf.int64), [1]), axis=0)
    before = tf.reduce_sum(counts[: context.replica_id_in_sync_group])
    return counting, tf.cast(before, tf.int32), tf.cast(tf.reduce_sum(counts), tf.int32)


def weighted_mean(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the mean of gradients over the replicas, by the examples of each in this step."""
    context = tf.distribute.get_replica_context()
    count = examples()
    if count is None:
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, list(gradients))
    count = tf.cast(count, tf.float32)
    parts = [tf.math.multiply_no_nan(g, tf.cast(count, g.dtype)) for g in gradients]
    *sums, total = context.all_reduce(tf.distribute.ReduceOp.SUM, [*parts, count])
    return [part / tf.cast(total, part.dtype) for part in sums]


@contextlib.contextmanager
def _sharing(count: tf.Tensor) -> Iterator[None]:
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
