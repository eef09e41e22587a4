"""Cooccurrence embeddings: an example computed by hand, and unusual texts."""

import numpy as np
import pytest

from dlrecipes.data.cooccurrence import cooccurrence_embeddings


def test_two_pairs_that_never_meet_are_orthogonal():
    # 1 and 2 always meet, as do 3 and 4. Each accounts for a quarter of the counts, so the
    # information of each pair is log(4), and the matrix has two blocks of
    # log(4) * [[0, 1], [1, 0]].
    vectors = cooccurrence_embeddings(np.array([[1, 2], [3, 4]] * 5), 5, 4, deviation=1.0)
    assert not vectors[0].any()
    cosine = vectors[1:] @ vectors[1:].T
    np.testing.assert_allclose(np.diag(cosine), cosine[0, 0], rtol=1e-5)
    np.testing.assert_allclose(cosine - np.diag(np.diag(cosine)), 0, atol=1e-5)


def test_tokens_with_the_same_neighbours_are_similar():
    rng = np.random.default_rng(0)
    # 1 to 5 are followed by 11 to 15, 6 to 10 by 16 to 20.
    first = rng.integers(1, 11, 2000)
    second = np.where(first <= 5, rng.integers(11, 16, 2000), rng.integers(16, 21, 2000))
    vectors = cooccurrence_embeddings(np.stack([first, second], axis=1), 21, 4)
    unit = vectors[1:] / np.linalg.norm(vectors[1:], axis=1, keepdims=True)
    cosine = unit @ unit.T
    assert cosine[:5, :5].min() > 0.9
    assert abs(cosine[:5, 5:10]).max() < 0.2


def test_deviation_seed_and_window_are_used():
    ids = np.random.default_rng(1).integers(0, 30, (200, 12))
    vectors = cooccurrence_embeddings(ids, 30, 8, deviation=0.3, seed=5)
    assert vectors[1:].std() == pytest.approx(0.3, rel=0.05)
    again = cooccurrence_embeddings(ids, 30, 8, deviation=0.3, seed=5)
    np.testing.assert_array_equal(vectors, again)
    assert (vectors != cooccurrence_embeddings(ids, 30, 8, window=1, deviation=0.3, seed=5)).any()


@pytest.mark.parametrize(
    "ids", [np.zeros((0, 5), int), np.zeros((3, 4), int), np.array([[1]]), np.array([[2, 0, 0]])]
)
def test_a_text_without_neighbours_gives_zeros(ids):
    assert not cooccurrence_embeddings(ids, 3, 4).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": 0}, "units must be at least 1"),
        ({"window": 0}, "window must be at least 1"),
        ({"deviation": 0.0}, "deviation must be above 0"),
        ({"size": 2}, "from 0 to below 2"),
        ({"ids": np.array([1, 2])}, "shape"),
        ({"ids": np.array([[-1, 2]])}, "from 0"),
    ],
)
def test_invalid_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        cooccurrence_embeddings(**{"ids": np.array([[1, 2]]), "size": 3, "units": 2, **changes})
