"""Scores of tagged spans, computed like those of the CoNLL-2000 script conlleval."""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dlrecipes.data.tag_schemes import SCHEMES, check_tags

MODES = ("conlleval", "strict")
# seqeval's names of schemes.
_ALIASES = {"IOB2": "BIO"}
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


def strict_spans(tags: Tags, scheme: str = "BIO") -> list[Span]:
    """Returns the spans of one sentence that follow their scheme, in order.

    Unlike in `tag_spans`, `I-` never opens a span; and in schemes that mark the last word, such as
    IOBES, neither `B-` nor `I-` ends one. Words of other tags belong to no span, as in seqeval's
    strict mode.

    Args:
        tags: Tags of each word; may be empty.
        scheme: One of `data.tag_schemes.SCHEMES` except IOB1, or `"IOB2"`, the same as `"BIO"`.
            Defaults to `"BIO"`.

    Returns:
        `(slot, start, end)` of each span; it covers the words `start` to `end - 1`,
        counted from 0.

    Raises:
        ValueError: If the scheme is unknown or IOB1, or a tag does not belong to it.

    Example:

    >>> from dlrecipes.metrics import strict_spans
    >>> strict_spans(["B-city", "E-city", "S-day", "B-day", "O", "I-city"], "IOBES")
    [('city', 0, 2), ('day', 2, 3)]

    Reference:
        Nakayama, 2018, "seqeval: a Python framework for sequence labeling evaluation".
        https://github.com/chakki-works/seqeval
    """
    name = _ALIASES.get(scheme, scheme)
    if name == "IOB1":
        raise ValueError("IOB1 has no strict spans, since I- may open one: use BIO.")
    check_tags(tags, name)
    begin, inside, *closing = list(SCHEMES[name])
    single, last = (
        [p for p in closing if (p in "SUW") == is_single] for is_single in (True, False)
    )
    spans, position = [], 0
    while position < len(tags):
        start, (prefix, _, slot) = position, tags[position].partition("-")
        position += 1
        # Where spans of one word have no prefix of their own, B- is one.
        is_closed = prefix in single or (prefix == begin and not single)
        if prefix == begin:
            while position < len(tags) and tags[position] == f"{inside}-{slot}":
                position += 1
                is_closed = not last
            if position < len(tags) and tags[position] in [f"{p}-{slot}" for p in last]:
                position += 1
                is_closed = True
        if is_closed:
            spans.append((slot, start, position))
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


def span_scores(
    gold: Sequence[Tags],
    predicted: Sequence[Tags],
    mode: str = "conlleval",
    scheme: str | None = None,
) -> SpanScores:
    """Returns micro-averaged scores of predicted spans, overall and for each slot.

    A predicted span is correct if its slot, start and end match a gold span.

    Args:
        gold: Tags of each sentence, in the format of `tag_spans` or, in strict mode, of
            `strict_spans`.
        predicted: Predicted tags of the same sentences.
        mode: `"conlleval"` for the spans of `tag_spans`, or `"strict"` for those of
            `strict_spans`. Defaults to `"conlleval"`.
        scheme: Scheme of the tags in strict mode, such as `"IOB2"` or `"IOBES"`. Defaults to
            `None`, BIO.

    Returns:
        The scores over all sentences, with `by_slot` for every slot of either side.

    Raises:
        ValueError: If there are no sentences, a sentence is a string, the lengths differ, a tag
            does not belong to the scheme, the mode or the scheme is unknown, or a scheme is given
            outside of strict mode.

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
    spans_of = _reader(mode, scheme)
    _check_lengths(gold, predicted)
    support: Counter[str] = Counter()
    guesses: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        gold_spans, predicted_spans = spans_of(gold_tags), spans_of(predicted_tags)
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


def _reader(mode: str, scheme: str | None) -> Callable[[Tags], list[Span]]:
    """Returns the function from tags to spans."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}.")
    if mode == "strict":
        return functools.partial(strict_spans, scheme=scheme or "BIO")
    if scheme is not None:
        raise ValueError(f"scheme={scheme!r} has no effect without mode='strict'.")
    return tag_spans


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
