"""Task metrics as their fields define them, independent of recipes."""

import importlib

from dlrecipes.metrics.spans import (
    SpanScores,
    is_well_formed,
    span_scores,
    strict_spans,
    tag_spans,
    token_accuracy,
)

# These load Keras or dictionaries, which takes seconds, and are therefore imported on first use.
_LAZY = {
    "ClassScores": "classification",
    "Reliability": "classification",
    "SpanF1": "span_f1",
    "accuracy_interval": "classification",
    "class_scores": "classification",
    "classification_metrics": "classification",
    "confusion_matrix": "classification",
    "copied_lines": "prosody",
    "count_macs": "cost",
    "distinct_2": "prosody",
    "prosody_scores": "prosody",
    "rank1": "verification",
    "receiver_operating_characteristic": "verification",
    "rejection_threshold": "rejection",
    "reliability": "classification",
    "sparsity": "weight_sparsity",
    "top_k_accuracy": "classification",
    "verification_accuracy": "verification",
}

__all__ = [
    "ClassScores",
    "Reliability",
    "SpanF1",
    "SpanScores",
    "accuracy_interval",
    "class_scores",
    "classification_metrics",
    "confusion_matrix",
    "copied_lines",
    "count_macs",
    "distinct_2",
    "is_well_formed",
    "prosody_scores",
    "rank1",
    "receiver_operating_characteristic",
    "rejection_threshold",
    "reliability",
    "span_scores",
    "sparsity",
    "strict_spans",
    "tag_spans",
    "token_accuracy",
    "top_k_accuracy",
    "verification_accuracy",
]


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(importlib.import_module(f"dlrecipes.metrics.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
