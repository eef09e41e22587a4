"""Verification scores against counting by hand, and against their definitions."""

import numpy as np
import pytest

from dlrecipes.metrics import rank1, receiver_operating_characteristic, verification_accuracy
from dlrecipes.metrics.verification import balanced_folds, pairs, squared_distances

RNG = np.random.default_rng(1)
SAME = RNG.random(300) < 0.4
DISTANCES = np.where(SAME, RNG.normal(1.0, 0.5, 300), RNG.normal(2.0, 0.5, 300))


def shares(distances, same, threshold):
    accepted = distances <= threshold
    return np.mean(accepted[~same]), np.mean(accepted[same])


def test_shares_are_those_of_pairs_up_to_each_threshold():
    roc = receiver_operating_characteristic(DISTANCES, SAME)
    assert roc.true_accepts[0] == roc.false_accepts[0] == 0
    assert roc.true_accepts[-1] == roc.false_accepts[-1] == 1
    for place in range(len(roc.thresholds)):
        found = roc.false_accepts[place], roc.true_accepts[place]
        assert found == pytest.approx(shares(DISTANCES, SAME, roc.thresholds[place]))


def test_area_is_how_often_a_pair_of_one_person_is_nearer():
    roc = receiver_operating_characteristic(DISTANCES, SAME)
    nearer = DISTANCES[SAME][:, None] < DISTANCES[~SAME][None]
    assert roc.auc == pytest.approx(nearer.mean())
    # Equal distances count half.
    tied = receiver_operating_characteristic([1.0, 1.0, 2.0], [True, False, False])
    assert tied.auc == pytest.approx(0.75)


def test_errors_of_both_kinds_are_equal_at_the_equal_error_rate():
    roc = receiver_operating_characteristic(DISTANCES, SAME)
    accepts = shares(DISTANCES, SAME, roc.equal_error_threshold)
    # Within one pair of each kind.
    assert accepts[0] == pytest.approx(roc.equal_error_rate, abs=1 / (~SAME).sum())
    assert 1 - accepts[1] == pytest.approx(roc.equal_error_rate, abs=1 / SAME.sum())


def test_equal_error_rate_by_hand():
    # One of two strangers is nearer than one of two images of one person.
    roc = receiver_operating_characteristic([1, 3, 2, 4], [True, True, False, False])
    assert roc.equal_error_rate == pytest.approx(0.5)
    apart = receiver_operating_characteristic([1, 2, 3, 4], [True, True, False, False])
    assert (apart.equal_error_rate, apart.auc) == (0, 1)
    assert 2 <= apart.equal_error_threshold < 3
    reversed_ = receiver_operating_characteristic([4, 3, 2, 1], [True, True, False, False])
    assert (reversed_.equal_error_rate, reversed_.auc) == (1, 0)


@pytest.mark.parametrize("target", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_accepts_at_a_bound_are_the_most_that_keep_it(target):
    roc = receiver_operating_characteristic(DISTANCES, SAME)
    kept = [
        shares(DISTANCES, SAME, distance)[1]
        for distance in [-10.0, *DISTANCES]
        if shares(DISTANCES, SAME, distance)[0] <= target
    ]
    assert roc.true_accepts_at(target) == pytest.approx(max(kept))
    false, true = shares(DISTANCES, SAME, roc.threshold_at(target))
    assert (false <= target, true) == (True, pytest.approx(max(kept)))


def test_each_fold_is_judged_by_the_others_threshold():
    # The first fold would be right with any threshold in 1..2, the second in 3..4.
    distances, same = np.array([1, 2, 3, 4.0]), np.array([True, False, True, False])
    # By 3.5 the stranger at 2 is accepted, by 1.5 the pair at 3 is not: half of each is right.
    assert verification_accuracy(distances, same, [0, 0, 1, 1]) == (0.5, 0.0)


def test_accuracy_is_that_of_the_best_threshold_found_elsewhere():
    folds = balanced_folds(SAME, seed=0, folds=5)
    used = folds >= 0
    mean, error = verification_accuracy(DISTANCES[used], SAME[used], folds[used])
    found = []
    for fold in range(5):
        there, here = used & (folds != fold), folds == fold
        tried = np.unique(DISTANCES[there])
        rights = [np.mean((DISTANCES[there] <= t) == SAME[there]) for t in tried]
        # All that lie between two distances that occur are as good there.
        best = int(np.argmax(rights))
        middle = (tried[best] + tried[min(best + 1, len(tried) - 1)]) / 2
        found.append(np.mean((DISTANCES[here] <= middle) == SAME[here]))
    assert mean == pytest.approx(np.mean(found))
    assert error == pytest.approx(np.std(found, ddof=1) / np.sqrt(5))


def test_folds_have_as_many_of_each_kind():
    folds = balanced_folds(SAME, seed=3)
    counts = [np.bincount(folds[kind & (folds >= 0)], minlength=10) for kind in (SAME, ~SAME)]
    assert counts[0].tolist() == counts[1].tolist()
    assert counts[0].sum() == min(SAME.sum(), (~SAME).sum())
    assert np.ptp(counts[0]) <= 1
    assert (folds != balanced_folds(SAME, seed=4)).any()


def test_rank1_enrols_each_image_in_turn():
    embeddings, labels = RNG.normal(size=(12, 3)), np.repeat([4, 7, 9], 4)
    embeddings += 1.5 * labels[:, None]
    found = []
    for number in range(4):
        gallery = [number, 4 + number, 8 + number]
        for probe in set(range(12)) - set(gallery):
            gaps = [np.sum((embeddings[probe] - embeddings[g]) ** 2) for g in gallery]
            found.append(labels[gallery[int(np.argmin(gaps))]] == labels[probe])
    assert rank1(embeddings, labels) == pytest.approx(np.mean(found))


def test_a_person_with_fewer_images_is_enrolled_again():
    # The second person has one image, which is in every gallery and never looked for.
    assert rank1(np.array([[0.0], [1.0], [5.0]]), np.array(["a", "a", "b"])) == 1


def test_pairs_and_distances_are_of_all_images():
    first, second = pairs(np.zeros(4))
    assert sorted(zip(first, second, strict=True)) == [
        (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)
    ]  # fmt: skip
    points = RNG.normal(size=(5, 3))
    wanted = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    np.testing.assert_allclose(squared_distances(points, points), wanted, atol=1e-5)


@pytest.mark.parametrize(
    "given, message",
    [
        (([1.0, 2.0], [True]), "vectors of one length"),
        (([[1.0]], [[True]]), "vectors of one length"),
        (([1.0, np.nan], [True, False]), "no number"),
        (([1.0, 2.0], [True, True]), "pairs of two"),
        (([1.0, 2.0], [False, False]), "pairs of one person"),
    ],
)
def test_what_cannot_be_judged_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        receiver_operating_characteristic(*given)


def test_folds_and_people_that_are_too_few_are_refused():
    with pytest.raises(ValueError, match="two folds"):
        verification_accuracy([1.0, 2.0], [True, False], [0, 0])
    with pytest.raises(ValueError, match="Two pairs of each kind"):
        balanced_folds([True, False, False], seed=0)
    for labels in ([0, 0], [0, 1]):
        with pytest.raises(ValueError, match="two people"):
            rank1(np.zeros((2, 1)), np.array(labels))
