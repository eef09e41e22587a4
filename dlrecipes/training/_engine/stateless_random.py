"""Random numbers of a training step: a function of seed and step, alike on every worker."""

from collections.abc import Sequence

import tensorflow as tf

from dlrecipes.training._engine import uneven_batches


def normal(shape: Sequence[int | tf.Tensor], seed: int, step: tf.Tensor, stream: int = 0):
    """Returns normal draws with mean 0 and standard deviation 1.

    They have no state but the step: a run that is killed and goes on draws the same. Under a
    `tf.distribute` strategy the draws of the whole batch are those of one process, and each
    replica gets its share. A step that XLA compiles (`jit_compile=True`) draws other numbers.

    Args:
        shape: Shape, of which the first is this replica's examples.
        seed: The trainer's seed.
        step: Number of the step, an integer scalar: `optimizer.iterations`.
        stream: Tells the draws of one step apart.

    Returns:
        Float32 tensor of that shape.

    Example:

    >>> first = normal([2, 3], seed=0, step=tf.constant(5))
    >>> again, other = normal([2, 3], 0, tf.constant(5)), normal([2, 3], 0, tf.constant(6))
    >>> bool(tf.reduce_all(first == again)), bool(tf.reduce_any(first == other))
    (True, False)
    """
    return _share(tf.random.stateless_normal, shape, seed, step, stream)


def uniform(shape: Sequence[int | tf.Tensor], seed: int, step: tf.Tensor, stream: int = 0):
    """Returns draws from [0, 1); see `normal` for everything else."""
    return _share(tf.random.stateless_uniform, shape, seed, step, stream)


def replicated_uniform(
    shape: Sequence[int | tf.Tensor], seed: int, step: tf.Tensor, stream: int = 0
):
    """Returns draws from [0, 1) that are the same on every replica; see `normal` for the rest."""
    return tf.random.stateless_uniform(shape, _key(seed, step, stream))


def _key(seed, step, stream) -> tf.Tensor:
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(stream, tf.int64)])
    return tf.random.experimental.stateless_fold_in(key, tf.cast(step, tf.int64))


def _share(draw, shape, seed, step, stream):
    key = _key(seed, step, stream)
    here, rest = shape[0], list(shape[1:])
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1:
        return draw([here, *rest], key)
    _, before, total = uneven_batches.replica_offset(here)
    # What a replica without examples was given counts nowhere: any draw will do.
    rows = tf.minimum(tf.range(before, before + here), total - 1)
    drawn = tf.gather(draw([total, *rest], key), rows)
    return tf.ensure_shape(drawn, [tf.get_static_value(size) for size in (here, *rest)])
