"""Metrics of quatrains: perplexity, and how well generated poems keep the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlrecipes.data.quatrains import Poem
from dlrecipes.data.quatrains.encoding import CONDITIONS, NO_RHYME
from dlrecipes.metrics.perplexity import sequence_perplexity
from dlrecipes.metrics.prosody import copied_lines, distinct_2, prosody_scores
from dlrecipes.training import CharacterLanguageModel

from . import encoding, requests

# Requests by metric group: tones and rhyme enforced, inputs only, or neither.
MODES: dict[str, dict[str, Any]] = {
    "constrained": {"enforce": True},
    "unconstrained": {"enforce": False},
    "unconditional": {"enforce": False, "template": requests.NO_TEMPLATE},
}


def perplexities(
    model: CharacterLanguageModel, examples: Sequence[Poem], conditional: bool = True
) -> tuple[float, np.ndarray]:
    """Returns the per-character perplexity of quatrains, overall and by place.

    Tones and rhyme are inputs unless `conditional` is false.
    """
    inputs = encoding.encode(model, examples)
    targets = inputs.pop("targets")
    if not conditional:
        inputs["tone"][:] = 0
        inputs["rhyme"][:] = NO_RHYME
    return sequence_perplexity(model, inputs, targets, inputs["place"], CONDITIONS["place"])


def generation_scores(
    generate: Callable[..., dict[str, np.ndarray]], training: Sequence[Poem]
) -> dict[str, dict[str, Any]]:
    """Returns the scores of generated poems by metric group.

    Args:
        generate: Function from a mode's request to the outputs of `Poet.write`.
        training: Training poems, which lines may be copied from.
    """
    scores = {}
    for name, request in MODES.items():
        poems = [[line.decode() for line in row] for row in generate(**request)["lines"]]
        scores[name] = {
            **prosody_scores(poems),
            "distinct_2": distinct_2(poems),
            "copied_lines": copied_lines(poems, training),
        }
    return scores
