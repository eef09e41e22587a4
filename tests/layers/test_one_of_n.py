import keras
import numpy as np
import pytest

from dlrecipes.layers import OneOfN

IDS = np.array([[3, 1, 4, 0, 0], [1, 2, 2, 3, 4]])


def by_hand(ids, size):
    identity = np.eye(size)
    identity[0, 0] = 0
    return identity[ids]


def test_each_id_has_its_own_column_and_padding_is_zero():
    np.testing.assert_array_equal(np.array(OneOfN(5)(IDS)), by_hand(IDS, 5))


def test_padding_is_masked():
    layer = OneOfN(5)
    np.testing.assert_array_equal(np.array(layer.compute_mask(keras.ops.array(IDS))), IDS != 0)
    np.testing.assert_array_equal(np.array(layer(IDS)._keras_mask), IDS != 0)


def test_a_recurrent_layer_ignores_the_padding():
    layer, recurrent = OneOfN(5), keras.layers.SimpleRNN(4)
    padded = recurrent(layer(IDS[:1]))
    np.testing.assert_allclose(np.array(padded), np.array(recurrent(layer(IDS[:1, :3]))), atol=1e-6)


def test_large_ids_stay_exact_in_half_precision():
    ids = np.array([[1001.0, 1002.0]], "float32")
    y = OneOfN(1003, dtype="mixed_bfloat16")(ids)
    np.testing.assert_array_equal(np.array(keras.ops.argmax(y, axis=-1)), [[1001, 1002]])


@pytest.mark.parametrize("size", [1, 0, 2.5, None])
def test_invalid_size_raises(size):
    with pytest.raises(ValueError, match="size must be"):
        OneOfN(size)
