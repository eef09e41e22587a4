import keras
import pytest

from dlrecipes.metrics.cost import count_macs
from dlrecipes.models import lenet5


def test_lenet5_takes_the_multiplications_of_its_connections():
    # LeCun et al., 1998, section II.B, number the connections; less the biases, they are
    # C1 122,304 - 4,704, C3 with all maps connected 16 x 100 x 150, C5 120 x 400, F6 84 x 120.
    expected = (122_304 - 4_704) + 16 * 100 * 150 + 120 * 400 + 84 * 120 + 84 * 10
    assert count_macs(lenet5()) == expected


def test_the_papers_table_of_connections_counts_its_60_pairs_of_maps():
    paper = lenet5(connections="paper")
    # Section II.B: C3 has 151,600 connections, of which 16 x 100 are biases.
    all_of_them = 16 * 100 * 150
    assert count_macs(lenet5()) - count_macs(paper) == all_of_them - (151_600 - 1_600)


@pytest.mark.parametrize(
    "layer, expected",
    [
        # 6x6 of 2 channels: places that are read or made, times the weights of each.
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


def test_layers_of_models_inside_count_and_shared_ones_each_time():
    x, shared = keras.Input((4,)), keras.layers.Dense(4)
    inner = keras.Model(x, shared(shared(x)))
    outside = keras.Input((4,))
    assert count_macs(keras.Model(outside, inner(outside))) == 2 * 4 * 4


def test_an_unknown_size_is_refused():
    x = keras.Input((None, None, 1))
    with pytest.raises(ValueError, match="only known sizes"):
        count_macs(keras.Model(x, keras.layers.Conv2D(2, 3)(x)))
