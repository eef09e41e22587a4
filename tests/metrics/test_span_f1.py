import doctest
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.metrics import SpanF1, span_f1, span_scores

NAMES = ["O", "B-a", "I-a", "B-b", "I-b", "I-c"]


def as_tags(ids, unseen="I-unseen"):
    return [NAMES[i] if 0 <= i < len(NAMES) else unseen for i in ids]


def random_batch(seed, sentences=12, longest=10, unseen=False):
    """Returns right-padded gold and predicted ids, their mask, and both as tag sequences."""
    generator = random.Random(seed)
    gold_ids = range(len(NAMES) + unseen)
    lengths = [generator.randint(1, longest) for _ in range(sentences)]
    gold = [[generator.choice(gold_ids) for _ in range(n)] for n in lengths]
    guess = [
        [i if i < len(NAMES) and generator.random() < 0.7 else generator.randrange(6) for i in ids]
        for ids in gold
    ]
    width = max(lengths)
    # Random padding, which must not change the result.
    padded = [
        np.array([[*ids, *generator.choices(range(6), k=width - len(ids))] for ids in side])
        for side in (gold, guess)
    ]
    mask = np.array([[k < n for k in range(width)] for n in lengths])
    return padded, mask, [as_tags(ids) for ids in gold], [as_tags(ids) for ids in guess]


def test_examples_in_docstrings_run():
    assert doctest.testmod(span_f1).attempted > 0
    assert doctest.testmod(span_f1).failed == 0


@pytest.mark.parametrize("unseen", [False, True])
def test_result_equals_span_scores_over_all_batches(unseen):
    metric = SpanF1(NAMES)
    gold, guess = [], []
    for seed in range(40):
        (y_true, y_pred), mask, gold_tags, guess_tags = random_batch(seed, unseen=unseen)
        metric.update_state(y_true, y_pred, mask)
        gold, guess = gold + gold_tags, guess + guess_tags
        expected = span_scores(gold, guess)
        assert float(metric.support) == expected.support
        assert float(metric.predicted) == expected.predicted
        assert float(metric.correct) == expected.correct
        assert float(metric.result()) == pytest.approx(expected.f1, abs=1e-6)
    assert 0.2 < expected.f1 < 0.9


def test_without_a_mask_every_word_counts():
    metric = SpanF1(NAMES)
    for seed in range(10):
        (y_true, y_pred), _, _, _ = random_batch(seed)
        metric.reset_state()
        metric.update_state(y_true, y_pred)
        expected = span_scores([as_tags(ids) for ids in y_true], [as_tags(ids) for ids in y_pred])
        assert float(metric.result()) == pytest.approx(expected.f1, abs=1e-6)


def test_weight_per_sentence_excludes_whole_sentences():
    metric = SpanF1(NAMES)
    metric.update_state([[1, 2], [1, 0]], [[1, 2], [0, 1]], [1.0, 0.0])
    assert float(metric.result()) == 1.0
    assert float(metric.support) == 1.0


def test_reset_forgets_earlier_batches():
    metric = SpanF1(NAMES)
    metric.update_state([[1, 2]], [[3, 4]])
    assert float(metric.result()) == 0
    metric.reset_state()
    metric.update_state([[1, 2]], [[1, 2]])
    assert float(metric.result()) == 1


def test_result_is_zero_before_any_span():
    metric = SpanF1(NAMES)
    assert float(metric.result()) == 0
    metric.update_state([[0, 0]], [[0, 0]])
    assert float(metric.result()) == 0


@pytest.mark.parametrize("jit_compile", [False, True])
def test_works_in_a_graph_of_unknown_batch_and_time(jit_compile):
    metric, eager = SpanF1(NAMES), SpanF1(NAMES)
    ids = tf.TensorSpec((None, None), tf.int32)

    @tf.function(
        input_signature=[ids, ids, tf.TensorSpec((None, None), tf.bool)], jit_compile=jit_compile
    )
    def step(y_true, y_pred, mask):
        metric.update_state(y_true, y_pred, mask)
        return metric.result()

    for seed, longest in ((0, 3), (1, 9), (2, 1)):
        (y_true, y_pred), mask, _, _ = random_batch(seed, longest=longest, unseen=True)
        eager.update_state(y_true, y_pred, mask)
        result = step(y_true.astype("int32"), y_pred.astype("int32"), mask)
        assert float(result) == pytest.approx(float(eager.result()), abs=1e-6)


def test_batch_without_words_adds_nothing():
    metric = SpanF1(NAMES)
    metric.update_state(np.zeros((2, 0), "int32"), np.zeros((2, 0), "int32"))
    assert float(metric.support) == 0


def test_unseen_tags_are_spans_that_no_prediction_matches():
    metric = SpanF1(NAMES)
    # Two gold runs of unseen tags; a prediction with the same unseen id does not match them.
    metric.update_state([[6, 6, 0, 6, 1]], [[6, 6, 0, 0, 1]])
    counts = [float(v) for v in (metric.support, metric.predicted, metric.correct)]
    assert counts == [3, 2, 1]


def test_config_round_trip_keeps_the_names():
    metric = SpanF1(NAMES, name="slots")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert isinstance(again, SpanF1)
    assert (again.name, again.tag_names, again.dtype) == ("slots", tuple(NAMES), "float32")
    again.update_state([[1, 2]], [[1, 2]])
    assert float(again.result()) == 1


def test_counts_stay_exact_in_half_precision():
    metric = SpanF1(NAMES, dtype="float16")
    ones = np.ones((3, 1001), "int32")
    metric.update_state(ones, ones)
    assert float(metric.correct) == 3003
    assert keras.backend.standardize_dtype(metric.result().dtype) == "float16"


@pytest.mark.parametrize("bad", ["city", "X-city", "B-", "B"])
def test_name_that_is_not_bio_is_rejected(bad):
    with pytest.raises(ValueError, match=f"has '{bad}', which is not O"):
        SpanF1(["O", bad])


def test_repeated_names_are_rejected():
    with pytest.raises(ValueError, match="'B-a' more than once"):
        SpanF1(["O", "B-a", "B-a"])


def test_scores_instead_of_ids_are_rejected():
    with pytest.raises(ValueError, match=r"y_pred must have shape \(batch, time\)"):
        SpanF1(NAMES).update_state([[1, 2]], np.zeros((1, 2, 6)))
