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
    "DetectionError": "box_errors",
    "PrecisionRecall": "detection_curves",
    "Reliability": "classification",
    "ScoreThreshold": "detection_curves",
    "SpanF1": "span_f1",
    "accuracy_interval": "classification",
    "best_score_threshold": "detection_curves",
    "class_scores": "classification",
    "classification_metrics": "classification",
    "confusion_matrix": "classification",
    "copied_lines": "prosody",
    "count_macs": "cost",
    "detection_confusion": "detection",
    "detection_errors": "box_errors",
    "detection_metrics": "detection",
    "distinct_2": "prosody",
    "precision_recall_curves": "detection_curves",
    "proposal_recall": "detection",
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
    "DetectionError",
    "PrecisionRecall",
    "Reliability",
    "ScoreThreshold",
    "SpanF1",
    "SpanScores",
    "accuracy_interval",
    "best_score_threshold",
    "class_scores",
    "classification_metrics",
    "confusion_matrix",
    "copied_lines",
    "count_macs",
    "detection_confusion",
    "detection_errors",
    "detection_metrics",
    "distinct_2",
    "is_well_formed",
    "precision_recall_curves",
    "proposal_recall",
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
