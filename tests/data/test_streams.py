import numpy as np
import pytest

from dlrecipes.data.streams import stream_batches, stream_steps


def test_rows_continue_from_batch_to_batch_and_targets_are_one_step_ahead():
    text = np.arange(100, dtype="int32")
    batches = list(stream_batches(text, streams=3, length=4).as_numpy_iterator())
    # 99 tokens have a successor, 33 per stream: 8 batches of 4 steps, and one token is left over.
    assert len(batches) == stream_steps(100, 3, 4) == 8
    x, y = (np.concatenate(parts, axis=1) for parts in zip(*batches, strict=True))
    for row, start in enumerate((0, 33, 66)):
        np.testing.assert_array_equal(x[row], np.arange(start, start + 32))
        np.testing.assert_array_equal(y[row], np.arange(start + 1, start + 33))
    assert x.dtype == np.int32


def test_every_pass_is_the_same_and_shapes_are_known():
    dataset = stream_batches(np.arange(50), streams=2, length=5)
    assert dataset.element_spec[0].shape == (2, 5)
    assert len(dataset) == stream_steps(50, 2, 5)
    first, second = (list(dataset.as_numpy_iterator()) for _ in range(2))
    for batch, repeated in zip(first, second, strict=True):
        np.testing.assert_array_equal(batch, repeated)


def test_vectors_can_be_streamed():
    x, y = next(iter(stream_batches(np.ones((20, 3), "float32"), streams=2, length=4)))
    assert x.shape == y.shape == (2, 4, 3)


def test_a_text_that_just_fits_makes_one_batch():
    assert len(stream_batches(np.arange(9), streams=2, length=4)) == 1
    with pytest.raises(ValueError, match="2 streams of batches of 4 steps need 9 tokens, not 8"):
        stream_batches(np.arange(8), streams=2, length=4)


@pytest.mark.parametrize("streams, length", [(0, 4), (2, 0)])
def test_sizes_below_one_are_rejected(streams, length):
    with pytest.raises(ValueError, match="must be at least 1"):
        stream_batches(np.arange(20), streams, length)
