import doctest
import math
import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from seqeval.metrics.sequence_labeling import (
    accuracy_score,
    get_entities,
    precision_recall_fscore_support,
)
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_scores

from dlrecipes.metrics import (
    SpanScores,
    span_scores,
    spans,
    strict_spans,
    tag_spans,
    token_accuracy,
)

TAGS = ["O", "O", "B-a", "I-a", "B-b", "I-b", "B-c-d", "I-c-d"]


def random_tags(generator, tags=TAGS, sentences=6, longest=9):
    """Returns random tags, many of them malformed, and a prediction that matches most of them."""
    gold = [generator.choices(tags, k=generator.randint(1, longest)) for _ in range(sentences)]
    predicted = [
        [tag if generator.random() < 0.7 else generator.choice(tags) for tag in gold_tags]
        for gold_tags in gold
    ]
    return gold, predicted


def test_examples_in_docstrings_run():
    assert doctest.testmod(spans).attempted > 0
    assert doctest.testmod(spans).failed == 0


def test_importing_the_span_scores_loads_neither_keras_nor_tensorflow():
    code = "import sys, dlrecipes.metrics; assert not {'keras', 'tensorflow'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_unknown_metric_raises_an_attribute_error():
    import dlrecipes.metrics

    with pytest.raises(AttributeError, match="SpanF2"):
        _ = dlrecipes.metrics.SpanF2


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([], []),
        (["O", "O"], []),
        (["B-a", "I-a", "O"], [("a", 0, 2)]),
        (["B-a", "B-a"], [("a", 0, 1), ("a", 1, 2)]),
        (["O", "I-a", "I-a"], [("a", 1, 3)]),
        (["I-a"], [("a", 0, 1)]),
        (["B-a", "I-b", "I-b"], [("a", 0, 1), ("b", 1, 3)]),
        (["I-a", "B-a", "I-a"], [("a", 0, 1), ("a", 1, 3)]),
        (["B-x.y-z", "I-x.y-z"], [("x.y-z", 0, 2)]),
    ],
)
def test_spans_open_and_close_as_in_conlleval(tags, expected):
    assert tag_spans(tags) == expected


@pytest.mark.parametrize("tag", ["city", "X-city", "B-", "B", "", "E-city", "O-city", "b-city"])
def test_tag_that_is_not_bio_is_rejected(tag):
    with pytest.raises(ValueError, match=f"'{tag}' is not a BIO tag"):
        tag_spans(["O", tag])


def test_scores_match_a_manual_count():
    gold = [["B-a", "I-a", "O", "B-b"], ["O", "B-b", "O"], ["B-a", "O", "O"]]
    guess = [["B-a", "O", "O", "B-b"], ["B-c", "B-b", "I-b"], ["B-a", "O", "O"]]
    # Gold: a, b | b | a. Predicted: a (too short), b | c, b (too long) | a.
    scores = span_scores(gold, guess)
    assert (scores.support, scores.predicted, scores.correct) == (4, 5, 2)
    assert scores.precision == pytest.approx(2 / 5)
    assert scores.recall == pytest.approx(2 / 4)
    assert scores.f1 == pytest.approx(2 * 0.4 * 0.5 / 0.9)
    assert list(scores.by_slot) == ["a", "b", "c"]
    assert scores.by_slot["a"] == SpanScores(0.5, 0.5, 0.5, support=2, predicted=2, correct=1)
    assert scores.by_slot["c"] == SpanScores(0.0, 0.0, 0.0, support=0, predicted=1, correct=0)


