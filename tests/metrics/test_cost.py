import keras
import pytest

from dlrecipes.metrics.cost import count_macs
from dlrecipes.models import lenet5


def test_lenet5_needs_one_multiplication_per_connection():
    # LeCun et al., 1998, section II.B, give the connections. Without the biases they are
    # C1 122,304 - 4,704, C3 with all maps connected 16 x 100 x 150, C5 120 x 400, F6 84 x 120.
    expected = (122_304 - 4_704) + 16 * 100 * 150 + 120 * 400 + 84 * 120 + 84 * 10
    assert count_macs(lenet5()) == expected


def test_partial_connections_of_lenet5_are_counted_by_pairs_of_maps():
    paper = lenet5(connections="paper")
    # Section II.B: C3 has 151,600 connections, of which 16 x 100 are biases.
    full = 16 * 100 * 150
    assert count_macs(lenet5()) - count_macs(paper) == full - (151_600 - 1_600)


@pytest.mark.parametrize(
    "layer, expected",
    [
        # 6x6 with 2 channels: output (or input) positions, times the weights used at each.
        (keras.layers.Conv2D(5, 3, strides=2, padding="same"), 9 * (9 * 2 * 5)),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=2), 16 * (9 * 2 * 2)),
        (keras.layers.Conv2DTranspose(5, 4, strides=2, padding="same"), 36 * (16 * 2 * 5)),
        (keras.layers.Dense(7), 36 * (2 * 7)),
        (keras.layers.MaxPooling2D(), 0),
    ],
)
def test_each_kind_of_layer_is_counted(layer, expected):
    x = keras.Input((6, 6, 2))
    assert count_macs(keras.Model(x, layer(x))) == expected


def test_layers_of_submodels_are_counted_and_shared_layers_once_per_call():
    x, shared = keras.Input((4,)), keras.layers.Dense(4)
    inner = keras.Model(x, shared(shared(x)))
    outer_input = keras.Input((4,))
    assert count_macs(keras.Model(outer_input, inner(outer_input))) == 2 * 4 * 4


def test_unknown_size_is_rejected():
    x = keras.Input((None, None, 1))
    with pytest.raises(ValueError, match="give the model's inputs a fixed size"):
        count_macs(keras.Model(x, keras.layers.Conv2D(2, 3)(x)))
