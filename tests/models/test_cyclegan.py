import keras
import numpy as np
import pytest

from dlrecipes.models.cyclegan import cyclegan_generator, load_cyclegan_weights

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


def convolution(x, kernel, stride=1):
    """Cross-correlation without padding; the kernel is `(output, input, height, width)`."""
    size = kernel.shape[-1]
    rows = range(0, x.shape[0] - size + 1, stride)
    columns = range(0, x.shape[1] - size + 1, stride)
    return np.array(
        [
            [np.einsum("hwi,oihw->o", x[r : r + size, c : c + size], kernel) for c in columns]
            for r in rows
        ]
    )


def transposed(x, kernel):
    """PyTorch's ConvTranspose2d(3, stride=2, padding=1, output_padding=1), from its definition.

    Each pixel adds its multiple of the kernel `(input, output, height, width)` at twice its
    position minus the padding.
    """
    height, width, _ = x.shape
    result = np.zeros((2 * height + 2, 2 * width + 2, kernel.shape[1]))
    for r in range(height):
        for c in range(width):
            stamp = np.einsum("i,iohw->hwo", x[r, c], kernel)
            result[2 * r : 2 * r + 3, 2 * c : 2 * c + 3] += stamp
    return result[1 : 2 * height + 1, 1 : 2 * width + 1]


def normalized(x):
    """PyTorch's InstanceNorm2d, which has no weights."""
    return (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5)


def zeros(x):
    return np.pad(x, ((1, 1), (1, 1), (0, 0)))


def reflected(x, size):
    return np.pad(x, ((size, size), (size, size), (0, 0)), mode="reflect")


def published_weights(filters=2, blocks=1):
    """Weights as the authors' state dictionary has them, biases before normalisations included."""
    rng = np.random.default_rng(3)
    shapes = [(filters, 3, 7, 7), (2 * filters, filters, 3, 3), (4 * filters, 2 * filters, 3, 3)]
    shapes += 2 * blocks * [(4 * filters, 4 * filters, 3, 3)]
    # Transposed convolutions: the input's channels come first.
    shapes += [(4 * filters, 2 * filters, 3, 3), (2 * filters, filters, 3, 3), (3, filters, 7, 7)]
    weights = {}
    for number, shape in enumerate(shapes):
        is_transposed = number in (len(shapes) - 3, len(shapes) - 2)
        weights[f"model.{number}.weight"] = rng.normal(0, 0.3, shape).astype("float32")
        outputs = shape[1] if is_transposed else shape[0]
        weights[f"model.{number}.bias"] = rng.normal(0, 0.3, outputs).astype("float32")
    return weights


def authors_output(image, weights):
    first, down_1, down_2, block_1, block_2, up_1, up_2, last = [
        weights[f"model.{number}.weight"] for number in range(8)
    ]
    biases = [weights[f"model.{number}.bias"] for number in range(8)]
    x = np.maximum(normalized(convolution(reflected(image, 3), first) + biases[0]), 0)
    x = np.maximum(normalized(convolution(zeros(x), down_1, 2) + biases[1]), 0)
    x = np.maximum(normalized(convolution(zeros(x), down_2, 2) + biases[2]), 0)
    y = np.maximum(normalized(convolution(reflected(x, 1), block_1) + biases[3]), 0)
    x = x + normalized(convolution(reflected(y, 1), block_2) + biases[4])
    x = np.maximum(normalized(transposed(x, up_1) + biases[5]), 0)
    x = np.maximum(normalized(transposed(x, up_2) + biases[6]), 0)
    return np.tanh(convolution(reflected(x, 3), last) + biases[7])


def test_published_weights_give_the_authors_outputs():
    weights = published_weights()
    model = cyclegan_generator(1, filters=2, padding="symmetric")
    load_cyclegan_weights(model, weights)
    expected = np.array([authors_output(image, weights) for image in X])
    np.testing.assert_allclose(numpy(model(X)), expected, atol=1e-4)
    # TensorFlow's own padding shifts the features.
    shifted = cyclegan_generator(1, filters=2)
    load_cyclegan_weights(shifted, weights)
    assert np.abs(numpy(shifted(X)) - expected).max() > 0.05


def test_weights_of_another_size_are_refused_before_any_is_assigned():
    model = cyclegan_generator(1, filters=2, padding="symmetric")
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"the weights have 10 convolutions, but .* has 8"):
        load_cyclegan_weights(model, published_weights(blocks=2))
    with pytest.raises(
        ValueError, match=r"kernel has the shape \(7, 7, 3, 2\), not \(7, 7, 3, 4\)"
    ):
        load_cyclegan_weights(model, published_weights(filters=4))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_unknown_padding_is_rejected():
    with pytest.raises(ValueError, match="padding must be one of same, symmetric, not 'valid'"):
        cyclegan_generator(padding="valid")
