import keras
import numpy as np
import pytest
from contract import gradients

from dlrecipes.layers import WordHashing

SIZE = 7
IDS = np.random.default_rng(0).integers(0, SIZE, (3, 4, 6)).astype("int32")
IDS[1, 2] = 0


def counts_by_hand(ids):
    counts = np.zeros((*ids.shape[:2], SIZE))
    for place in np.ndindex(ids.shape):
        if ids[place] != 0:
            counts[(*place[:2], ids[place])] += 1
    return counts


def test_counts_cover_the_ngrams_without_padding():
    np.testing.assert_array_equal(np.array(WordHashing(SIZE)(IDS)), counts_by_hand(IDS))


def test_order_and_padding_do_not_matter():
    longer = np.concatenate([np.zeros_like(IDS), IDS[:, :, ::-1]], axis=2)
    layer = WordHashing(SIZE, 5)
    np.testing.assert_allclose(np.array(layer(longer)), np.array(layer(IDS)), atol=1e-6)


def test_projection_equals_the_counts_times_the_kernel():
    layer = WordHashing(SIZE, 5)
    y = np.array(layer(IDS))
    np.testing.assert_allclose(y, counts_by_hand(IDS) @ np.array(layer.kernel), atol=1e-5)


def test_projection_gradient_equals_the_gradient_through_the_counts():
    layer = WordHashing(SIZE, 5)
    layer.build(IDS.shape)
    upstream = np.random.default_rng(1).normal(size=(3, 4, 5)).astype("float32")
    (gradient,) = gradients(
        lambda: keras.ops.sum(layer(IDS) * upstream), variables=layer.trainable_variables
    )
    expected = np.einsum("bts,btu->su", counts_by_hand(IDS), upstream)
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


@pytest.mark.parametrize("units", [None, 5])
def test_every_size_may_be_unknown(units):
    layer = WordHashing(SIZE, units)
    x = keras.Input((None, None), dtype="int32")
    model = keras.Model(x, layer(x))
    assert model.output_shape == (None, None, units or SIZE)
    for ids in (IDS, IDS[:1, :2, :3]):
        expected = counts_by_hand(ids)
        expected = expected if units is None else expected @ np.array(layer.kernel)
        np.testing.assert_allclose(np.array(model(ids)), expected, atol=1e-5)


def test_no_mask_is_created():
    assert getattr(WordHashing(SIZE)(IDS), "_keras_mask", None) is None


@pytest.mark.parametrize("size, units", [(1, None), (2.5, None), (5, 0), (5, "four")])
def test_invalid_sizes_raise(size, units):
    with pytest.raises(ValueError, match="must be"):
        WordHashing(size, units)
