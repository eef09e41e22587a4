import subprocess
import sys

import keras
import numpy as np
import pytest
from contract import on_tensorflow

from dlrecipes.models import resnet

# The paper's table 1: blocks in each stage, and whether they are bottlenecks.
TABLE = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}
# Counts of other libraries: convolutions without bias, trainable weights only.
PUBLISHED = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}


def convolutions(depth, shortcut="B"):
    """Yields kernel size, inputs and outputs of each convolution."""
    blocks, bottleneck = TABLE[depth]
    yield 7, 3, 64
    inputs = 64
    for repeats, filters in zip(blocks, (64, 128, 256, 512), strict=True):
        for _ in range(repeats):
            outputs = 4 * filters if bottleneck else filters
            if bottleneck:
                yield from ((1, inputs, filters), (3, filters, filters), (1, filters, outputs))
            else:
                yield from ((3, inputs, filters), (3, filters, filters))
            if shortcut == "C" or (shortcut == "B" and inputs != outputs):
                yield 1, inputs, outputs
            inputs = outputs


def expected_parameters(depth, shortcut="B"):
    """Returns the count of kernels, a scale and a shift per channel, and the classifier."""
    total = sum(k * k * n * m + 2 * m for k, n, m in convolutions(depth, shortcut))
    features = 2048 if TABLE[depth][1] else 512
    return total + features * 1000 + 1000


def trainable_parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize("depth", TABLE)
def test_parameter_counts_match_the_papers_table(depth):
    model = resnet(depth, kernel_initializer="zeros")
    assert trainable_parameters(model) == expected_parameters(depth) == PUBLISHED[depth]
    # The other weights are the moving mean and variance of each channel.
    moving_statistics = sum(2 * m for *_, m in convolutions(depth))
    assert model.count_params() - trainable_parameters(model) == moving_statistics
    layers = [layer for layer in model.layers if "shortcut" not in layer.name]
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    assert sum(isinstance(layer, kinds) for layer in layers) == depth


@pytest.mark.parametrize("depth", TABLE)
def test_stages_have_the_sizes_of_the_papers_table(depth):
    model = resnet(depth, width=1 / 64, kernel_initializer="zeros")
    blocks, bottleneck = TABLE[depth]
    assert model.get_layer("conv1").output.shape[1:] == (112, 112, 1)
    sizes = [
        model.get_layer(f"conv{stage}_{blocks[stage - 2]}").output.shape[1:]
        for stage in range(2, 6)
    ]
    channels = [4, 8, 16, 32] if bottleneck else [1, 2, 4, 8]
    assert sizes == [(n, n, m) for n, m in zip((56, 28, 14, 7), channels, strict=True)]


def test_small_stem_keeps_the_size_until_the_third_stage():
    model = resnet(18, 10, (32, 32, 3), 1 / 16, stem="small", kernel_initializer="zeros")
    names = ("conv1", "conv2_2", "conv3_2", "conv4_2", "conv5_2")
    assert [model.get_layer(name).output.shape[1] for name in names] == [32, 32, 16, 8, 4]
    assert model.get_layer("conv1_conv").kernel.shape == (3, 3, 3, 4)


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("depth", [18, 50])
def test_shortcuts_have_the_projections_of_the_papers_options(depth, shortcut):
    model = resnet(depth, shortcut=shortcut, kernel_initializer="zeros")
    assert trainable_parameters(model) == expected_parameters(depth, shortcut)


@pytest.mark.parametrize(
    "stride_in, sizes", [("1x1", (28, 28, 28)), ("3x3", (56, 28, 28))], ids=["1x1", "3x3"]
)
def test_bottlenecks_halve_the_size_in_the_selected_convolution(stride_in, sizes):
    model = resnet(50, width=1 / 64, stride_in=stride_in, kernel_initializer="zeros")
    outputs = [model.get_layer(f"conv3_1_{index}_conv").output for index in (1, 2, 3)]
    assert tuple(output.shape[1] for output in outputs) == sizes


def between(model, first, last):
    return keras.Model(model.get_layer(first).output, model.get_layer(last).output)


def small(**kwargs):
    return resnet(18, 3, (8, 8, 1), 1 / 16, stem="small", **kwargs)


def test_blocks_start_as_the_identity_if_their_last_scale_is_zero():
    # Not negative, like the previous block's output after its ReLU.
    x = np.abs(np.random.default_rng(0).normal(size=(2, 8, 8, 4))).astype("float32")
    block = between(small(zero_init_residual=True), "conv2_1", "conv2_2")
    np.testing.assert_allclose(np.array(block(x)), x, atol=1e-6)
    block = between(small(), "conv2_1", "conv2_2")
    assert np.abs(np.array(block(x)) - x).max() > 1e-3


