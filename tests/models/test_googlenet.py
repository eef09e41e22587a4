import keras
import numpy as np
import pytest

from dlrecipes.models import googlenet

# The paper's table 1: channels of the 1x1, the 3x3 with its reduction, the 5x5 with its
# reduction and the projection after pooling; the size of the output; thousands of parameters.
TABLE = {
    "3a": ((64, 96, 128, 16, 32, 32), (28, 28, 256), 159),
    "3b": ((128, 128, 192, 32, 96, 64), (28, 28, 480), 380),
    "4a": ((192, 96, 208, 16, 48, 64), (14, 14, 512), 364),
    "4b": ((160, 112, 224, 24, 64, 64), (14, 14, 512), 437),
    "4c": ((128, 128, 256, 24, 64, 64), (14, 14, 512), 463),
    "4d": ((112, 144, 288, 32, 64, 64), (14, 14, 528), 580),
    "4e": ((256, 160, 320, 32, 128, 128), (14, 14, 832), 840),
    "5a": ((256, 160, 320, 32, 128, 128), (7, 7, 832), 1072),
    "5b": ((384, 192, 384, 48, 128, 128), (7, 7, 1024), 1388),
}
# Modules for which the table's channels and its parameter counts contradict each other.
MISPRINTED = {"4a", "4c", "4d", "4e", "5a", "5b"}
# The 7x7 convolution and the 3x3 convolution with its reduction, biases included.
STEM = (7 * 7 * 3 * 64 + 64) + (64 * 64 + 64) + (9 * 64 * 192 + 192)
CLASSIFIER = 1024 * 1000 + 1000


def module_parameters(inputs, channels):
    conv_1, reduce_3, conv_3, reduce_5, conv_5, projection = channels
    kernels = inputs * (conv_1 + reduce_3 + reduce_5 + projection)
    kernels += 9 * reduce_3 * conv_3 + 25 * reduce_5 * conv_5
    return kernels, sum(channels)


def modules():
    """Yields each module's name, kernel weights, biases and thousands in the table."""
    inputs = 192
    for name, (channels, shape, thousands) in TABLE.items():
        yield name, *module_parameters(inputs, channels), thousands
        inputs = shape[-1]


def auxiliary_parameters(inputs):
    """Returns the parameters of a 1x1 convolution on 4x4, 1024 hidden units and the classifier."""
    return (inputs * 128 + 128) + (4 * 4 * 128 * 1024 + 1024) + CLASSIFIER


def test_parameter_counts_of_modules_match_the_papers_table():
    model = googlenet(kernel_initializer="zeros")
    for name, kernels, biases, _ in modules():
        prefix = f"inception_{name}_"
        layers = [layer for layer in model.layers if layer.name.startswith(prefix)]
        assert sum(layer.count_params() for layer in layers) == kernels + biases
    total = STEM + sum(kernels + biases for _, kernels, biases, _ in modules()) + CLASSIFIER
    assert model.count_params() == total == 6_998_552


def test_modules_match_the_papers_thousands_except_for_misprints():
    """The tolerance is one K, which is 1024 weights: the stem's 3x3 with reduction has 112K."""
    assert (64 * 64 + 9 * 64 * 192) / 1024 == 112
    for name, kernels, biases, thousands in modules():
        low, high = kernels / 1024, (kernels + biases) / 1024
        matches = low - 1 <= thousands <= high + 1
        assert matches == (name not in MISPRINTED), name
        # The largest error is the 463 of module 4c; the others are below 6 %.
        assert abs(thousands / low - 1) < 0.08


def test_auxiliary_classifiers_are_two_heads_that_can_be_removed():
    model = googlenet(auxiliary=True, kernel_initializer="zeros")
    heads = auxiliary_parameters(512) + auxiliary_parameters(528)
    assert model.count_params() == 6_998_552 + heads == 13_378_280
    plain = keras.Model(model.input, model.output["predictions"])
    assert plain.count_params() == 6_998_552


def test_stages_have_the_sizes_of_the_papers_table():
    model = googlenet(auxiliary=True, width=1 / 16, kernel_initializer="zeros")
    expected = {
        "conv1": (112, 112, 64),
        "pool1": (56, 56, 64),
        "conv2": (56, 56, 192),
        "pool2": (28, 28, 192),
        **{f"inception_{name}": shape for name, (_, shape, _) in TABLE.items()},
        "pool3": (14, 14, 480),
        "pool4": (7, 7, 832),
        "auxiliary_1_pool": (4, 4, 512),
        "auxiliary_2_pool": (4, 4, 528),
    }
    for name, (height, width, channels) in expected.items():
        shape = model.get_layer(name).output.shape[1:]
        assert shape == (height, width, channels // 16), name


def test_normalisation_follows_the_first_pooling_and_precedes_the_second():
    model = googlenet(width=1 / 16, kernel_initializer="zeros")
    assert model.get_layer("norm1").input is model.get_layer("pool1").output
    assert model.get_layer("norm2").input is model.get_layer("conv2").output
    assert model.get_layer("pool2").input is model.get_layer("norm2").output


def test_auxiliary_classifiers_follow_the_papers_modules():
    model = googlenet(auxiliary=True, width=1 / 16, kernel_initializer="zeros")
    for head, module in (("auxiliary_1", "4a"), ("auxiliary_2", "4d")):
        pool = model.get_layer(f"{head}_pool")
        assert pool.input is model.get_layer(f"inception_{module}").output
        assert model.get_layer(f"{head}_dropout").rate == 0.7
    assert model.get_layer("dropout").rate == 0.4


def test_output_is_a_dictionary_only_with_auxiliary_classifiers():
    both = googlenet(7, (65, 65, 1), auxiliary=True, width=1 / 16)
    shapes = {name: tensor.shape for name, tensor in both.output.items()}
    names = ("predictions", "auxiliary_1", "auxiliary_2")
    assert shapes == dict.fromkeys(names, (None, 7))
    plain = googlenet(7, (65, 65, 1), width=1 / 16)
    for layer in plain.layers:
        layer.set_weights(both.get_layer(layer.name).get_weights())
    x = np.random.default_rng(0).normal(size=(2, 65, 65, 1)).astype("float32")
    np.testing.assert_allclose(np.array(plain(x)), np.array(both(x)["predictions"]), atol=1e-6)


def test_invalid_auxiliary_dropout_is_rejected():
    with pytest.raises(ValueError, match=r"auxiliary_dropout must be a number in \[0, 1\), not 1"):
        googlenet(auxiliary=True, auxiliary_dropout=1)
