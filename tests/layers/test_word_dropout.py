"""Words become 'other' in training, and half of them also lose their n-grams."""

import numpy as np
import pytest
from keras import ops

from dlrecipes.layers import WordDropout

WORDS = np.tile(np.arange(2, 12, dtype="int32"), (400, 1))
NGRAMS = np.stack([WORDS, WORDS + 20, np.zeros_like(WORDS)], axis=-1)


def test_inference_changes_nothing():
    layer = WordDropout(0.9, seed=0)
    np.testing.assert_array_equal(layer(WORDS), WORDS)
    words, ngrams = layer([ops.array(WORDS), ops.array(NGRAMS)])
    np.testing.assert_array_equal(words, WORDS)
    np.testing.assert_array_equal(ngrams, NGRAMS)


def test_the_fraction_of_replaced_words_is_the_rate():
    dropped = np.asarray(WordDropout(0.25, seed=0)(WORDS, training=True))
    assert set(np.unique(dropped[dropped != WORDS])) == {1}
    # Four standard deviations of a binomial proportion.
    bound = 4 * np.sqrt(0.25 * 0.75 / WORDS.size)
    assert abs(np.mean(dropped != WORDS) - 0.25) < bound


def test_padding_is_never_replaced():
    dropped = np.asarray(WordDropout(0.99, seed=0)(np.zeros((50, 50), "int32"), training=True))
    assert not dropped.any()


def test_half_of_the_replaced_words_lose_their_ngrams():
    words, ngrams = WordDropout(0.4, seed=0)([ops.array(WORDS), ops.array(NGRAMS)], training=True)
    words, ngrams = np.asarray(words), np.asarray(ngrams)
    replaced = words != WORDS
    without_ngrams = (ngrams != NGRAMS).any(axis=-1)
    assert not (without_ngrams & ~replaced).any()
    assert abs(without_ngrams[replaced].mean() - 0.5) < 4 * np.sqrt(0.25 / replaced.sum())
    np.testing.assert_array_equal(np.unique(ngrams[without_ngrams], axis=0), [[1, 0, 0]])


def test_the_same_seed_drops_the_same_words():
    first, second = (np.asarray(WordDropout(0.5, seed=3)(WORDS, training=True)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, None, "0.5", False])
def test_rates_outside_0_to_1_raise(rate):
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\)"):
        WordDropout(rate)
