"""Going on with a text of any language in TensorFlow's graph: strings in, strings out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.data.streams import stream_batches
from dlrecipes.samplers import choose, uniform
from dlrecipes.training import CharacterLanguageModel

from . import requests
from .encoding import SPECIAL

# What a text without a prompt goes on from.
BREAKS = ("\n", " ", "。", ".")
MEASURED_ROWS, MEASURED_STEPS = 64, 64


def first_id(vocabulary: Sequence[str]) -> int:
    """Returns the id that a text without a prompt goes on from."""
    known = [vocabulary.index(mark) for mark in BREAKS if mark in vocabulary]
    return known[0] if known else SPECIAL


class Writer:
    """Goes on with texts, as functions to be traced.

    Args:
        model: The language model.
        defaults: `temperature`, `top_k` and `top_p` where a request leaves them open.
    """

    def __init__(self, model: CharacterLanguageModel, defaults: Mapping[str, Any]):
        self.model = model
        self.defaults = {**requests.DEFAULTS["text"], **defaults}
        self.first = first_id(model.vocabulary)

    def write(self, **request: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns texts for requests, each a tensor of shape `(batch,)`; see `requests.TEXT`.

        Returns:
            `text`, the prompt and what follows; and `problem`, which says why there is none,
            or is empty.
        """
        batch = tf.shape(request["prompt"])[0]
        for name, (dtype, _) in requests.TEXT.items():
            if name not in request:
                request[name] = tf.fill([batch], tf.constant(self.defaults[name], dtype))
        ragged = tf.strings.unicode_split(request["prompt"], "UTF-8", errors="replace")
        padded = ragged.to_tensor("", shape=[None, None])
        read = tf.where(padded == "", 0, self.model.ids(padded))
        count = tf.cast(ragged.row_lengths(), tf.int32)
        strange = tf.strings.reduce_join(tf.where(read < 0, padded, ""), axis=1)
        problem = tf.strings.join(["The prompt has what is not in the vocabulary: ", strange, "."])
        problem = tf.where(strange != "", problem, "")
        asked = tf.maximum(request["length"], 0)
        found = self._loop(request, tf.maximum(read, 0), count, count + asked)
        text = tf.gather(tf.constant(self.model.vocabulary), found)
        steps = tf.range(tf.shape(found)[1])[None]
        inside = (steps < (count + asked)[:, None]) & (problem == "")[:, None]
        text = tf.strings.reduce_join(tf.where(inside, text, ""), axis=1)
        return {"text": text, "problem": problem}

    def _loop(self, request, read, count, last) -> tf.Tensor:
        size = len(self.model.vocabulary)
        batch = tf.shape(read)[0]
        total = tf.reduce_max(tf.concat([last, [0]], 0))
        given = tf.pad(read, [[0, 0], [0, total]])
        states = self.model.first_states(batch)
        flat = tf.nest.flatten(states)
        allowed = tf.broadcast_to(tf.range(size)[None] >= SPECIAL, [batch, size])
        ids = tf.TensorArray(tf.int32, total, element_shape=[None])

        def step(number, ids, before, *flat):
            packed = tf.nest.pack_sequence_as(states, flat)
            scores, after = self.model.step({"characters": before}, packed)
            scores /= request["temperature"][:, None]
            drawn = uniform(request["seed"], number)
            found = choose(scores, allowed, request["top_k"], request["top_p"], drawn)
            found = tf.where(number < count, given[:, number], found)
            return number + 1, ids.write(number, found), found, *tf.nest.flatten(after)

        start = (tf.constant(0), ids, tf.fill([batch], self.first), *flat)
        shapes = [
            tf.TensorShape(None)
            if isinstance(x, tf.TensorArray)
            else tf.TensorShape([None, *x.shape[1:]] if x.shape.rank else [])
            for x in start
        ]
        _, ids, *_ = tf.while_loop(
            lambda number, *_: number < total, step, start, shape_invariants=tuple(shapes)
        )
        return tf.transpose(tf.ensure_shape(ids.stack(), [None, None]))


def encode(model: CharacterLanguageModel, text: str) -> np.ndarray:
    """Returns the ids of a text, int32; 1 for a character that the vocabulary does not have."""
    ids = {character: number for number, character in enumerate(model.vocabulary)}
    return np.array([ids.get(character, 1) for character in text], "int32")


def perplexity(model: CharacterLanguageModel, text: str) -> float:
    """Returns the perplexity a character of a text that is read in up to 64 parts."""
    ids = encode(model, text)
    length = min(MEASURED_STEPS, len(ids) - 1)
    rows = max(1, min(MEASURED_ROWS, (len(ids) - 1) // length))

    @tf.function(reduce_retracing=True)
    def losses(x, y, flat):
        packed = tf.nest.pack_sequence_as(first, flat)
        scores, states = model.piece({"characters": x}, packed)
        found = tf.nn.sparse_softmax_cross_entropy_with_logits(y, scores)
        return tf.reduce_sum(found), tf.nest.flatten(states)

    first = model.first_states(rows)
    flat, total, count = tf.nest.flatten(first), 0.0, 0
    for x, y in stream_batches(ids, rows, length):
        found, flat = losses(x, y, flat)
        total, count = total + float(found), count + int(tf.size(y))
    return float(np.exp(total / count))
