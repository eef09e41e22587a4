"""Cutting batches of sequences into consecutive chunks of time."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def each(step: Callable[[Any, Any], Any], data: tuple[Any, Any, Any], window: int, states: Any):
    """Runs a step on each chunk of a batch in order, passing the states from one to the next.

    In a graph, chunks of equal length are one loop, so that the graph does not grow with their
    number. Under several replicas the loop is unrolled, because TensorFlow cannot reduce over
    replicas inside a loop.

    Args:
        step: Function from a chunk of the data and the states to the next states, which must keep
            their shapes.
        data: Inputs, targets and sample weights: each a tensor of shape `(batch, time, ...)`, a
            structure of such tensors, or `None`.
        window: Steps per chunk; the last chunk has the remaining steps.
        states: States before the first chunk, in any structure of tensors.

    Returns:
        The states after the last chunk.

    Raises:
        ValueError: If inputs and targets differ in length, or if the length is unknown under
            several replicas.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.training._engine.chunks import each
    >>> x = tf.reshape(tf.range(1, 6), [1, 5])
    >>> int(each(lambda chunk, total: total + tf.reduce_sum(chunk[0]), (x, x, None), 2, 0))
    15
    """
    total, states = length(data), tf.nest.map_structure(tf.convert_to_tensor, states)
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1

    def run(start, steps, states):
        new = step(_slice_time(data, start, steps), states)
        return tf.nest.map_structure(_cast_like, new, states)

    if isinstance(total, int) and (several or total < 2 * window):
        for start in range(0, total, window):
            states = run(start, min(window, total - start), states)
        return states
    if several:
        raise ValueError(
            "Under several replicas the length of a batch must be known: make all batches equally "
            "long, and give the data set static shapes."
        )
    rest = total % window
    last = total - rest
    _, states = tf.while_loop(
        lambda start, states: start < last,
        lambda start, states: (start + window, run(start, window, states)),
        (0, states),
        parallel_iterations=1,
    )
    if isinstance(rest, int):
        return run(last, rest, states) if rest else states
    return tf.cond(rest > 0, lambda: run(last, None, states), lambda: states)


def length(data: tuple[Any, Any, Any]) -> int | tf.Tensor | None:
    """Returns the number of time steps of a batch, or `None` if a spec leaves it unknown.

    Raises:
        ValueError: If a part has no time axis, or the parts differ in length.
    """
    parts = [part for part in tf.nest.flatten(data) if part is not None]
    shapes = [part.shape.as_list() if part.shape.rank else [] for part in parts]
    if any(len(shape) < 2 for shape in shapes):
        raise ValueError(
            "inputs, targets and weights must be of shape (batch, time, ...), with values for "
            f"each step, not {shapes}."
        )
    known = {shape[1] for shape in shapes} - {None}
    if len(known) > 1:
        raise ValueError(f"inputs, targets and weights must have the same length, not {shapes}.")
    if known:
        return known.pop()
    return None if isinstance(parts[0], tf.TensorSpec) else tf.shape(parts[0])[1]


def _slice_time(data: tuple[Any, Any, Any], start: int | tf.Tensor, steps: int | None):
    """Returns `steps` time steps of all parts of a batch; `None` takes all remaining steps."""

    def piece(part):
        if part is None:
            return None
        shape = [part.shape[0], steps, *part.shape[2:]]
        if steps is None:
            return tf.ensure_shape(part[:, start:], shape)
        # XLA needs a static size for a slice whose start is unknown.
        begin = [0, start, *[0] * (len(shape) - 2)]
        chunk = tf.slice(part, begin, [-1 if size is None else size for size in shape])
        # The layers are faster on chunks of known length.
        return tf.ensure_shape(chunk, shape)

    return tf.nest.map_structure(piece, data)


def _cast_like(new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.cast(new, old.dtype), old.shape)
