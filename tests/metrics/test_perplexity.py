import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.metrics.perplexity import sequence_perplexity, text_perplexity
from dlrecipes.models import character_lm
from dlrecipes.training import CharacterLanguageModel

IDS = np.random.default_rng(0).integers(1, 4, 41).astype("int32")


@pytest.fixture(scope="module")
def model():
    network = character_lm(4, units=5, embedding_units=3, seed=1)
    for weight in network.weights:
        weight.assign(3 * weight)
    return CharacterLanguageModel(network, 8, ["[start]", "a", "b", "c"])


def cross_entropy(model, ids):
    """Returns the summed loss of a sequence that is read at once from the first state."""
    scores = model.scores({"characters": ids[None, :-1]})[0]
    return float(tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(ids[1:], scores)))


def test_one_stream_is_the_perplexity_of_the_whole_text(model):
    expected = np.exp(cross_entropy(model, IDS) / 40)
    # Batches of 10 steps: the states are carried from one to the next.
    assert text_perplexity(model, IDS, streams=1, steps=10) == pytest.approx(expected, rel=1e-5)


def test_streams_are_parts_of_the_text(model):
    total = cross_entropy(model, IDS[:21]) + cross_entropy(model, IDS[20:])
    expected = np.exp(total / 40)
    assert text_perplexity(model, IDS, streams=2, steps=5) == pytest.approx(expected, rel=1e-5)


def test_a_short_text_has_fewer_streams(model):
    expected = np.exp(cross_entropy(model, IDS[:4]) / 3)
    assert text_perplexity(model, IDS[:4]) == pytest.approx(expected, rel=1e-5)


def test_padded_sequences_count_their_characters_overall_and_by_group(model):
    ids = IDS[:30].reshape(3, 10)
    inputs, targets = {"characters": ids[:, :-1]}, ids[:, 1:].copy()
    targets[1, 4:] = 0
    groups = np.tile([0, 0, 0, 0, 1, 1, 1, 1, 1], (3, 1))
    total, by_group = sequence_perplexity(model, inputs, targets, groups, 3, batch_size=2)
    losses = [cross_entropy(model, row) for row in (ids[0], ids[1, :5], ids[2])]
    assert total == pytest.approx(np.exp(sum(losses) / 22), rel=1e-5)
    first = sum(cross_entropy(model, row[:5]) for row in ids)
    assert by_group[0] == pytest.approx(np.exp(first / 12), rel=1e-5)
    assert by_group[1] == pytest.approx(np.exp((sum(losses) - first) / 10), rel=1e-5)
    assert np.isnan(by_group[2])