def test_shortcut_a_subsamples_positions_and_pads_channels_with_zeros():
    model = small(zero_init_residual=True, shortcut="A")
    x = np.abs(np.random.default_rng(0).normal(size=(2, 8, 8, 4))).astype("float32")
    y = np.array(between(model, "conv2_2", "conv3_1")(x))
    np.testing.assert_allclose(y[..., :4], x[:, ::2, ::2], atol=1e-6)
    np.testing.assert_array_equal(y[..., 4:], np.zeros((2, 4, 4, 4)))


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize("depth, first", [(18, "shortcut"), (50, "shortcut"), (50, "1")])
def test_strided_projections_of_narrow_networks_keep_every_second_position(depth, first, size):
    model = resnet(depth, 3, (size, size, 1), 1 / 64, stem="small")
    names = [layer.name for layer in model.layers]
    conv = model.get_layer(f"conv3_1_{first}_conv")
    assert conv.strides == (1, 1) and f"conv3_1_{first}_subsample" in names
    start = f"conv2_{TABLE[depth][0][0]}"
    channels = model.get_layer(start).output.shape[-1]
    x = np.random.default_rng(0).normal(size=(2, size, size, channels)).astype("float32")
    y = np.array(between(model, start, conv.name)(x))
    expected = x[:, ::2, ::2] @ np.array(conv.kernel)[0, 0]
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_strided_projections_of_16_or_more_channels_are_one_convolution():
    model = resnet(18, 3, (8, 8, 1), 1 / 4, stem="small", kernel_initializer="zeros")
    assert model.get_layer("conv3_1_shortcut_conv").strides == (2, 2)
    assert not [layer.name for layer in model.layers if layer.name.endswith("subsample")]


NARROW_GRADIENT = """
import keras, numpy as np, tensorflow as tf
from dlrecipes.models import resnet
model = resnet(18, 3, (256, 256, 1), 1 / 16, stem="small")
first, conv = model.get_layer("conv2_2"), model.get_layer("conv3_1_shortcut_conv")
projection = keras.Model(first.output, conv.output)
x, up = (np.random.default_rng(0).normal(size=size).astype("float32")
         for size in ((1, 256, 256, 4), (1, 128, 128, 8)))
for _ in range(3):
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(projection(x, training=True) * up)
    gradient = tape.gradient(total, conv.kernel.value)[0, 0]
expected = x[0, ::2, ::2].reshape(-1, 4).T @ up[0].reshape(-1, 8)
np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
"""


@on_tensorflow
def test_narrow_networks_have_the_right_gradient_and_do_not_crash():
    # A crash ends the process, hence one of its own.
    process = subprocess.run(
        [sys.executable, "-c", NARROW_GRADIENT], capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr[-3000:]


def test_strided_windows_are_padded_equally_on_both_sides():
    conv = between(small(kernel_initializer="ones"), "conv2_2", "conv3_1_1_conv")
    counts = np.array(conv(np.ones((1, 8, 8, 4), "float32")))[0, :, 0, 0]
    # Each position counts the ones in its window: with 4 channels, 2 columns at the left border,
    # 2 rows at the upper border and 3 rows at the lower border.
    np.testing.assert_allclose(counts, [2 * 2 * 4, 3 * 2 * 4, 3 * 2 * 4, 3 * 2 * 4])


def same_weights(ours, theirs):
    """Sets the same random weights in both networks and returns the number of their layers."""
    rng = np.random.default_rng(0)
    pairs = {"conv1": "conv1"}
    for stage, blocks in enumerate(TABLE[50][0], start=2):
        for block in range(1, blocks + 1):
            for part in range(4 if block == 1 else 3):
                theirs_part = (part + 1) % 4
                ours_part = "shortcut" if theirs_part == 0 else str(theirs_part)
                pairs[f"conv{stage}_{block}_{ours_part}"] = (
                    f"conv{stage}_block{block}_{theirs_part}"
                )
    for our_name, their_name in pairs.items():
        conv = ours.get_layer(f"{our_name}_conv")
        biased = theirs.get_layer(f"{their_name}_conv")
        biased.set_weights([conv.get_weights()[0], np.zeros(biased.filters)])
        norm = ours.get_layer(f"{our_name}_norm")
        values = [rng.uniform(0.5, 1.0, weight.shape) for weight in norm.get_weights()]
        norm.set_weights(values)
        theirs.get_layer(f"{their_name}_bn").set_weights(values)
    return 2 * len(pairs)


@on_tensorflow
def test_depth_50_matches_keras_resnet50_without_convolution_biases():
    theirs = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(64, 64, 3), pooling="avg"
    )
    ours = resnet(50, 1, (64, 64, 3))
    assert same_weights(ours, theirs) == sum(bool(layer.weights) for layer in theirs.layers)
    biases = sum(layer.filters for layer in theirs.layers if isinstance(layer, keras.layers.Conv2D))
    # One unit of the classifier has 2048 weights and a bias.
    assert ours.count_params() - 2049 == theirs.count_params() - biases
    # The total that Keras documents for 1000 classes.
    assert ours.count_params() - 2049 + biases + 2048 * 1000 + 1000 == 25_636_712
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    features = np.array(keras.Model(ours.input, ours.get_layer("pool").output)(x))
    expected = np.array(theirs(x))
    assert expected.std() > 0.01
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3 * expected.max())


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"depth": 20}, "depth must be one of 18, 34, 50, 101, 152, not 20"),
        ({"stem": "large"}, "stem must be one of 'imagenet', 'small', not 'large'"),
        ({"shortcut": "D"}, "shortcut must be one of 'A', 'B', 'C', not 'D'"),
        ({"stride_in": "5x5"}, "stride_in must be one of '1x1', '3x3', not '5x5'"),
    ],
)
def test_invalid_arguments_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        resnet(**kwargs)
