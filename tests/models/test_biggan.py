import keras
import numpy as np
import pytest
from contract import on_tensorflow

from dlrecipes.models import biggan_discriminator, biggan_generator

RNG = np.random.default_rng(0)
SMALL = {"size": 32, "num_classes": 4, "filters": 1}
TINY = {**SMALL, "latent_chunk": 2, "embedding_size": 3}
NOISE = RNG.normal(size=(3, 8)).astype("float32")
IMAGES = RNG.uniform(-1, 1, size=(3, 32, 32, 3)).astype("float32")
LABELS = np.array([0, 3, 1], "int32")

each_builder = pytest.mark.parametrize("builder", [biggan_generator, biggan_discriminator])

# Blocks of each network by image size: input and output channels in units of `filters`, and
# for the discriminator whether the size is halved (tables 4 to 6 of the paper, and its code).
GENERATORS = {
    32: [(4, 4), (4, 4), (4, 4)],
    64: [(16, 16), (16, 8), (8, 4), (4, 2)],
    128: [(16, 16), (16, 8), (8, 4), (4, 2), (2, 1)],
    256: [(16, 16), (16, 8), (8, 8), (8, 4), (4, 2), (2, 1)],
}
DISCRIMINATORS = {
    32: [(0, 4, True), (4, 4, True), (4, 4, False), (4, 4, False)],
    64: [(0, 1, True), (1, 2, True), (2, 4, True), (4, 8, True), (8, 16, False)],
    128: [(0, 1, True), (1, 2, True), (2, 4, True), (4, 8, True), (8, 16, True), (16, 16, False)],
    256: [
        (0, 1, True),
        (1, 2, True),
        (2, 4, True),
        (4, 8, True),
        (8, 8, True),
        (8, 16, True),
        (16, 16, False),
    ],
}
# The block after which there are 64 pixels in each direction.
ATTENTION = {"generator": {64: 4, 128: 4, 256: 4}, "discriminator": {128: 1, 256: 2}}


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def convolution(kernel, inputs, outputs):
    return kernel * kernel * inputs * outputs + outputs


