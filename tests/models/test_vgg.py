from itertools import pairwise

import keras
import numpy as np
import pytest

from dlrecipes.models import vgg

# The paper's table 1, columns A, B, D and E: the channels of each convolution.
CONVOLUTIONS = {
    11: [64, 128, 256, 256, 512, 512, 512, 512],
    13: [64, 64, 128, 128, 256, 256, 512, 512, 512, 512],
    16: [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6,
    19: [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8,
}
# Table 2 has them in millions: 133, 133, 138 and 144.
PUBLISHED = {11: 132_863_336, 13: 133_047_848, 16: 138_357_544, 19: 143_667_240}


def expected_parameters(depth):
    channels = [3, *CONVOLUTIONS[depth]]
    convolutions = sum(9 * n * m + m for n, m in pairwise(channels))
    units = [7 * 7 * 512, 4096, 4096, 1000]
    return convolutions + sum(n * m + m for n, m in pairwise(units))


@pytest.mark.parametrize("depth, millions", [(11, 133), (13, 133), (16, 138), (19, 144)])
def test_parameter_counts_match_the_papers_table(depth, millions):
    model = vgg(depth, kernel_initializer="zeros")
    assert model.count_params() == expected_parameters(depth) == PUBLISHED[depth]
    assert round(PUBLISHED[depth] / 1e6) == millions
    # The depth is the number of layers with weights.
    assert sum(bool(layer.weights) for layer in model.layers) == depth


def test_blocks_halve_the_image():
    model = vgg(16, width=1 / 64, kernel_initializer="zeros")
    sizes = [model.get_layer(f"pool{block}").output.shape[1:] for block in range(1, 6)]
    assert sizes == [(112, 112, 1), (56, 56, 2), (28, 28, 4), (14, 14, 8), (7, 7, 8)]


def test_batch_normalization_adds_two_parameters_per_channel():
    plain, normalized = (
        vgg(11, 10, (32, 32, 3), 1 / 16, batch_normalization=enabled, kernel_initializer="zeros")
        for enabled in (False, True)
    )
    counts = [
        sum(np.prod(weight.shape) for weight in model.trainable_weights)
        for model in (plain, normalized)
    ]
    assert counts[1] - counts[0] == 2 * sum(CONVOLUTIONS[11]) / 16
    norm = normalized.get_layer("norm3_2")
    assert norm.input is normalized.get_layer("conv3_2").output
    assert norm.output is normalized.get_layer("relu3_2").input


def test_features_match_keras_vgg16_with_the_same_weights():
    theirs = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    ours = vgg(16, 10, (32, 32, 3), kernel_initializer="zeros")
    names = [layer.name for layer in theirs.layers if layer.weights]
    for name in names:
        block, index = (part[-1] for part in name.split("_"))
        ours.get_layer(f"conv{block}_{index}").set_weights(theirs.get_layer(name).get_weights())
    assert len(names) == 13
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    features = keras.Model(ours.input, ours.get_layer("pool5").output)
    expected = np.array(theirs(x))
    assert expected.max() > 0
    np.testing.assert_allclose(np.array(features(x)), expected, rtol=1e-4, atol=1e-7)


def test_dense_layers_fit_the_size_of_the_image():
    model = vgg(11, 10, (64, 96, 3), width=1 / 16, kernel_initializer="zeros")
    # Five halvings, and 512 / 16 channels.
    assert model.get_layer("fc6").kernel.shape == (2 * 3 * 32, 4096 // 16)


def test_other_depths_are_rejected():
    with pytest.raises(ValueError, match="depth must be one of 11, 13, 16, 19, not 12"):
        vgg(12)


def test_without_top_any_size_is_accepted_and_the_output_is_the_last_pooling():
    model = vgg(11, input_shape=(None, None, 1), width=1 / 16, include_top=False)
    assert model.layers[-1].name == "pool5"
    # 512 / 16 channels; five halvings, rounding down.
    assert tuple(model(np.ones((2, 70, 33, 1), "float32")).shape) == (2, 2, 1, 32)
    with pytest.raises(ValueError, match="at least 32 each"):
        vgg(11, input_shape=(None, 31, 1), include_top=False)
