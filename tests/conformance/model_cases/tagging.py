"""Taggers of words."""

import numpy as np
from contract import ModelCase

from dlrecipes import models


def sentences(words: int, ngrams: int = 0):
    """Returns a function that makes ids of sentences; the second half of the last is padding."""

    def make(batch: int, time: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(batch)
        ids = rng.integers(1, words, (batch, time)).astype("int32")
        ids[-1, -(time // 2) or time :] = 0
        grams = rng.integers(1, max(ngrams, 2), (batch, time, 3)).astype("int32")
        return {"words": ids} | ({"ngrams": grams * (ids[..., None] != 0)} if ngrams else {})

    return make


def features(batch: int, time: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(batch)
    return {"features": rng.normal(size=(batch, 3)).astype("float32")}


SMALL = {"num_words": 7, "num_tags": 4, "units": 3, "word_units": 3, "seed": 1}
CASES = {
    "tagger": ModelCase("tagger", SMALL, sentences(7), ("tags",)),
    "tagger-with-all": ModelCase(
        "tagger",
        {
            **SMALL,
            "num_ngrams": 6,
            "num_intents": 2,
            "encoding": ("one_of_n", "hashing", "embedding"),
            "ngram_units": 3,
            "cell": "peephole_lstm",
            "depth": 2,
            "context": 1,
            "word_dropout": 0.2,
        },
        sentences(7, 6),
        ("tags", "intent"),
    ),
    **{
        f"tagger-{cell}": ModelCase(
            "tagger", {**SMALL, "num_intents": 2, "cell": cell}, sentences(7), ("tags", "intent")
        )
        for cell in ("feed_forward", "elman", "jordan", "gru")
    },
    "ensemble": ModelCase(
        "ensemble",
        lambda: {"networks": [models.tagger(**{**SMALL, "name": name}) for name in ("one", "two")]},
        sentences(7),
        ("tags",),
    ),
    "ensemble-plain": ModelCase(
        "ensemble",
        lambda: {"networks": [models.mlp((3,), 2, (4,), name=name) for name in ("one", "two")]},
        features,
        any_size=False,
    ),
}
