"""Metrics as their fields define them; they know nothing of recipes."""

from dlrecipes.metrics.spans import (
    SpanScores,
    is_well_formed,
    span_scores,
    tag_spans,
    token_accuracy,
)

__all__ = ["SpanF1", "SpanScores", "is_well_formed", "span_scores", "tag_spans", "token_accuracy"]


def __getattr__(name: str):
    # Scores of tags need no Keras, which takes seconds to load.
    if name == "SpanF1":
        from dlrecipes.metrics.span_f1 import SpanF1

        return SpanF1
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
