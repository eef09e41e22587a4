"""Scores of tagged spans, computed like those of the CoNLL-2000 script conlleval."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

Span = tuple[str, int, int]
Tags = Sequence[str]


@dataclass(frozen=True)
class SpanScores:
    """Precision, recall and F1 of spans; a score with a zero denominator is 0.

    Args:
        precision: Fraction of the predicted spans that are correct, in [0, 1].
        recall: Fraction of the gold spans that are predicted, in [0, 1].
        f1: Harmonic mean of precision and recall, in [0, 1].
        support: Number of gold spans.
        predicted: Number of predicted spans.
        correct: Number of predicted spans whose slot, start and end match a gold span.
        by_slot: Scores of each slot, in alphabetical order; their own `by_slot` is empty.
    """

    precision: float
    recall: float
    f1: float
    support: int
    predicted: int
    correct: int
    by_slot: dict[str, "SpanScores"] = field(default_factory=dict)


def tag_spans(tags: Tags) -> list[Span]:
    """Returns the spans of one sentence's BIO (or IOB1) tags, in order.

    A `B-` tag opens a span. So does an `I-` tag that does not continue one: after `O`, after
    another slot, or at the start of the sentence.

    Args:
        tags: `"O"`, `"B-slot"` or `"I-slot"` for each word; may be empty.

    Returns:
        `(slot, start, end)` of each span; it covers the words `start` to `end - 1`,
        counted from 0.

    Raises:
        ValueError: If a tag is none of the three.

    Example:

    >>> from dlrecipes.metrics import tag_spans
    >>> tag_spans(["O", "B-city", "I-city", "B-city", "I-day"])
    [('city', 1, 3), ('city', 3, 4), ('day', 4, 5)]

    Reference:
        Ramshaw and Marcus, 1995, "Text chunking using transformation-based learning".
        https://arxiv.org/abs/cmp-lg/9505040
        Tjong Kim Sang and Buchholz, 2000, "Introduction to the CoNLL-2000 shared task:
        chunking". https://arxiv.org/abs/cs/0009008
    """
    spans = []
    slot, start = "", 0
    for position, tag in enumerate((*tags, "O")):
        prefix, name = _prefix_and_slot(tag)
        if slot and (prefix != "I" or name != slot):
            spans.append((slot, start, position))
            slot = ""
        if name and not slot:
            slot, start = name, position
    return spans


def is_well_formed(tags: Tags) -> bool:
    """Returns whether each `I-slot` continues a `B-slot` or `I-slot`, as BIO (IOB2) requires.

    Args:
        tags: `"O"`, `"B-slot"` or `"I-slot"` for each word of one sentence.

    Example:

    >>> from dlrecipes.metrics import is_well_formed
    >>> is_well_formed(["B-city", "I-city"]), is_well_formed(["O", "I-city"])
    (True, False)
    """
    pairs = zip(("O", *tags), tags, strict=False)
    return all(tag[:2] != "I-" or before[2:] == tag[2:] for before, tag in pairs)


def span_scores(gold: Sequence[Tags], predicted: Sequence[Tags]) -> SpanScores:
    """Returns micro-averaged scores of predicted spans, overall and for each slot.

    A predicted span is correct if its slot, start and end match a gold span.

    Args:
        gold: BIO tags of each sentence, in the format of `tag_spans`.
        predicted: Predicted tags of the same sentences.

    Returns:
        The scores over all sentences, with `by_slot` for every slot of either side.

    Raises:
        ValueError: If there are no sentences, a sentence is a string, the lengths differ, or a
            tag is not BIO.

    Example:

    >>> from dlrecipes.metrics import span_scores
    >>> gold = [["B-from", "I-from", "O", "B-to"], ["O", "B-to"]]
    >>> scores = span_scores(gold, [["B-from", "O", "O", "B-to"], ["O", "B-to"]])
    >>> scores.correct, scores.predicted, scores.support, round(scores.f1, 3)
    (2, 3, 3, 0.667)
    >>> scores.by_slot["from"].recall
    0.0

    Reference:
        Tjong Kim Sang and Buchholz, 2000, "Introduction to the CoNLL-2000 shared task:
        chunking", section 4. https://arxiv.org/abs/cs/0009008
    """
    _check_lengths(gold, predicted)
    support: Counter[str] = Counter()
    guesses: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        gold_spans, predicted_spans = tag_spans(gold_tags), tag_spans(predicted_tags)
        support.update(slot for slot, _, _ in gold_spans)
        guesses.update(slot for slot, _, _ in predicted_spans)
        hits.update(slot for slot, _, _ in set(gold_spans) & set(predicted_spans))
    by_slot = {
        slot: _scores(support[slot], guesses[slot], hits[slot])
        for slot in sorted(support.keys() | guesses.keys())
    }
    return _scores(support.total(), guesses.total(), hits.total(), by_slot)


def token_accuracy(gold: Sequence[Tags], predicted: Sequence[Tags]) -> float:
    """Returns the fraction of words whose predicted tag is correct, in [0, 1].

    Args:
        gold: Tags of each sentence.
        predicted: Predicted tags of the same sentences.

    Raises:
        ValueError: If there are no words, a sentence is a string, or the lengths differ.

    Example:

    >>> from dlrecipes.metrics import token_accuracy
    >>> token_accuracy([["O", "B-to"], ["O", "O"]], [["O", "B-to"], ["O", "B-to"]])
    0.75
    """
    _check_lengths(gold, predicted)
    words = sum(len(tags) for tags in gold)
    if not words:
        raise ValueError("No words to score: every sentence is empty.")
    correct = sum(
        a == b
        for gold_tags, predicted_tags in zip(gold, predicted, strict=True)
        for a, b in zip(gold_tags, predicted_tags, strict=True)
    )
    return correct / words


def _prefix_and_slot(tag: str) -> tuple[str, str]:
    prefix, _, slot = tag.partition("-")
    if tag != "O" and (prefix not in ("B", "I") or not slot):
        raise ValueError(f"{tag!r} is not a BIO tag: O, B-slot or I-slot.")
    return prefix, slot


def _scores(support: int, predicted: int, correct: int, by_slot=None) -> SpanScores:
    return SpanScores(
        precision=correct / predicted if predicted else 0.0,
        recall=correct / support if support else 0.0,
        # Equal to 2PR / (P + R), and also defined if P or R is not.
        f1=2 * correct / (support + predicted) if support + predicted else 0.0,
        support=support,
        predicted=predicted,
        correct=correct,
        by_slot=by_slot or {},
    )


def _check_lengths(gold: Sequence[Tags], predicted: Sequence[Tags]) -> None:
    for name, sentences in (("gold", gold), ("predicted", predicted)):
        # A string is also a sequence, of characters.
        if isinstance(sentences, str) or any(isinstance(tags, str) for tags in sentences):
            raise ValueError(
                f"{name} must be a list of sentences, each a list of tags, not of strings."
            )
    if len(gold) != len(predicted):
        raise ValueError(f"gold has {len(gold)} sentences, but predicted has {len(predicted)}.")
    if not gold:
        raise ValueError("No sentences to score: gold and predicted are empty.")
    for index, (gold_tags, predicted_tags) in enumerate(zip(gold, predicted, strict=True)):
        if len(gold_tags) != len(predicted_tags):
            raise ValueError(
                f"Sentence {index} (counted from 0) has {len(gold_tags)} gold tags "
                f"but {len(predicted_tags)} predicted tags."
            )
