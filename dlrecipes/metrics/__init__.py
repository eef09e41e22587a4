"""Metrics as their fields define them; they know nothing of recipes."""

import importlib

from dlrecipes.metrics.spans import (
    SpanScores,
    is_well_formed,
    span_scores,
    tag_spans,
    token_accuracy,
)

# These load what takes seconds, Keras or dictionaries: only when they are asked for.
_LATER = {
    "SpanF1": "span_f1",
    "copied_lines": "prosody",
    "count_macs": "cost",
    "distinct_2": "prosody",
    "prosody_scores": "prosody",
    "rank1": "verification",
    "receiver_operating_characteristic": "verification",
    "verification_accuracy": "verification",
}

__all__ = [
    "SpanF1",
    "SpanScores",
    "copied_lines",
    "count_macs",
    "distinct_2",
    "is_well_formed",
    "prosody_scores",
    "rank1",
    "receiver_operating_characteristic",
    "span_scores",
    "tag_spans",
    "token_accuracy",
    "verification_accuracy",
]


def __getattr__(name: str):
    if name in _LATER:
        return getattr(importlib.import_module(f"dlrecipes.metrics.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
