import numpy as np
import pytest

from dlrecipes.data.batches import (
    evaluation_batches,
    map_batches,
    steps_per_epoch,
    training_batches,
)

COUNT, SIZE = 11, 4
LENGTHS = np.array([1, 5, 2, 7, 3, 3, 6, 2, 4, 1, 5], "int32")
TIME = int(LENGTHS.max())
REAL = np.arange(TIME) < LENGTHS[:, None]
# Each example's words carry its number (from 1), which identifies the examples of a batch.
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


def order(batches):
    return [n for batch in batches for n in numbers(batch)]


with_and_without_lengths = pytest.mark.parametrize("lengths", [LENGTHS, None])


@pytest.mark.parametrize(
    "examples, size, steps", [(11, 4, 3), (12, 4, 3), (13, 4, 4), (1, 4, 1), (4, 1, 4)]
)
def test_steps_include_the_smaller_last_batch(examples, size, steps):
    assert steps_per_epoch(examples, size) == steps


@with_and_without_lengths
def test_every_example_occurs_once_per_epoch(lengths):
    elements = batches(epochs=3, lengths=lengths)
    for epoch in range(3):
        assert sorted(order(elements[epoch * STEPS : (epoch + 1) * STEPS])) == NUMBER.tolist()


@with_and_without_lengths
def test_one_batch_per_epoch_is_smaller(lengths):
    elements = batches(epochs=3, lengths=lengths)
    for epoch in range(3):
        sizes = [len(numbers(b)) for b in elements[epoch * STEPS : (epoch + 1) * STEPS]]
        assert sorted(sizes) == [COUNT - 2 * SIZE, SIZE, SIZE]


@with_and_without_lengths
def test_order_depends_only_on_seed_and_epoch(lengths):
    numbers = order(batches(epochs=2, lengths=lengths))
    assert numbers == order(batches(epochs=2, lengths=lengths))
    assert numbers[:COUNT] != numbers[COUNT:]
    assert numbers != order(batches(epochs=2, seed=4, lengths=lengths))


@with_and_without_lengths
@pytest.mark.parametrize("start", [1, 2])
def test_a_later_start_epoch_skips_exactly_the_earlier_epochs(start, lengths):
    whole = batches(epochs=4, lengths=lengths)[start * STEPS :]
    cut = batches(epochs=4 - start, start_epoch=start, lengths=lengths)
    assert len(whole) == len(cut) == (4 - start) * STEPS
    for batch, resumed in zip(whole, cut, strict=True):
        for part, other in zip(batch, resumed, strict=True):
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


def test_batches_are_cut_to_their_longest_sentence_and_inputs_stay_with_targets():
    elements = batches(epochs=2)
    for batch in elements:
        assert_rows(batch, int(LENGTHS[np.array(numbers(batch)) - 1].max()))
    assert min(batch[0]["words"].shape[1] for batch in elements) < TIME


def test_batches_without_lengths_keep_their_size():
    for batch in batches(lengths=None):
        assert_rows(batch, TIME)


def test_sentences_of_similar_length_share_a_batch():
    # Sorted by lengths with noise below 2: the next sentence is shorter by less than that.
    for batch in batches(epochs=3):
        lengths = LENGTHS[np.array(numbers(batch)) - 1]
        assert (np.diff(lengths) > -2).all()


@with_and_without_lengths
def test_evaluation_is_one_pass_in_the_original_order(lengths):
    data = evaluation_batches(INPUTS, TARGETS, SIZE, lengths)
    elements = list(data.as_numpy_iterator())
    assert order(elements) == NUMBER.tolist()
    assert [len(numbers(batch)) for batch in elements] == [4, 4, 3]
    for batch in elements:
        longest = LENGTHS[np.array(numbers(batch)) - 1].max()
        assert_rows(batch, TIME if lengths is None else int(longest))


def test_autotuning_is_off_and_the_order_deterministic():
    data = training_batches(INPUTS, TARGETS, SIZE, seed=0, lengths=LENGTHS)
    for dataset in (data, evaluation_batches(INPUTS, TARGETS, SIZE)):
        assert dataset.options().autotune.enabled is False
        assert dataset.options().deterministic is True


def test_results_of_all_batches_are_joined():
    sizes = []

    def function(x, y):
        sizes.append(len(x))
        return {"sum": x + y, "pair": (x, 2 * y)}

    x, y = np.arange(COUNT), np.arange(COUNT) * 1.5
    results = map_batches(function, x, y, batch_size=SIZE)
    assert sizes == [4, 4, 3]
    np.testing.assert_array_equal(results["sum"], x + y)
    np.testing.assert_array_equal(results["pair"][1], 2 * y)
