import numpy as np
import pytest

from dlrecipes.data.batches import evaluation_batches, steps_per_epoch, training_batches

COUNT, SIZE = 11, 4
LENGTHS = np.array([1, 5, 2, 7, 3, 3, 6, 2, 4, 1, 5], "int32")
TIME = int(LENGTHS.max())
REAL = np.arange(TIME) < LENGTHS[:, None]
# Each example's words carry its number (from 1), so that a batch tells which it holds.
NUMBER = np.arange(1, COUNT + 1)
INPUTS = {
    "words": np.where(REAL, NUMBER[:, None], 0).astype("int32"),
    "ngrams": np.where(REAL[..., None], NUMBER[:, None, None] * [1, 2], 0).astype("int32"),
}
TARGETS = {
    "tags": np.where(REAL, 100 * NUMBER[:, None] + np.arange(TIME), 0).astype("int32"),
    "intent": (NUMBER * 7).astype("int32"),
}
STEPS = 3


def batches(epochs=1, seed=3, start_epoch=0, lengths=LENGTHS):
    data = training_batches(INPUTS, TARGETS, SIZE, seed, start_epoch, lengths)
    return list(data.take(epochs * STEPS).as_numpy_iterator())


def numbers(batch):
    return batch[0]["words"][:, 0].tolist()


def order(some):
    return [n for batch in some for n in numbers(batch)]


with_and_without_lengths = pytest.mark.parametrize("lengths", [LENGTHS, None])


@pytest.mark.parametrize(
    "examples, size, steps", [(11, 4, 3), (12, 4, 3), (13, 4, 4), (1, 4, 1), (4, 1, 4)]
)
def test_steps_count_the_last_and_smaller_batch(examples, size, steps):
    assert steps_per_epoch(examples, size) == steps


@with_and_without_lengths
def test_every_example_comes_once_an_epoch(lengths):
    some = batches(epochs=3, lengths=lengths)
    for epoch in range(3):
        assert sorted(order(some[epoch * STEPS : (epoch + 1) * STEPS])) == NUMBER.tolist()


@with_and_without_lengths
def test_one_batch_an_epoch_is_smaller(lengths):
    some = batches(epochs=3, lengths=lengths)
    for epoch in range(3):
        sizes = [len(numbers(b)) for b in some[epoch * STEPS : (epoch + 1) * STEPS]]
        assert sorted(sizes) == [COUNT - 2 * SIZE, SIZE, SIZE]


@with_and_without_lengths
def test_order_depends_on_seed_and_epoch_alone(lengths):
    one = order(batches(epochs=2, lengths=lengths))
    assert one == order(batches(epochs=2, lengths=lengths))
    assert one[:COUNT] != one[COUNT:]
    assert one != order(batches(epochs=2, seed=4, lengths=lengths))


@with_and_without_lengths
@pytest.mark.parametrize("start", [1, 2])
def test_later_start_equals_what_follows_after_as_many_epochs(start, lengths):
    whole = batches(epochs=4, lengths=lengths)[start * STEPS :]
    cut = batches(epochs=4 - start, start_epoch=start, lengths=lengths)
    assert len(whole) == len(cut) == (4 - start) * STEPS
    for ours, theirs in zip(whole, cut, strict=True):
        for part, other in zip(ours, theirs, strict=True):
            assert set(part) == set(other)
            for name in part:
                np.testing.assert_array_equal(part[name], other[name])


def assert_rows(batch, time):
    inputs, targets = batch
    rows = np.array(numbers(batch)) - 1
    assert set(inputs) == set(INPUTS)
    assert set(targets) == set(TARGETS)
    for name in INPUTS:
        np.testing.assert_array_equal(inputs[name], INPUTS[name][rows, :time])
    np.testing.assert_array_equal(targets["tags"], TARGETS["tags"][rows, :time])
    np.testing.assert_array_equal(targets["intent"], TARGETS["intent"][rows])


def test_batches_are_cut_to_their_longest_and_inputs_stay_with_targets():
    some = batches(epochs=2)
    for batch in some:
        assert_rows(batch, int(LENGTHS[np.array(numbers(batch)) - 1].max()))
    assert min(batch[0]["words"].shape[1] for batch in some) < TIME


def test_batches_without_lengths_keep_their_size():
    for batch in batches(lengths=None):
        assert_rows(batch, TIME)


def test_sentences_of_about_the_same_length_share_a_batch():
    # Sorted by lengths blurred by less than 2: the next is shorter by less than that.
    for batch in batches(epochs=3):
        lengths = LENGTHS[np.array(numbers(batch)) - 1]
        assert (np.diff(lengths) > -2).all()


@with_and_without_lengths
def test_evaluation_is_one_pass_in_the_data_own_order(lengths):
    data = evaluation_batches(INPUTS, TARGETS, SIZE, lengths)
    some = list(data.as_numpy_iterator())
    assert order(some) == NUMBER.tolist()
    assert [len(numbers(batch)) for batch in some] == [4, 4, 3]
    for batch in some:
        longest = LENGTHS[np.array(numbers(batch)) - 1].max()
        assert_rows(batch, TIME if lengths is None else int(longest))


def test_autotuning_is_off_and_order_fixed():
    data = training_batches(INPUTS, TARGETS, SIZE, seed=0, lengths=LENGTHS)
    for dataset in (data, evaluation_batches(INPUTS, TARGETS, SIZE)):
        assert dataset.options().autotune.enabled is False
        assert dataset.options().deterministic is True
