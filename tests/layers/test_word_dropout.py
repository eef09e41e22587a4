"""Words become 'other' in training, with their letters half of the time."""

import numpy as np
import pytest
from keras import ops

from dlrecipes.layers import WordDropout

WORDS = np.tile(np.arange(2, 12, dtype="int32"), (400, 1))
NGRAMS = np.stack([WORDS, WORDS + 20, np.zeros_like(WORDS)], axis=-1)


def test_nothing_changes_outside_training():
    layer = WordDropout(0.9, seed=0)
    np.testing.assert_array_equal(layer(WORDS), WORDS)
    words, ngrams = layer([ops.array(WORDS), ops.array(NGRAMS)])
    np.testing.assert_array_equal(words, WORDS)
    np.testing.assert_array_equal(ngrams, NGRAMS)


def test_the_share_replaced_is_the_rate():
    dropped = np.asarray(WordDropout(0.25, seed=0)(WORDS, training=True))
    assert set(np.unique(dropped[dropped != WORDS])) == {1}
    # Four standard deviations of a binomial share.
    bound = 4 * np.sqrt(0.25 * 0.75 / WORDS.size)
    assert abs(np.mean(dropped != WORDS) - 0.25) < bound


def test_padding_stays_padding():
    dropped = np.asarray(WordDropout(0.99, seed=0)(np.zeros((50, 50), "int32"), training=True))
    assert not dropped.any()


def test_letters_go_only_with_their_word_and_half_of_the_time():
    words, ngrams = WordDropout(0.4, seed=0)([ops.array(WORDS), ops.array(NGRAMS)], training=True)
    words, ngrams = np.asarray(words), np.asarray(ngrams)
    replaced = words != WORDS
    unspelt = (ngrams != NGRAMS).any(axis=-1)
    assert not (unspelt & ~replaced).any()
    assert abs(unspelt[replaced].mean() - 0.5) < 4 * np.sqrt(0.25 / replaced.sum())
    np.testing.assert_array_equal(np.unique(ngrams[unspelt], axis=0), [[1, 0, 0]])


def test_the_same_seed_drops_the_same_words():
    first, second = (np.asarray(WordDropout(0.5, seed=3)(WORDS, training=True)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, None, "0.5", False])
def test_a_rate_that_is_no_probability_below_one_is_refused(rate):
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\)"):
        WordDropout(rate)
