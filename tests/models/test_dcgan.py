import keras
import numpy as np
import pytest

from dlrecipes.models import dcgan_discriminator, dcgan_generator

RNG = np.random.default_rng(0)
NOISE = RNG.uniform(-1, 1, size=(3, 100)).astype("float32")
IMAGES = RNG.uniform(-1, 1, size=(3, 28, 28, 1)).astype("float32")
LABELS = np.array([0, 1, 2], "int32")
SMALL = {"size": 28, "channels": 1, "filters": 2}
LARGE = {"kernel_initializer": "he_normal"}

each_builder = pytest.mark.parametrize("builder", [dcgan_generator, dcgan_discriminator])


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def shapes(model, prefix):
    return [
        tuple(layer.output.shape[1:]) for layer in model.layers if layer.name.startswith(prefix)
    ]


def test_full_size_generator_matches_figure_1_of_the_paper():
    model = dcgan_generator(kernel_initializer="zeros")
    sides = [(8, 8, 512), (16, 16, 256), (32, 32, 128), (64, 64, 3)]
    assert shapes(model, "maps") == [(4, 4, 1024)]
    assert shapes(model, "upsample") == sides
    project = 100 * 4 * 4 * 1024
    kernels = 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
    # A gain and a bias per normalised channel; the output layer has only a bias.
    assert trainable(model) == project + kernels + 2 * (1024 + 512 + 256 + 128) + 3


def test_full_size_discriminator_mirrors_the_generator():
    model = dcgan_discriminator(kernel_initializer="zeros")
    sides = [(32, 32, 128), (16, 16, 256), (8, 8, 512), (4, 4, 1024)]
    assert shapes(model, "downsample") == sides
    kernels = 25 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024)
    others = 128 + 2 * (256 + 512 + 1024)
    assert trainable(model) == kernels + others + 4 * 4 * 1024 + 1


@pytest.mark.parametrize(("size", "start"), [(8, 4), (28, 7), (32, 4), (40, 5), (48, 6), (56, 7)])
def test_generator_doubles_and_discriminator_halves_the_size(size, start):
    doubled = [start * 2**step for step in range(1, 5) if start * 2**step <= size]
    generator = dcgan_generator(size, filters=1, kernel_initializer="zeros")
    discriminator = dcgan_discriminator(size, filters=1, kernel_initializer="zeros")
    assert [shape[0] for shape in shapes(generator, "upsample")] == doubled
    halved = [start, *doubled[:-1]][::-1]
    assert [shape[0] for shape in shapes(discriminator, "downsample")] == halved


def test_all_but_the_image_layers_are_normalised():
    generator, discriminator = dcgan_generator(32, filters=1), dcgan_discriminator(32, filters=1)
    assert [shape[0] for shape in shapes(generator, "normalize")] == [4, 8, 16]
    assert [shape[0] for shape in shapes(discriminator, "normalize")] == [8, 4]


@each_builder
def test_kernels_are_initialised_normal_with_a_deviation_of_0_02(builder):
    model = builder(size=32, filters=16)
    kernels = [numpy(weight) for weight in model.trainable_weights if weight.name == "kernel"]
    assert len(kernels) == 4
    for kernel in kernels:
        # The relative standard error of a deviation estimated from n values is 1 / sqrt(2 n).
        assert abs(kernel.std() / 0.02 - 1) < 5 / np.sqrt(2 * kernel.size)
        assert abs(kernel.mean()) < 5 * 0.02 / np.sqrt(kernel.size)


def test_images_are_within_minus_1_and_1():
    y = numpy(dcgan_generator(**SMALL, kernel_initializer="he_normal")(100 * NOISE))
    assert np.abs(y).max() <= 1
    assert y.min() < -0.9
    assert y.max() > 0.9


def test_label_and_noise_both_affect_the_image():
    model = dcgan_generator(**SMALL, **LARGE, num_classes=3)
    inputs = {"noise": NOISE[[0, 0, 1]], "label": LABELS[[0, 1, 1]]}
    y = numpy(model(inputs))
    assert np.abs(y[0] - y[1]).max() > 1e-3
    assert np.abs(y[1] - y[2]).max() > 1e-3


def test_label_is_concatenated_to_the_noise_as_one_hot():
    model = dcgan_generator(**SMALL, num_classes=3)
    joined = keras.Model(model.inputs, model.get_layer("condition").output)
    order = {"noise": NOISE, "label": LABELS}
    y = numpy(joined([order[tensor.name] for tensor in model.inputs]))
    np.testing.assert_array_equal(y, np.concatenate([NOISE, np.eye(3)], axis=1))


def test_label_is_concatenated_to_the_image_as_one_hot_planes():
    model = dcgan_discriminator(**SMALL, num_classes=3)
    joined = keras.Model(model.inputs, model.get_layer("condition").output)
    order = {"image": IMAGES, "label": LABELS}
    y = numpy(joined([order[tensor.name] for tensor in model.inputs]))
    np.testing.assert_array_equal(y[..., :1], IMAGES)
    planes = np.broadcast_to(np.eye(3)[:, None, None], (3, 28, 28, 3))
    np.testing.assert_array_equal(y[..., 1:], planes)


@each_builder
@pytest.mark.parametrize("size", [7, 4, 0, 30, 36, 28.0, None])
def test_sizes_that_cannot_be_halved_are_rejected(builder, size):
    with pytest.raises(ValueError, match="size must be 4, 5, 6 or 7 times"):
        builder(size)


@each_builder
@pytest.mark.parametrize("name", ["channels", "filters"])
def test_numbers_below_1_are_rejected(builder, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        builder(**{name: 0})


@each_builder
def test_negative_number_of_classes_is_rejected(builder):
    with pytest.raises(ValueError, match="num_classes must be"):
        builder(num_classes=-1)


def test_noise_without_values_is_rejected():
    with pytest.raises(ValueError, match="latent_size must be"):
        dcgan_generator(latent_size=0)
