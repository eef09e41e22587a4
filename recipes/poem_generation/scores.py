"""How surprised a model is by quatrains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from dlrecipes.data.quatrains import Poem
from dlrecipes.training import CharacterLanguageModel

from . import encoding

EVALUATION_BATCH = 100


def perplexities(
    model: CharacterLanguageModel, examples: Sequence[Poem], told: bool = True
) -> tuple[float, np.ndarray]:
    """Returns the perplexity of all characters, and by place; nan where there is none.

    Args:
        model: The language model.
        examples: Quatrains.
        told: Whether the model is told of tones and rhyme.
    """
    arrays = encoding.of(tuple(model.vocabulary)).encode(examples)
    if not told:
        arrays["tone"][:] = 0
        arrays["rhyme"][:] = encoding.NO_RHYME
    targets = arrays.pop("targets")

    @tf.function(reduce_retracing=True)
    def losses(inputs, targets):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, model.scores(inputs))

    totals, counts = np.zeros(48), np.zeros(48)
    for start in range(0, len(examples), EVALUATION_BATCH):
        rows = slice(start, start + EVALUATION_BATCH)
        inputs = {name: tf.constant(array[rows]) for name, array in arrays.items()}
        found = losses(inputs, tf.constant(targets[rows])).numpy()
        real = targets[rows] > 0
        places = arrays["place"][rows][real]
        totals += np.bincount(places, found[real], 48)
        counts += np.bincount(places, minlength=48)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.exp(totals.sum() / counts.sum())), np.exp(totals / counts)
