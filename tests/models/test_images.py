"""Behaviour that all image classifiers have in common."""

import keras
import numpy as np
import pytest

from dlrecipes.layers._arguments import fresh
from dlrecipes.models import alexnet, googlenet, lenet5, resnet, vgg
from dlrecipes.models.images import scaled, smallest_size

SMALL = {
    "lenet5": (lenet5, {"input_shape": (32, 32, 1)}),
    "alexnet": (alexnet, {"input_shape": (67, 67, 1), "kernel_initializer": "he_normal"}),
    "vgg": (vgg, {"depth": 11, "input_shape": (32, 32, 1)}),
    "googlenet": (googlenet, {"input_shape": (9, 9, 1)}),
    "resnet": (resnet, {"depth": 18, "input_shape": (9, 9, 1), "stem": "small"}),
}
each_network = pytest.mark.parametrize("network", SMALL)


def build(network, **kwargs):
    builder, small = SMALL[network]
    return builder(**{"num_classes": 3, "width": 1 / 16, **small, **kwargs})


def images(model, batch=2):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, *model.input_shape[1:])).astype("float32")


@each_network
def test_outputs_are_probabilities_or_without_activation_logits(network):
    model = build(network)
    logits = build(network, classifier_activation=None)
    logits.set_weights(model.get_weights())
    x = images(model)
    probabilities = np.array(model(x))
    assert model.output_shape == (None, 3)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    exponentials = np.exp(np.array(logits(x)))
    expected = exponentials / exponentials.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


@each_network
def test_input_and_classifier_have_names(network):
    model = build(network, name="mine")
    assert (model.name, model.input.name) == ("mine", "images")
    assert model.get_layer("predictions").output is model.output


@each_network
def test_dropout_is_active_in_training_only_and_reproducible_by_seed(network):
    # Few features, but enough that two dropout masks are unlikely to be equal.
    kwargs = {"width": 1 / 2 if network == "lenet5" else 1 / 16, "classifier_activation": None}
    exact = build(network, dropout=0.0, **kwargs)
    head = exact.get_layer("predictions")
    rng = np.random.default_rng(1)
    head.set_weights([rng.normal(size=weight.shape) for weight in head.get_weights()])
    drops = [build(network, dropout=0.5, seed=seed, **kwargs) for seed in (5, 5, 6)]
    for model in drops:
        model.set_weights(exact.get_weights())
    x = images(exact, batch=4)
    np.testing.assert_array_equal(np.array(drops[0](x)), np.array(exact(x)))
    first, same, other = (np.array(model(x, training=True)) for model in drops)
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-4


@each_network
@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"num_classes": 0}, "num_classes must be an integer of at least 1, not 0"),
        ({"num_classes": 2.0}, "num_classes must be an integer of at least 1, not 2.0"),
        ({"width": 0}, "width must be a number above 0, not 0"),
        ({"width": "1"}, "width must be a number above 0, not '1'"),
        ({"dropout": None}, r"dropout must be a number in \[0, 1\), not None"),
        ({"dropout": "0.5"}, r"dropout must be a number in \[0, 1\), not '0.5'"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), not 1.0"),
        (
            {"input_shape": (224, 224)},
            r"input_shape must be .*\(224, 224\); the channels are missing",
        ),
        ({"input_shape": (224, 224, None)}, "input_shape must be"),
        ({"input_shape": (224, 224, 0)}, "input_shape must be"),
        ({"input_shape": (224.0, 224, 3)}, "input_shape must be"),
        ({"input_shape": 224}, "input_shape must be .*, not 224"),
    ],
)
def test_invalid_arguments_are_rejected(network, kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(network, **kwargs)


@pytest.mark.parametrize(
    "network, kwargs, smallest, last",
    [
        ("lenet5", {}, 32, "C5"),
        ("lenet5", {"padding": "same"}, 28, "C5"),
        ("alexnet", {}, 67, "pool5"),
        ("vgg", {}, 32, "pool5"),
        ("googlenet", {"auxiliary": True}, 65, "auxiliary_1_pool"),
        ("googlenet", {}, 1, "inception_5b"),
        ("resnet", {"stem": "imagenet"}, 1, "conv5_2"),
    ],
)
def test_smallest_image_leaves_one_position_and_smaller_ones_are_rejected(
    network, kwargs, smallest, last
):
    model = build(network, input_shape=(smallest, smallest, 1), **kwargs)
    assert model.get_layer(last).output.shape[1:3] == (1, 1)
    for shape in ((smallest - 1, 99, 1), (99, smallest - 1, 1)):
        with pytest.raises(ValueError, match=f"at least {smallest} each"):
            build(network, input_shape=shape, **kwargs)


@pytest.mark.parametrize(
    "network, kwargs",
    [("lenet5", {}), ("alexnet", {}), ("vgg", {}), ("googlenet", {"auxiliary": True})],
)
def test_dense_layers_on_feature_maps_require_fixed_sizes(network, kwargs):
    with pytest.raises(ValueError, match=r"at least \d+ each, .*1\); None is not allowed"):
        build(network, input_shape=(None, 99, 1), **kwargs)


@pytest.mark.parametrize("network", ["googlenet", "resnet"])
def test_networks_with_global_pooling_accept_any_size(network):
    model = build(network, input_shape=(None, None, 1))
    assert model.input_shape == (None, None, None, 1)
    with pytest.raises(ValueError, match=r"at least 1 each \(or None\), not \(0, None, 1\)"):
        build(network, input_shape=(0, None, 1))


def test_layers_of_the_same_shape_have_different_initial_weights():
    model = vgg(13, 3, (32, 32, 3), 1 / 16, kernel_initializer=keras.initializers.HeNormal())
    first, other = (model.get_layer(name).get_weights()[0] for name in ("conv5_1", "conv5_2"))
    assert np.abs(first - other).max() > 1e-3


def test_fresh_initializer_keeps_its_arguments_and_accepts_a_function():
    initializer = fresh(keras.initializers.RandomNormal(stddev=0.5, seed=3))
    assert initializer.get_config() == {"mean": 0.0, "stddev": 0.5, "seed": 3}
    assert fresh(keras.ops.zeros) is keras.ops.zeros


def positions(size, windows):
    for window, stride in windows:
        # The positions at which a whole window can begin.
        size = len(range(0, size - window + 1, stride))
    return size


@pytest.mark.parametrize(
    "windows",
    [(), ((2, 2),) * 5, ((11, 4), (3, 2), (3, 2), (3, 2)), ((1, 2), (1, 2), (5, 3)), ((2, 3),)],
)
def test_smallest_size_leaves_one_position_after_all_windows(windows):
    expected = next(size for size in range(1, 99) if positions(size, windows) >= 1)
    assert smallest_size(*windows) == expected


@pytest.mark.parametrize(
    "filters, width, multiple, expected",
    [(64, 1, 1, 64), (64, 1.5, 1, 96), (10, 0.26, 1, 3), (64, 1e-6, 1, 1), (96, 0.03, 2, 2)],
)
def test_width_scales_to_the_nearest_multiple_and_at_least_one(filters, width, multiple, expected):
    assert scaled(filters, width, multiple) == expected
