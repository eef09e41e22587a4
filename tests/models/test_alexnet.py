import numpy as np
import pytest

from dlrecipes.models import alexnet


def expected_parameters(groups):
    """Returns the parameters of each layer: a filter reads only the channels of its group."""
    return {
        "conv1": 11 * 11 * 3 * 96 + 96,
        "conv2": 5 * 5 * (96 // groups) * 256 + 256,
        "conv3": 3 * 3 * 256 * 384 + 384,
        "conv4": 3 * 3 * (384 // groups) * 384 + 384,
        "conv5": 3 * 3 * (384 // groups) * 256 + 256,
        "fc6": 6 * 6 * 256 * 4096 + 4096,
        "fc7": 4096 * 4096 + 4096,
        "predictions": 4096 * 1000 + 1000,
    }


@pytest.mark.parametrize("groups, published", [(2, 60_965_224), (1, 62_378_344)])
def test_parameter_counts_match_the_papers_layers(groups, published):
    model = alexnet(groups=groups, kernel_initializer="zeros")
    counts = {layer.name: layer.count_params() for layer in model.layers if layer.weights}
    assert counts == expected_parameters(groups)
    assert model.count_params() == published
    # The paper speaks of 60 million.
    assert round(published / 1e7) == 6


def test_feature_maps_have_the_sizes_of_the_papers_figure():
    model = alexnet(width=1 / 48, kernel_initializer="zeros")
    names = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
    sizes = [model.get_layer(name).output.shape[1] for name in names]
    assert sizes == [55, 27, 27, 13, 13, 13, 13, 6]


def test_first_two_convolutions_are_normalised_before_pooling():
    model = alexnet(width=1 / 48, kernel_initializer="zeros")
    for index in (1, 2):
        conv, norm, pool = (model.get_layer(f"{name}{index}") for name in ("conv", "norm", "pool"))
        assert norm.input is conv.output
        assert pool.input is norm.output
    assert sum(layer.name.startswith("norm") for layer in model.layers) == 2


def test_groups_are_independent():
    model = alexnet(10, (67, 67, 3), width=1 / 16, kernel_initializer="he_normal")
    conv = model.get_layer("conv2")
    maps = conv.input.shape[-1]
    x = np.random.default_rng(0).normal(size=(1, 5, 5, maps)).astype("float32")
    changed = x.copy()
    changed[..., : maps // 2] += 1
    moved = np.any(np.array(conv(x)) != np.array(conv(changed)), axis=(0, 1, 2))
    half = conv.filters // 2
    assert moved[:half].any()
    assert not moved[half:].any()


def test_weights_are_initialised_as_in_the_paper():
    model = alexnet(10, (67, 67, 3), width=1 / 4)
    biases = {layer.name: np.unique(layer.bias) for layer in model.layers if layer.weights}
    ones = {name for name, bias in biases.items() if bias == 1}
    assert ones == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert {name for name, bias in biases.items() if bias == 0} == set(biases) - ones
    kernel = np.array(model.get_layer("fc7").kernel)
    # A million samples: four standard errors of a standard deviation are below 0.3 %.
    assert abs(kernel.std() / 0.01 - 1) < 0.003


@pytest.mark.parametrize("groups", [1, 3, 4])
def test_channels_are_rounded_to_a_multiple_of_the_groups(groups):
    model = alexnet(10, (67, 67, 3), groups=groups, width=1 / 16, kernel_initializer="zeros")
    for index in range(1, 6):
        assert model.get_layer(f"conv{index}").filters % groups == 0


@pytest.mark.parametrize("groups", [0, -1, 1.5])
def test_invalid_groups_are_rejected(groups):
    with pytest.raises(ValueError, match="groups must be an integer of at least 1"):
        alexnet(groups=groups)
