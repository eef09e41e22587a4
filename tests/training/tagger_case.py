"""Sentences and a small tagger for the tests of sequence tagging."""

import itertools

import numpy as np
import pytest

from dlrecipes.data.text import TextEncoder
from dlrecipes.models import tagger
from dlrecipes.training import SequenceTagger

TAGS = ("O", "B-from", "B-to", "I-to")
INTENTS = ("flight", "fare")
ENCODER = TextEncoder.fit([["from", "Rome", "to", "New", "York"], ["to", "Oslo"]])
LENGTHS = (4, 1, 3)
RNG = np.random.default_rng(0)
MASK = np.arange(4) < np.array(LENGTHS)[:, None]
WORDS = np.where(MASK, RNG.integers(1, ENCODER.num_words, (3, 4)), 0).astype("int32")
each_output = pytest.mark.parametrize("output", ["softmax", "crf"])


def new_tagger(output="crf", intents=(), intent_weight=1.0, **kwargs):
    """Returns a model with random weights, including the CRF's."""
    settings = {"word_units": 4, "units": 4, "cell": "elman", "seed": 1, **kwargs}
    network = tagger(
        ENCODER.num_words,
        len(TAGS),
        num_ngrams=ENCODER.num_ngrams,
        num_intents=len(intents),
        **settings,
    )
    model = SequenceTagger(network, ENCODER, TAGS, intents, output, intent_weight)
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(0, 0.7, w.shape) for w in model.get_weights()])
    return model


def scores(model, words=WORDS):
    return {name: np.array(y, "float64") for name, y in model({"words": words}).items()}


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def path_score(model, x, path):
    transitions, start, end = (
        np.array(w, "float64") for w in (model.crf.transitions, model.crf.start, model.crf.end)
    )
    moves = sum(transitions[a, b] for a, b in itertools.pairwise(path))
    return start[path[0]] + x[np.arange(len(path)), path].sum() + moves + end[path[-1]]
