import keras
import numpy as np
import pytest

from dlrecipes.layers import ContextWindow

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")


def by_hand(x, before, after):
    batch, time, features = x.shape
    y = np.zeros((batch, time, (before + 1 + after) * features), x.dtype)
    for t in range(time):
        for column, source in enumerate(range(t - before, t + after + 1)):
            if 0 <= source < time:
                y[:, t, column * features : (column + 1) * features] = x[:, source]
    return y


# The last two windows extend beyond the whole sentence.
@pytest.mark.parametrize("before, after", [(1, 1), (2, 0), (0, 3), (5, 6), (9, 1)])
def test_neighbours_are_ordered_from_left_to_right(before, after):
    y = ContextWindow(before, after)(X)
    np.testing.assert_array_equal(np.array(y), by_hand(X, before, after))


def test_window_without_neighbours_is_the_identity():
    np.testing.assert_array_equal(np.array(ContextWindow(0, 0)(X)), X)


def test_padding_is_replaced_by_zeros():
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    x = np.where(mask[..., None], X, np.nan).astype("float32")
    y = ContextWindow(1, 2)(x, mask=keras.ops.array(mask))
    np.testing.assert_array_equal(np.array(y), by_hand(np.where(mask[..., None], X, 0), 1, 2))


def test_mask_is_used_and_passed_on():
    ids = np.array([[3, 2, 0, 0], [1, 2, 3, 4]])
    embedded = keras.layers.Embedding(5, 3, mask_zero=True)(ids)
    y = ContextWindow(1, 1)(embedded)
    np.testing.assert_array_equal(np.array(y._keras_mask), ids != 0)
    np.testing.assert_array_equal(np.array(y)[0, 1, 6:], np.zeros(3))


def test_one_layer_supports_any_length():
    model = keras.Sequential([keras.Input((None, 3)), ContextWindow(2, 1)])
    assert model.output_shape == (None, None, 12)
    for time in (1, 4):
        y = model(X[:, :time])
        np.testing.assert_array_equal(np.array(y), by_hand(X[:, :time], 2, 1))


@pytest.mark.parametrize("before, after", [(-1, 0), (0, -1), (0.5, 0), (0, None)])
def test_invalid_window_raises(before, after):
    with pytest.raises(ValueError, match="must be an integer of at least 0"):
        ContextWindow(before, after)
