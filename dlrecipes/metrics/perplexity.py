"""Perplexity of texts and of padded sequences under a character language model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.data.streams import stream_batches


def text_perplexity(
    model: keras.Model, ids: np.ndarray, streams: int = 64, steps: int = 64
) -> float:
    """Returns the per-character perplexity of one long text.

    The text is read as parallel streams, each of which carries the model's states from batch to
    batch. Characters that do not fill a batch are left out (see `stream_steps`).

    Args:
        model: `CharacterLanguageModel` whose network reads characters alone.
        ids: Character ids of the text, integers of shape `(characters,)`, at least two.
        streams: Largest number of streams; a short text has fewer. Defaults to 64.
        steps: Largest number of characters per stream and batch. Defaults to 64.

    Returns:
        Exponential of the mean cross-entropy, at least 1.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.perplexity import text_perplexity
    >>> from dlrecipes.models import character_lm
    >>> from dlrecipes.training import CharacterLanguageModel
    >>> network = character_lm(3, units=4, seed=1)
    >>> model = CharacterLanguageModel(network, 8, ["[start]", "a", "b"])
    >>> round(text_perplexity(model, np.array([1, 2] * 50)))
    3

    Reference:
        Jelinek, Mercer, Bahl and Baker, 1977, "Perplexity: a measure of the difficulty of speech
        recognition tasks".
    """
    steps = min(steps, len(ids) - 1)
    streams = max(1, min(streams, (len(ids) - 1) // steps))
    first = model.first_states(streams)

    @tf.function(reduce_retracing=True)
    def batch_loss(x, y, flat):
        states = tf.nest.pack_sequence_as(first, flat)
        scores, states = model.piece({"characters": x}, states)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, scores)
        return tf.reduce_sum(losses), tf.nest.flatten(states)

    flat, total, count = tf.nest.flatten(first), 0.0, 0
    for x, y in stream_batches(ids, streams, steps):
        loss, flat = batch_loss(x, y, flat)
        total, count = total + float(loss), count + int(tf.size(y))
    return float(np.exp(total / count))


def sequence_perplexity(
    model: keras.Model,
    inputs: Mapping[str, np.ndarray],
    targets: np.ndarray,
    groups: np.ndarray,
    num_groups: int,
    batch_size: int = 100,
) -> tuple[float, np.ndarray]:
    """Returns the per-character perplexity of padded sequences, overall and by group of steps.

    Args:
        model: `CharacterLanguageModel`.
        inputs: Inputs of the network by name, integers of shape `(sequences, steps)`.
        targets: Ids of the next characters, of the same shape; 0 is padding and does not count.
        groups: Group of each step, such as its position, integers of the same shape from 0.
        num_groups: Number of groups.
        batch_size: Sequences per batch. Defaults to 100.

    Returns:
        Perplexity of all characters, and float64 of shape `(num_groups,)`; NaN for a group without
        characters.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.perplexity import sequence_perplexity
    >>> from dlrecipes.models import character_lm
    >>> from dlrecipes.training import CharacterLanguageModel
    >>> network = character_lm(3, units=4, seed=1)
    >>> model = CharacterLanguageModel(network, 8, ["[start]", "a", "b"])
    >>> inputs, targets = {"characters": np.array([[0, 1, 2]])}, np.array([[1, 2, 0]])
    >>> total, by_step = sequence_perplexity(model, inputs, targets, np.array([[0, 1, 2]]), 3)
    >>> round(total), by_step.round().tolist()
    (3, [3.0, 3.0, nan])
    """
    losses = _losses(model)
    totals, counts = np.zeros(num_groups), np.zeros(num_groups)
    for start in range(0, len(targets), batch_size):
        rows = slice(start, start + batch_size)
        batch = {name: tf.constant(array[rows]) for name, array in inputs.items()}
        real = targets[rows] > 0
        values = losses(batch, tf.constant(targets[rows])).numpy()[real]
        totals += np.bincount(groups[rows][real], values, num_groups)
        counts += np.bincount(groups[rows][real], minlength=num_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.exp(totals.sum() / counts.sum())), np.exp(totals / counts)


@functools.lru_cache(maxsize=1)
def _losses(model: keras.Model) -> Callable[..., tf.Tensor]:
    """Returns the function of inputs and targets, traced once for all parts of the data."""

    @tf.function(reduce_retracing=True, autograph=False)
    def losses(inputs, targets):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, model.scores(inputs))

    return losses
