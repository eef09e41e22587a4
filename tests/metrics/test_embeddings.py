"""Metrics of embeddings, against pairs counted by hand."""

import numpy as np
import pytest

from dlrecipes.metrics.embeddings import embedding_roc, embedding_scores, pair_distances

# On a line at 0, 1, 4 and 9: people 0, 0, 1 and 1.
EMBEDDINGS, LABELS = np.array([[0.0], [1.0], [4.0], [9.0]]), np.array([0, 0, 1, 1])


def test_every_pair_is_compared_once():
    distances, same = pair_distances(EMBEDDINGS, LABELS)
    assert sorted(zip(distances.tolist(), same.tolist(), strict=True)) == [
        (1, True),
        (9, False),
        (16, False),
        (25, True),
        (64, False),
        (81, False),
    ]


def test_auc_is_the_fraction_of_correctly_ordered_pairs_of_pairs():
    # 1 is below all of 9, 16, 64 and 81; 25 is below two of them.
    assert embedding_roc(EMBEDDINGS, LABELS).auc == pytest.approx((4 + 2) / 8)


def test_scores_of_perfect_and_of_random_embeddings():
    labels = np.repeat(np.arange(20), 6)
    perfect = embedding_scores(np.eye(20)[labels] * 3.0, labels, seed=0)
    assert perfect == {
        "eer": 0,
        "auc": 1,
        "rank1": 1,
        "verification_accuracy": 1,
        "tar_at_far_1e-2": 1,
        "tar_at_far_1e-3": 1,
    }
    noise = np.random.default_rng(0).normal(size=(len(labels), 8))
    chance = embedding_scores(noise, labels, seed=0)
    assert chance["auc"] == pytest.approx(0.5, abs=0.1)
    assert chance["verification_accuracy"] == pytest.approx(0.5, abs=0.1)
    assert embedding_scores(noise, labels, seed=0) == chance