def attention(channels):
    """Returns the parameters of keys and queries (1/8 of the channels), values (1/2) and gamma."""
    return 2 * channels * (channels // 8) + 2 * channels * (channels // 2) + 1


def generator_parameters(size, filters, num_classes, chunk, embedding):
    blocks = [(filters * a, filters * b) for a, b in GENERATORS[size]]
    total = num_classes * embedding + (chunk + 1) * 4 * 4 * blocks[0][0]
    for number, (a, b) in enumerate(blocks, start=1):
        total += convolution(3, a, b) + convolution(3, b, b) + convolution(1, a, b)
        # A gain and a bias per channel, linear in the class embedding and in a noise chunk.
        total += 2 * (embedding + chunk) * (a + b)
        if ATTENTION["generator"].get(size) == number:
            total += attention(b)
    return total + 2 * blocks[-1][1] + convolution(3, blocks[-1][1], 3)


def discriminator_parameters(size, filters, num_classes):
    total = 0
    for number, (a, b, halved) in enumerate(DISCRIMINATORS[size], start=1):
        a, b = filters * a or 3, filters * b
        total += convolution(3, a, b) + convolution(3, b, b)
        total += convolution(1, a, b) if halved or a != b else 0
        if ATTENTION["discriminator"].get(size) == number:
            total += attention(b)
    return total + (b + 1) + num_classes * b


def test_full_size_networks_have_the_published_parameter_counts():
    # Counts that the authors' PyTorch code prints for 128 pixels.
    assert generator_parameters(128, 96, 1000, 20, 128) == 70_433_988
    assert discriminator_parameters(128, 96, 1000) == 87_982_370
    generator = biggan_generator(kernel_initializer="zeros")
    discriminator = biggan_discriminator(kernel_initializer="zeros")
    assert trainable(generator) == 70_433_988
    assert trainable(discriminator) == 87_982_370
    (noise,) = (tensor for tensor in generator.inputs if tensor.name == "noise")
    assert tuple(noise.shape) == (None, 120)


@pytest.mark.parametrize("size", [32, 64, 256])
def test_parameter_counts_of_other_sizes_match_the_papers_tables(size):
    kwargs = {"size": size, "num_classes": 5, "filters": 8, "kernel_initializer": "zeros"}
    generator = biggan_generator(**kwargs, latent_chunk=2, embedding_size=3)
    assert trainable(generator) == generator_parameters(size, 8, 5, 2, 3)
    discriminator = biggan_discriminator(**kwargs)
    assert trainable(discriminator) == discriminator_parameters(size, 8, 5)
    assert tuple(generator.output.shape) == (None, size, size, 3)
    assert tuple(discriminator.output.shape) == (None, 1)


@each_builder
def test_attention_follows_the_block_of_the_requested_size(builder):
    names = [
        layer.name
        for layer in builder(128, filters=1, num_classes=2, kernel_initializer="zeros").layers
    ]
    before = {biggan_generator: "block_4_add", biggan_discriminator: "block_1_add"}[builder]
    assert names.index("attention") == names.index(before) + 1
    assert "attention" not in [layer.name for layer in builder(**SMALL).layers]
    side = builder(**SMALL, attention=16).get_layer("attention").output.shape[1]
    assert side == 16


def outputs(model, names, inputs):
    """Returns outputs of inner layers."""
    inner = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    return [numpy(y) for y in inner([inputs[tensor.name] for tensor in model.inputs])]


def test_each_noise_chunk_affects_its_block_and_later_blocks():
    model = biggan_generator(**TINY)
    names = ["maps", "block_1_add", "block_2_add", "block_3_add"]
    plain = outputs(model, names, {"noise": NOISE, "label": LABELS})
    for chunk in range(4):
        noise = NOISE.copy()
        noise[:, 2 * chunk : 2 * chunk + 2] += 1
        moved = outputs(model, names, {"noise": noise, "label": LABELS})
        different = [np.any(a != b) for a, b in zip(plain, moved, strict=True)]
        assert different == [block >= chunk for block in range(4)]


def test_class_affects_every_block_through_one_shared_embedding():
    model = biggan_generator(**TINY)
    names = ["maps", "block_1_add", "block_2_add", "block_3_add"]
    plain = outputs(model, names, {"noise": NOISE, "label": LABELS})
    moved = outputs(model, names, {"noise": NOISE, "label": LABELS[::-1].copy()})
    assert [np.any(a[0] != b[0]) for a, b in zip(plain, moved, strict=True)] == [0, 1, 1, 1]
    # The second example has the same label in both.
    for a, b in zip(plain, moved, strict=True):
        np.testing.assert_allclose(a[1], b[1], atol=1e-6)
    tables = [weight for weight in model.weights if weight.name == "embeddings"]
    assert [tuple(table.shape) for table in tables] == [(4, 3)]


def test_logit_is_an_unconditional_part_plus_a_class_projection():
    model = biggan_discriminator(**SMALL)
    inputs = {"image": IMAGES, "label": LABELS}
    features, logits = outputs(model, ["features", "logits"], inputs)
    h = features.astype("float64").sum(axis=(1, 2))
    common = model.get_layer("common_normalization").layer
    class_embeddings = numpy(model.get_layer("projection_normalization").layer.kernel)[LABELS]
    expected = h @ numpy(common.kernel) + numpy(common.bias)
    expected += (class_embeddings * h).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    assert features.min() == 0


def test_kernels_are_initialised_orthogonal_and_different():
    model = biggan_discriminator(32, num_classes=4, filters=2)
    kernels = [
        numpy(model.get_layer(f"block_{block}_conv_2_normalization").layer.kernel)
        for block in (2, 3)
    ]
    for kernel in kernels:
        w = kernel.reshape(-1, 8)
        np.testing.assert_allclose(w.T @ w, np.eye(8), atol=1e-5)
    assert np.all(kernels[0] != kernels[1])


@on_tensorflow
def test_training_divides_every_kernel_by_its_estimated_norm():
    networks = {
        biggan_generator(**TINY, attention=16): {"noise": NOISE, "label": LABELS},
        biggan_discriminator(**SMALL, attention=16): {"image": IMAGES, "label": LABELS},
    }
    for model, inputs in networks.items():
        kernels = [weight for weight in model.trainable_weights if weight.name == "kernel"]
        assert len(kernels) > 10
        before = [3 * numpy(kernel) for kernel in kernels]
        for kernel, value in zip(kernels, before, strict=True):
            kernel.assign(value)
        model(inputs, training=True)
        for kernel, value in zip(kernels, before, strict=True):
            quotient = value / numpy(kernel)
            # An estimate cannot exceed the norm, which is 3 for an orthogonal kernel times 3.
            assert 0 < quotient.mean() < 3.001, kernel.path
            np.testing.assert_allclose(quotient, quotient.mean(), rtol=1e-3, err_msg=kernel.path)
            assert np.any(numpy(kernel) != value), kernel.path


@each_builder
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"size": 100}, "size must be one of 32, 64, 128, 256, not 100"),
        ({"size": None}, "size must be"),
        ({"size": 32.0}, "size must be one of 32, 64, 128, 256, not 32.0"),
        ({"channels": 0}, "channels must be"),
        ({"num_classes": 0}, "num_classes must be"),
        ({"filters": 0}, "filters must be"),
        ({"attention": -1}, "attention must be"),
        ({"attention": None}, "attention must be"),
    ],
)
def test_invalid_arguments_are_rejected(builder, kwargs, message):
    with pytest.raises(ValueError, match=message):
        builder(**kwargs)


@pytest.mark.parametrize("name", ["latent_chunk", "embedding_size"])
def test_invalid_input_sizes_of_the_generator_are_rejected(name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        biggan_generator(**{name: 0})