def test_scores_agree_with_seqeval_on_random_tags():
    generator = random.Random(0)
    for _ in range(400):
        gold, predicted = random_tags(generator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            micro = precision_recall_fscore_support(gold, predicted, average="micro")
            by_slot = precision_recall_fscore_support(gold, predicted, average=None)
            accuracy = accuracy_score(gold, predicted)
        scores = span_scores(gold, predicted)
        overall = (scores.precision, scores.recall, scores.f1, scores.support)
        assert overall == pytest.approx(micro, abs=1e-12)
        slots = sorted({slot for tags in (*gold, *predicted) for slot, _, _ in get_entities(tags)})
        assert list(scores.by_slot) == slots
        for k, slot in enumerate(scores.by_slot.values()):
            expected = [column[k] for column in by_slot]
            slot_scores = (slot.precision, slot.recall, slot.f1, slot.support)
            assert slot_scores == pytest.approx(expected, abs=1e-12)
        assert token_accuracy(gold, predicted) == pytest.approx(accuracy, abs=1e-12)


def test_spans_agree_with_seqeval_on_random_tags():
    generator = random.Random(1)
    for _ in range(1000):
        tags = generator.choices(TAGS, k=generator.randint(1, 12))
        expected = [(slot, start, end + 1) for slot, start, end in get_entities(tags)]
        assert tag_spans(tags) == expected


STRICT = {
    "IOB2": ["O", "B-a", "I-a", "B-b", "I-b"],
    "IOBES": ["O", "B-a", "I-a", "E-a", "S-a", "B-b", "I-b", "E-b", "S-b"],
    "BILOU": ["O", "B-a", "I-a", "L-a", "U-a", "B-b", "I-b", "L-b", "U-b"],
}


@pytest.mark.parametrize("scheme", STRICT)
def test_strict_scores_agree_with_seqeval_on_random_tags(scheme):
    import seqeval.scheme

    generator = random.Random(3)
    correct = 0
    for _ in range(200):
        gold, predicted = random_tags(generator, STRICT[scheme])
        their = getattr(seqeval.scheme, scheme)
        entities = seqeval.scheme.Entities(gold, their).entities
        assert [strict_spans(tags, scheme) for tags in gold] == [
            [(entity.tag, entity.start, entity.end) for entity in each] for each in entities
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            micro = strict_scores(gold, predicted, average="micro", scheme=their)
        scores = span_scores(gold, predicted, mode="strict", scheme=scheme)
        overall = (scores.precision, scores.recall, scores.f1, scores.support)
        assert overall == pytest.approx(micro, abs=1e-12)
        correct += scores.correct
    assert correct > 100


@pytest.mark.parametrize(
    ("scheme", "tags", "expected"),
    [
        ("BMES", ["B-a", "M-a", "E-a", "S-a"], [("a", 0, 3), ("a", 3, 4)]),
        ("BMEWO", ["B-a", "E-a", "W-a"], [("a", 0, 2), ("a", 2, 3)]),
        ("BIOS", ["B-a", "I-a", "S-a", "B-a", "O"], [("a", 0, 2), ("a", 2, 3)]),
        ("BIOE", ["B-a", "I-a", "E-a", "B-a", "I-a"], [("a", 0, 3)]),
        ("BIOE", ["B-a", "B-a", "E-a"], [("a", 0, 1), ("a", 1, 3)]),
        ("BIO", [], []),
    ],
)
def test_strict_spans_of_other_schemes(scheme, tags, expected):
    assert strict_spans(tags, scheme) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "lenient"}, "mode must be one of conlleval, strict, not 'lenient'"),
        ({"scheme": "IOBES"}, "scheme='IOBES' has no effect without mode='strict'"),
        ({"mode": "strict", "scheme": "IOBS"}, "scheme must be one of BIO, IOB1"),
        ({"mode": "strict", "scheme": "IOB1"}, "IOB1 has no strict spans"),
        ({"mode": "strict", "scheme": "BILOU"}, "'E-a' is not a tag of BILOU"),
    ],
)
def test_modes_and_schemes_that_do_not_fit_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        span_scores([["B-a", "E-a"]], [["O", "O"]], **options)


def test_counts_of_slots_add_up_to_the_overall_counts():
    scores = span_scores(*random_tags(random.Random(2), sentences=50))
    for count in ("support", "predicted", "correct"):
        assert getattr(scores, count) == sum(getattr(s, count) for s in scores.by_slot.values())


@pytest.mark.parametrize(
    ("gold", "predicted"),
    [([["B-a"]], [["O"]]), ([["O"]], [["B-a"]]), ([["O"]], [["O"]]), ([["B-a"]], [["B-b"]])],
)
def test_f1_is_zero_if_nothing_is_correct(gold, predicted):
    scores = span_scores(gold, predicted)
    assert (scores.precision, scores.recall, scores.f1) == (0, 0, 0)


def test_span_ends_at_the_end_of_its_sentence():
    scores = span_scores([["B-a"], ["I-a"]], [["B-a"], ["B-a"]])
    assert (scores.support, scores.correct) == (2, 2)


@pytest.mark.parametrize("function", [span_scores, token_accuracy])
def test_empty_input_and_unequal_lengths_are_rejected(function):
    with pytest.raises(ValueError, match="No sentences"):
        function([], [])
    with pytest.raises(ValueError, match="gold has 2 sentences, but predicted has 1"):
        function([["O"], ["O"]], [["O"]])
    with pytest.raises(ValueError, match=r"Sentence 1 \(counted from 0\) has 2 gold tags but 1 pr"):
        function([["O"], ["O", "O"]], [["O"], ["O"]])


@pytest.mark.parametrize("function", [span_scores, token_accuracy])
@pytest.mark.parametrize("flat", [["O", "B-a"], "O", ("O",)])
def test_single_sentence_is_rejected_instead_of_read_as_characters(function, flat):
    with pytest.raises(ValueError, match="gold must be a list of sentences, each a list of tags"):
        function(flat, flat)
    with pytest.raises(ValueError, match="predicted must be a list of sentences"):
        function([["O"]] * len(flat), flat)


def test_accuracy_counts_words_not_sentences():
    assert token_accuracy([["O"], ["B-a", "I-a", "O"]], [["B-a"], ["B-a", "I-a", "O"]]) == 3 / 4
    with pytest.raises(ValueError, match="No words"):
        token_accuracy([[]], [[]])


def test_scores_are_never_nan():
    scores = span_scores([[]], [[]])
    assert not math.isnan(scores.f1) and scores.by_slot == {}
