"""Span F1 as a Keras metric, for early stopping."""

from collections.abc import Sequence

import keras
from keras import ops

OUTSIDE, BEGIN, INSIDE = 0, 1, 2
_PREFIXES = {"B": BEGIN, "I": INSIDE}
# Marks positions without a span; larger than the length of any sentence.
_NONE = 2**30


@keras.saving.register_keras_serializable(package="dlrecipes")
class SpanF1(keras.metrics.Metric):
    """Micro-averaged F1 of the spans of BIO tags, over all batches since the last reset.

    Spans are those of `metrics.spans.tag_spans`, and the result is the `f1` of `span_scores`,
    computed inside the graph. Padding is not part of a span. A gold id outside `tag_names` (a tag
    that does not occur in training) is a slot of its own, and a run of such ids is one span, which
    no prediction matches.

    Args:
        tag_names: BIO tags by id: `"O"`, `"B-slot"`, `"I-slot"`, without repeats.
        name: Metric name. Defaults to `"span_f1"`.
        dtype: Type of the result; the counts are float32. Defaults to `None`, Keras' float type.

    Call arguments:
        y_true: Integer gold ids of shape `(batch, time)`.
        y_pred: Predicted ids of the same shape: decoded tags, not scores.
        sample_weight: 0 for padding; any other weight counts as 1. Shape `(batch, time)`, or
            `(batch,)` for whole sentences. Defaults to `None`, no padding.

    Returns:
        A scalar in [0, 1]; 0 if no span is correct.

    Raises:
        ValueError: If a tag name is repeated or not BIO, or a shape is not `(batch, time)`.

    Example:

    >>> from dlrecipes.metrics import SpanF1
    >>> metric = SpanF1(["O", "B-city", "I-city"])
    >>> metric.update_state([[1, 2, 0, 1]], [[1, 2, 0, 0]])
    >>> round(float(metric.result()), 4)
    0.6667

    Reference:
        Tjong Kim Sang and Buchholz, 2000, "Introduction to the CoNLL-2000 shared task:
        chunking", section 4 (and its script, conlleval). https://arxiv.org/abs/cs/0009008
    """

    def __init__(self, tag_names: Sequence[str], name: str = "span_f1", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.tag_names = tuple(tag_names)
        self._kinds, self._slots = _tables(self.tag_names)
        self.support = self._count("support")
        self.predicted = self._count("predicted")
        self.correct = self._count("correct")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = ops.cast(ops.convert_to_tensor(y_true), "int32")
        y_pred = ops.cast(ops.convert_to_tensor(y_pred), "int32")
        for label, ids in (("y_true", y_true), ("y_pred", y_pred)):
            if len(ids.shape) != 2:
                raise ValueError(f"{label} must have shape (batch, time), not {ids.shape}.")
        mask = _mask(sample_weight, y_true)
        unseen = len(set(self._slots))
        gold = self._marks(y_true, mask, unseen)
        guess = self._marks(y_pred, mask, unseen + 1)
        self.support.assign_add(_total(gold[0]))
        self.predicted.assign_add(_total(guess[0]))
        self.correct.assign_add(_total(_matches(gold, guess)))

    def result(self):
        spans = ops.convert_to_tensor(self.support + self.predicted)
        f1 = 2.0 * self.correct / ops.maximum(spans, 1.0)
        return ops.cast(f1, self.dtype)

    def get_config(self):
        return {**super().get_config(), "tag_names": list(self.tag_names)}

    def _count(self, name: str):
        # float32 under every policy: float16 stops counting at 2,048.
        return self.add_variable((), "zeros", dtype="float32", name=name)

    def _marks(self, ids, mask, unseen: int):
        """Returns where spans start, where they end (their last word), and each word's slot."""
        known = ops.logical_and(ids >= 0, ids < len(self.tag_names))
        ids = ops.where(known, ids, len(self.tag_names))
        # An unseen tag continues a span of its own kind, so that a run of them is one span.
        kinds = ops.take(ops.convert_to_tensor([*self._kinds, INSIDE], "int32"), ids)
        slots = ops.take(ops.convert_to_tensor([*self._slots, unseen], "int32"), ids)
        kinds = ops.where(mask, kinds, OUTSIDE)
        inside = ops.not_equal(kinds, OUTSIDE)
        slots = ops.where(inside, slots, -1)
        changes = ops.not_equal(slots, _pad(slots[:, :-1], before=1, value=-1))
        starts = ops.logical_and(inside, ops.logical_or(ops.equal(kinds, BEGIN), changes))
        continues = ops.logical_and(inside, ops.logical_not(starts))
        next_continues = _pad(ops.cast(continues, "int32")[:, 1:], after=1, value=0)
        return starts, ops.logical_and(inside, ops.equal(next_continues, 0)), slots


def _tables(tag_names: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if len(set(tag_names)) != len(tag_names):
        repeated = next(tag for tag in tag_names if tag_names.count(tag) > 1)
        raise ValueError(f"tag_names has {repeated!r} more than once.")
    kinds, slots = [], []
    numbers: dict[str, int] = {}
    for tag in tag_names:
        prefix, _, slot = tag.partition("-")
        if tag != "O" and (prefix not in _PREFIXES or not slot):
            raise ValueError(f"tag_names has {tag!r}, which is not O, B-slot or I-slot.")
        kinds.append(_PREFIXES.get(prefix, OUTSIDE))
        slots.append(numbers.setdefault(slot, len(numbers)))
    return tuple(kinds), tuple(slots)


def _mask(sample_weight, ids):
    if sample_weight is None:
        return ops.ones_like(ids, dtype="bool")
    mask = ops.not_equal(ops.cast(ops.convert_to_tensor(sample_weight), "float32"), 0)
    mask = mask[:, None] if len(mask.shape) == 1 else mask
    return ops.logical_and(mask, ops.ones_like(ids, dtype="bool"))


def _pad(x, value: int, before: int = 0, after: int = 0):
    return ops.pad(x, ((0, 0), (before, after)), constant_values=value)


def _matches(gold, guess):
    """Returns, for each gold span, whether it is predicted; shape `(batch, time)`.

    A span is predicted if both sides agree on every word of it. Let `errors` count the words so
    far on which they differ: it must be the same before the span and at its end. It never
    decreases, so that sorting it pairs the k-th start with the k-th end, without a loop over
    time.
    """
    starts, ends, _ = gold
    differs = ops.zeros_like(starts)
    for gold_marks, guess_marks in zip(gold, guess, strict=True):
        differs = ops.logical_or(differs, ops.not_equal(gold_marks, guess_marks))
    differs = ops.cast(differs, "int32")
    errors = ops.cumsum(differs, axis=1)
    before = ops.sort(ops.where(starts, errors - differs, _NONE), axis=1)
    at_end = ops.sort(ops.where(ends, errors, _NONE), axis=1)
    return ops.logical_and(ops.equal(before, at_end), before < _NONE)


def _total(flags):
    return ops.sum(ops.cast(flags, "float32"))
