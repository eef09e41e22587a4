import keras
import numpy as np
import pytest

from dlrecipes.models import cyclegan_generator

X = np.random.default_rng(0).uniform(-1, 1, size=(2, 16, 12, 3)).astype("float32")


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def randomized(model):
    """Returns the model with random weights that are small enough not to saturate tanh."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.2, weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize(("blocks", "published"), [(9, 11.378e6), (6, 7.838e6)])
def test_parameter_counts_match_the_published_ones(blocks, published):
    model = cyclegan_generator(blocks, kernel_initializer="zeros")
    # Each convolution has a bias, either its own or the bias of the normalisation after it.
    c7s1 = (7 * 7 * 3 * 64 + 64) + (7 * 7 * 64 * 3 + 3)
    d128, d256 = 9 * 64 * 128 + 128, 9 * 128 * 256 + 256
    u128, u64 = 9 * 256 * 128 + 128, 9 * 128 * 64 + 64
    residual = 2 * (9 * 256 * 256 + 256)
    assert model.count_params() == c7s1 + d128 + d256 + blocks * residual + u128 + u64
    # In millions, as the authors' PyTorch code prints it.
    assert round(model.count_params(), -3) == published


def test_feature_maps_have_the_papers_sizes():
    model = cyclegan_generator(1, kernel_initializer="zeros")
    symbolic = keras.Input((256, 128, 3))
    sides = {}
    for name in ("first", "down_1", "down_2", "block_1_add", "up_1", "up_0", "last"):
        layer = model.get_layer(name)
        inner = keras.Model(model.inputs, layer.output)
        sides[name] = tuple(inner(symbolic).shape[1:])
    assert sides == {
        "first": (256, 128, 64),
        "down_1": (128, 64, 128),
        "down_2": (64, 32, 256),
        "block_1_add": (64, 32, 256),
        "up_1": (128, 64, 128),
        "up_0": (256, 128, 64),
        "last": (256, 128, 3),
    }


def test_output_does_not_depend_on_the_inputs_brightness_and_contrast():
    # This requires reflection padding and instance normalisation in the first layer.
    model = randomized(cyclegan_generator(1, filters=2))
    np.testing.assert_allclose(numpy(model(3 * X - 0.5)), numpy(model(X)), atol=1e-3)
    shaded = X * np.linspace(0.2, 1, 12, dtype="float32")[:, None]
    assert np.abs(numpy(model(shaded)) - numpy(model(X))).max() > 0.01


def test_block_adds_to_its_input():
    model = randomized(cyclegan_generator(1, filters=2))
    second = model.get_layer("block_1_2")
    second.kernel.assign(0 * second.kernel)
    bias = model.get_layer("block_1_2_normalization").beta
    before, after = (
        numpy(keras.Model(model.inputs, model.get_layer(name).output)([X]))
        for name in ("down_2_relu", "block_1_add")
    )
    np.testing.assert_allclose(after, before + numpy(bias), atol=1e-6)


def test_layers_that_share_an_initializer_have_different_weights():
    initializer = keras.initializers.RandomNormal()
    model = cyclegan_generator(1, filters=2, kernel_initializer=initializer)
    kernels = [numpy(model.get_layer(f"block_1_{part}").kernel) for part in (1, 2)]
    assert np.all(kernels[0] != kernels[1])


def test_images_are_within_minus_1_and_1():
    model = randomized(cyclegan_generator(1, filters=4))
    last = model.get_layer("last")
    last.kernel.assign(20 * last.kernel)
    y = numpy(model(X))
    assert np.abs(y).max() <= 1
    assert y.min() < -0.9
    assert y.max() > 0.9


@pytest.mark.parametrize("name", ["blocks", "channels", "output_channels", "filters"])
@pytest.mark.parametrize("value", [0, 1.5])
def test_invalid_numbers_are_rejected(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        cyclegan_generator(**{name: value})
