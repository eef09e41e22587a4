"""Cutting batches of sequences into chunks of time, one after the other."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def each(step: Callable[[Any, Any], Any], data: tuple[Any, Any, Any], window: int, states: Any):
    """Runs a step on chunk after chunk of a batch, the states of one being those of the next.

    In a graph, chunks of equal length are one loop: the graph does not grow with their number.
    Under several replicas they are laid out one after the other, as TensorFlow reduces over
    replicas in no loop.

    Args:
        step: From a chunk of the data and states to the next states, of the same shapes.
        data: Inputs, targets and sample weights: each a tensor of shape `(batch, time, ...)`, a
            structure of such tensors, or `None`.
        window: Steps of a chunk; the last has what is left over.
        states: Those before the first chunk, in any structure of tensors.

    Returns:
        The states after the last chunk.

    Raises:
        ValueError: If inputs and targets have not the same time, or under several
            replicas it is unknown.

    Example:

    >>> x = tf.reshape(tf.range(1, 6), [1, 5])
    >>> int(each(lambda chunk, total: total + tf.reduce_sum(chunk[0]), (x, x, None), 2, 0))
    15
    """
    total, states = length(data), tf.nest.map_structure(tf.convert_to_tensor, states)
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1

    def run(start, steps, states):
        new = step(_cut(data, start, steps), states)
        return tf.nest.map_structure(_alike, new, states)

    if isinstance(total, int) and (several or total < 2 * window):
        for start in range(0, total, window):
            states = run(start, min(window, total - start), states)
        return states
    if several:
        raise ValueError(
            "Under several replicas the length of a batch must be known: make all batches equally "
            "long, or let the data set have such shapes."
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
    """Returns the steps of a batch, `None` of a spec's; refuses parts that do not go together."""
    parts = [part for part in tf.nest.flatten(data) if part is not None]
    shapes = [part.shape.as_list() if part.shape.rank else [] for part in parts]
    if any(len(shape) < 2 for shape in shapes):
        raise ValueError(
            "inputs, targets and weights must be of shape (batch, time, ...), each step having "
            f"its own, not {shapes}."
        )
    known = {shape[1] for shape in shapes} - {None}
    if len(known) > 1:
        raise ValueError(f"inputs, targets and weights must have the same time, not {shapes}.")
    if known:
        return known.pop()
    return None if isinstance(parts[0], tf.TensorSpec) else tf.shape(parts[0])[1]


def _cut(data: tuple[Any, Any, Any], start: int | tf.Tensor, steps: int | None):
    """Returns so many steps of all parts of a batch; `None` for all that are left."""

    def piece(part):
        if part is None:
            return None
        shape = [part.shape[0], steps, *part.shape[2:]]
        if steps is None:
            return tf.ensure_shape(part[:, start:], shape)
        # XLA wants to know the size of a cut whose start it does not know.
        begin = [0, start, *[0] * (len(shape) - 2)]
        found = tf.slice(part, begin, [-1 if size is None else size for size in shape])
        # A chunk of known length is what the layers are fast on.
        return tf.ensure_shape(found, shape)

    return tf.nest.map_structure(piece, data)


def _alike(new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.cast(new, old.dtype), old.shape)
