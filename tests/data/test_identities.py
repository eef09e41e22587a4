import itertools
from collections import Counter

import numpy as np
import pytest

from dlrecipes.data.identities import identity_rows, identity_steps, pk_batches
from dlrecipes.errors import DataError

# Numbers of images; the label is 10 times that. Identity 10 has a single image.
COUNTS = [1, 2, 3, 4, 5, 8, 9]
LABELS = np.random.default_rng(0).permutation(np.repeat([10 * n for n in COUNTS], COUNTS))
P, K = 4, 3
# 32 images, 12 per batch; 6 identities, 4 per batch, so that a round has 2 batches.
STEPS = 3


def rows(batches=STEPS, labels=LABELS, identities=P, images=K, seed=3, **kwargs):
    data = identity_rows(labels, identities, images, seed, **kwargs)
    return np.array(list(data.take(batches).as_numpy_iterator()))


def test_steps_cover_as_many_images_as_the_dataset_has():
    assert len(LABELS) == 32
    assert identity_steps(LABELS, P, K) == STEPS
    assert identity_steps(np.zeros(24), P, K) == 2
    assert identity_steps(np.zeros(25), P, K) == 3


def test_every_batch_holds_p_identities_by_k_images():
    for batch in rows(30):
        assert batch.dtype == np.int32
        shown = LABELS[batch].reshape(P, K)
        assert (shown == shown[:, :1]).all()
        assert len(set(shown[:, 0])) == P


def test_images_are_repeated_evenly_and_only_if_there_are_too_few():
    for images in (3, 5, 7):
        for batch in rows(20, images=images):
            for rows_of_identity in batch.reshape(P, images):
                times = Counter(rows_of_identity.tolist())
                available = LABELS[rows_of_identity[0]] // 10
                assert len(times) == min(available, images)
                assert max(times.values()) == -(-images // available)
                assert min(times.values()) >= images // available


def test_identities_with_a_single_image_are_skipped():
    assert set(LABELS[rows(30).ravel()]) == set(LABELS) - {10}


def test_each_round_holds_each_identity_once_or_twice():
    # A round has two batches: 8 places for 6 identities.
    whole = rows(20, steps=20)
    for number in range(10):
        times = Counter(LABELS[whole[2 * number : 2 * number + 2, ::K].ravel()].tolist())
        assert sorted(times.values()) == [1, 1, 1, 1, 2, 2]


def test_identities_occur_equally_often_and_so_do_the_images_of_one():
    many = rows(900)
    times = Counter(LABELS[many[:, ::K].ravel()].tolist())
    # 600 on average: once in each of 450 rounds, and 150 +- 10 random repetitions.
    assert max(abs(n - 900 * P / 6) for n in times.values()) < 60
    images = Counter(many.ravel().tolist())
    eight = [images[row] for row in np.flatnonzero(LABELS == 80)]
    # Each is sampled with probability 3/8: 225 +- 12.
    assert max(abs(n - 600 * K / 8) for n in eight) < 60


def test_one_batch_may_hold_all_identities():
    for batch in rows(4, identities=6):
        assert set(LABELS[batch]) == set(LABELS) - {10}


def test_order_depends_only_on_seed_and_epoch():
    batches = rows(3 * STEPS)
    np.testing.assert_array_equal(batches, rows(3 * STEPS))
    assert (batches != rows(3 * STEPS, seed=4)).any()
    epochs = batches.reshape(3, STEPS, -1)
    assert (epochs[0] != epochs[1]).any()
    assert (epochs[1] != epochs[2]).any()


@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("steps", [None, 5])
def test_a_later_start_epoch_skips_exactly_the_earlier_epochs(start, steps):
    size = STEPS if steps is None else steps
    whole = rows(4 * size, steps=steps)
    cut = rows((4 - start) * size, steps=steps, start_epoch=start)
    np.testing.assert_array_equal(cut, whole[start * size :])


def test_rounds_of_one_epoch_differ():
    whole = rows(8, steps=8)
    rounds = [whole[number : number + 2].tolist() for number in range(0, 8, 2)]
    assert all(first != second for first, second in itertools.pairwise(rounds))


def test_batches_hold_the_examples_and_labels_of_the_rows():
    examples = {"images": np.random.default_rng(1).normal(size=(32, 2, 2, 1)), "id": np.arange(32)}
    data = pk_batches(examples, LABELS, P, K, seed=3)
    assert data.element_spec[0]["images"].shape == (P * K, 2, 2, 1)
    for (x, y), batch in zip(data.take(4).as_numpy_iterator(), rows(4), strict=True):
        np.testing.assert_array_equal(x["id"], batch)
        np.testing.assert_array_equal(x["images"], examples["images"][batch])
        np.testing.assert_array_equal(y, LABELS[batch])


def test_labels_may_be_names():
    named = np.array([f"person {label}" for label in LABELS])
    # Names sort in another order than numbers, so only the composition is comparable.
    for batch in rows(4, labels=named):
        assert len(set(named[batch])) == P


def test_autotuning_is_off_and_the_order_deterministic():
    for data in (
        identity_rows(LABELS, P, K, seed=0),
        pk_batches(LABELS, LABELS, P, K, seed=0),
    ):
        assert data.options().autotune.enabled is False
        assert data.options().deterministic is True


def test_too_few_identities_with_two_images_are_rejected():
    with pytest.raises(DataError, match=r"^Expected at least 7 identities with two .* got 6"):
        identity_rows(LABELS, 7, K, seed=0)
    with pytest.raises(DataError, match=r"^Expected at least 2 identities .* got 0"):
        identity_rows(np.arange(5), 2, 2, seed=0)
    with pytest.raises(DataError, match=r"^Expected at least 2 identities .* got 0"):
        identity_rows(np.array([]), 2, 2, seed=0)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"identities": 1}, "identities must be at least 2, not 1"),
        ({"images": 1}, "images must be at least 2, not 1"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"labels": LABELS[:, None]}, r"labels must have shape \(images,\), not \(32, 1\)"),
    ],
)
def test_invalid_arguments_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        rows(**kwargs)


def test_different_numbers_of_labels_and_examples_are_rejected():
    with pytest.raises(ValueError, match="There are 31 examples, but 32 labels"):
        pk_batches(np.zeros((31, 2)), LABELS, P, K, seed=0)
