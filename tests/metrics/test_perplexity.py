import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.metrics.perplexity import text_perplexity
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
