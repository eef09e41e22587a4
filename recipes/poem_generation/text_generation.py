"""Continuation of a text in TensorFlow's graph: strings in, strings out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from dlrecipes.samplers import choose, uniform
from dlrecipes.training import CharacterLanguageModel

from . import requests
from .decoding import complete, split_characters, unknown_characters
from .encoding import SPECIAL

# Characters that a text without a prompt continues.
BREAKS = ("\n", " ", "。", ".")


def first_id(vocabulary: Sequence[str]) -> int:
    """Returns the id of the character that a text without a prompt continues."""
    known = [vocabulary.index(mark) for mark in BREAKS if mark in vocabulary]
    return known[0] if known else len(SPECIAL)


class Writer:
    """Continues texts with a model, in functions for tracing.

    Args:
        model: Language model of a text.
        defaults: `temperature`, `top_k` and `top_p` for requests without them.
    """

    def __init__(self, model: CharacterLanguageModel, defaults: Mapping[str, Any]):
        self.model = model
        self.defaults = {**requests.DEFAULTS["text"], **defaults}

    def write(self, **request: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns texts for a batch of requests; missing fields have their defaults.

        Returns:
            `text`, the prompt and its continuation; and `problem`, the reason for a missing text,
            or an empty string.
        """
        request = dict(complete(request, "text", self.defaults))
        prompt = split_characters(self.model, request["prompt"])
        problem = unknown_characters(prompt, "prompt")
        length = prompt.count + tf.maximum(request["length"], 0)
        longest = tf.reduce_max(tf.concat([length, [0]], 0))
        given = tf.pad(tf.maximum(prompt.ids, 0), [[0, 0], [0, longest]])
        allowed = tf.range(len(self.model.vocabulary))[None] >= len(SPECIAL)

        def choose_character(number, scores, carried):
            scores /= request["temperature"][:, None]
            uniforms = uniform(request["seed"], tf.cast(number, tf.int64))
            ids = choose(scores, allowed, request["top_k"], request["top_p"], uniforms)
            return tf.where(number < prompt.count, given[:, number], ids), carried

        start = tf.fill(tf.shape(length), first_id(self.model.vocabulary))
        ids = self.model.generate(start, longest, choose_character)
        shown = (tf.range(longest)[None] < length[:, None]) & (problem == "")[:, None]
        text = tf.where(shown, tf.gather(tf.constant(self.model.vocabulary), ids), "")
        return {"text": tf.strings.reduce_join(text, axis=1), "problem": problem}
