"""Verification scores against manual counts and against their definitions."""

import numpy as np
import pytest

from dlrecipes.metrics import rank1, receiver_operating_characteristic, verification_accuracy
from dlrecipes.metrics.verification import balanced_folds, pairs, squared_distances

RNG = np.random.default_rng(1)
SAME = RNG.random(300) < 0.4
DISTANCES = np.where(SAME, RNG.normal(1.0, 0.5, 300), RNG.normal(2.0, 0.5, 300))


def accept_rates(distances, same, threshold):
    accepted = distances <= threshold
    return np.mean(accepted[~same]), np.mean(accepted[same])


def test_curve_has_the_fractions_accepted_at_each_threshold():
    roc = receiver_operating_characteristic(DISTANCES, SAME)
    assert roc.true_accepts[0] == roc.false_accepts[0] == 0
    assert roc.true_accepts[-1] == roc.false_accepts[-1] == 1
    for point in range(len(roc.thresholds)):
        rates = roc.false_accepts[point], roc.true_accepts[point]
        assert rates == pytest.approx(accept_rates(DISTANCES, SAME, roc.thresholds[point]))


def test_auc_is_the_probability_that_a_genuine_pair_is_nearer():
    roc = receiver_operating_characteristic(DISTANCES, SAME)
    nearer = DISTANCES[SAME][:, None] < DISTANCES[~SAME][None]
    assert roc.auc == pytest.approx(nearer.mean())
    # Equal distances count half.
    tied = receiver_operating_characteristic([1.0, 1.0, 2.0], [True, False, False])
    assert tied.auc == pytest.approx(0.75)


def test_both_kinds_of_error_are_equal_at_the_equal_error_rate():
    roc = receiver_operating_characteristic(DISTANCES, SAME)
    accepts = accept_rates(DISTANCES, SAME, roc.equal_error_threshold)
    # Within one pair of each kind.
    assert accepts[0] == pytest.approx(roc.equal_error_rate, abs=1 / (~SAME).sum())
    assert 1 - accepts[1] == pytest.approx(roc.equal_error_rate, abs=1 / SAME.sum())


def test_equal_error_rate_matches_a_manual_count():
    # One of the two impostor pairs is nearer than one of the two genuine pairs.
    roc = receiver_operating_characteristic([1, 3, 2, 4], [True, True, False, False])
    assert roc.equal_error_rate == pytest.approx(0.5)
    separated = receiver_operating_characteristic([1, 2, 3, 4], [True, True, False, False])
    assert (separated.equal_error_rate, separated.auc) == (0, 1)
    assert 2 <= separated.equal_error_threshold < 3
    reversed_ = receiver_operating_characteristic([4, 3, 2, 1], [True, True, False, False])
    assert (reversed_.equal_error_rate, reversed_.auc) == (1, 0)


@pytest.mark.parametrize("target", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_tar_at_far_is_the_largest_tar_within_the_limit(target):
    roc = receiver_operating_characteristic(DISTANCES, SAME)
    true_rates = [
        accept_rates(DISTANCES, SAME, distance)[1]
        for distance in [-10.0, *DISTANCES]
        if accept_rates(DISTANCES, SAME, distance)[0] <= target
    ]
    assert roc.true_accepts_at(target) == pytest.approx(max(true_rates))
    false, true = accept_rates(DISTANCES, SAME, roc.threshold_at(target))
    assert (false <= target, true) == (True, pytest.approx(max(true_rates)))


def test_each_fold_is_evaluated_with_the_threshold_of_the_other_folds():
    # The first fold is correct with any threshold in 1..2, the second in 3..4.
    distances, same = np.array([1, 2, 3, 4.0]), np.array([True, False, True, False])
    # 3.5 accepts the impostor pair at 2, 1.5 rejects the genuine pair at 3: half is correct.
    assert verification_accuracy(distances, same, [0, 0, 1, 1]) == (0.5, 0.0)


def test_threshold_is_the_best_one_on_the_other_folds():
    folds = balanced_folds(SAME, seed=0, folds=5)
    used = folds >= 0
    mean, error = verification_accuracy(DISTANCES[used], SAME[used], folds[used])
    accuracies = []
    for fold in range(5):
        other_folds, held_out = used & (folds != fold), folds == fold
        candidates = np.unique(DISTANCES[other_folds])
        scores = [np.mean((DISTANCES[other_folds] <= t) == SAME[other_folds]) for t in candidates]
        # All thresholds between two neighbouring distances are equally good.
        best = int(np.argmax(scores))
        middle = (candidates[best] + candidates[min(best + 1, len(candidates) - 1)]) / 2
        accuracies.append(np.mean((DISTANCES[held_out] <= middle) == SAME[held_out]))
    assert mean == pytest.approx(np.mean(accuracies))
    assert error == pytest.approx(np.std(accuracies, ddof=1) / np.sqrt(5))


def test_folds_have_equally_many_pairs_of_each_kind():
    folds = balanced_folds(SAME, seed=3)
    counts = [np.bincount(folds[kind & (folds >= 0)], minlength=10) for kind in (SAME, ~SAME)]
    assert counts[0].tolist() == counts[1].tolist()
    assert counts[0].sum() == min(SAME.sum(), (~SAME).sum())
    assert np.ptp(counts[0]) <= 1
    assert (folds != balanced_folds(SAME, seed=4)).any()


def test_rank1_enrols_each_image_in_turn():
    embeddings, labels = RNG.normal(size=(12, 3)), np.repeat([4, 7, 9], 4)
    embeddings += 1.5 * labels[:, None]
    correct = []
    for number in range(4):
        gallery = [number, 4 + number, 8 + number]
        for probe in set(range(12)) - set(gallery):
            gaps = [np.sum((embeddings[probe] - embeddings[g]) ** 2) for g in gallery]
            correct.append(labels[gallery[int(np.argmin(gaps))]] == labels[probe])
    assert rank1(embeddings, labels) == pytest.approx(np.mean(correct))


def test_person_with_fewer_images_is_enrolled_again():
    # The second person has one image, which is in every gallery and never a probe.
    assert rank1(np.array([[0.0], [1.0], [5.0]]), np.array(["a", "a", "b"])) == 1


def test_pairs_and_distances_cover_all_images():
    first, second = pairs(np.zeros(4))
    assert sorted(zip(first, second, strict=True)) == [
        (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)
    ]  # fmt: skip
    points = RNG.normal(size=(5, 3))
    expected = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    np.testing.assert_allclose(squared_distances(points, points), expected, atol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([1.0, 2.0], [True]), "vectors of the same length"),
        (([[1.0]], [[True]]), "vectors of the same length"),
        (([1.0, np.nan], [True, False]), "contain NaN"),
        (([1.0, 2.0], [True, True]), "pairs of two people"),
        (([1.0, 2.0], [False, False]), "pairs of the same person"),
    ],
)
def test_invalid_pairs_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        receiver_operating_characteristic(*arguments)


def test_too_few_folds_or_people_are_rejected():
    with pytest.raises(ValueError, match="two folds"):
        verification_accuracy([1.0, 2.0], [True, False], [0, 0])
    with pytest.raises(ValueError, match="two pairs of each kind"):
        balanced_folds([True, False, False], seed=0)
    for labels in ([0, 0], [0, 1]):
        with pytest.raises(ValueError, match="two people"):
            rank1(np.zeros((2, 1)), np.array(labels))
