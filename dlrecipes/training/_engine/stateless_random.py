"""Random numbers of a training step: a function of seed and step, the same on every worker."""

from collections.abc import Sequence

import tensorflow as tf

from dlrecipes.training._engine import uneven_batches


def normal(
    shape: Sequence[int | tf.Tensor],
    seed: int,
    step: tf.Tensor,
    stream: int = 0,
    examples: bool = True,
):
    """Returns normal random numbers with mean 0 and standard deviation 1.

    They depend on nothing but the arguments, so that a run that is killed and resumed gets the same
    numbers. Under a `tf.distribute` strategy the numbers of the whole batch equal those on a single
    device, and each replica gets those of its own examples. A step compiled by XLA
    (`jit_compile=True`) generates other numbers.

    Args:
        shape: Shape, whose first axis is this replica's examples.
        seed: The trainer's seed.
        step: Number of the step, an integer scalar: `batch_count(optimizer)`.
        stream: Number that separates several calls in the same step. Defaults to 0.
        examples: Whether the first axis holds the batch's examples. `False` for other rows, such
            as persistent chains, whose number differs from the batch's. Defaults to `True`.

    Returns:
        Float32 tensor of that shape.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.training._engine.stateless_random import normal
    >>> first = normal([2, 3], seed=0, step=tf.constant(5))
    >>> again, other = normal([2, 3], 0, tf.constant(5)), normal([2, 3], 0, tf.constant(6))
    >>> bool(tf.reduce_all(first == again)), bool(tf.reduce_any(first == other))
    (True, False)
    """
    return _replica_part(tf.random.stateless_normal, shape, seed, step, stream, examples)


def uniform(
    shape: Sequence[int | tf.Tensor],
    seed: int,
    step: tf.Tensor,
    stream: int = 0,
    examples: bool = True,
):
    """Returns uniform random numbers in [0, 1), under the same rules as `normal`."""
    return _replica_part(tf.random.stateless_uniform, shape, seed, step, stream, examples)


def replicated_uniform(
    shape: Sequence[int | tf.Tensor], seed: int, step: tf.Tensor, stream: int = 0
):
    """Returns uniform random numbers in [0, 1) that are the same on every replica."""
    return tf.random.stateless_uniform(shape, _key(seed, step, stream))


def _key(seed, step, stream) -> tf.Tensor:
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(stream, tf.int64)])
    return tf.random.experimental.stateless_fold_in(key, tf.cast(step, tf.int64))


def _replica_part(generate, shape, seed, step, stream, examples):
    key = _key(seed, step, stream)
    here, rest = shape[0], list(shape[1:])
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1:
        return generate([here, *rest], key)
    _, before, total = uneven_batches.replica_offset(here, padded=examples)
    # The placeholder example of a replica without examples is ignored: any number will do.
    rows = tf.minimum(tf.range(before, before + here), total - 1)
    values = tf.gather(generate([total, *rest], key), rows)
    return tf.ensure_shape(values, [tf.get_static_value(size) for size in (here, *rest)])
