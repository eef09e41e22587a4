"""Perplexity of a text under a character language model that carries its states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from dlrecipes.data.streams import stream_batches

if TYPE_CHECKING:
    from dlrecipes.training import CharacterLanguageModel


def text_perplexity(
    model: CharacterLanguageModel, ids: np.ndarray, streams: int = 64, steps: int = 64
) -> float:
    """Returns the per-character perplexity of one long text.

    The text is read as parallel streams, each of which carries the model's states from batch to
    batch. Characters that do not fill a batch are left out (see `stream_steps`).

    Args:
        model: Language model whose network reads characters alone.
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
