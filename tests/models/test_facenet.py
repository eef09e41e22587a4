import math

import keras
import numpy as np
import pytest

from dlrecipes.models import facenet_inception_resnet, facenet_small

RNG = np.random.default_rng(0)


def array(x):
    return keras.ops.convert_to_numpy(x)


def trainable(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def conv(inputs, outputs, height, width=None):
    """Returns the weights of a convolution without bias and of its normalisation."""
    return inputs * outputs * height * (width or height) + 2 * outputs


def inception_resnet_parameters(channels, units, repeats):
    """Returns the parameter count from the paper's figures, one line per module."""
    stem = conv(channels, 32, 3) + conv(32, 32, 3) + conv(32, 64, 3)
    stem += conv(64, 80, 1) + conv(80, 192, 3) + conv(192, 256, 3)
    a = 3 * conv(256, 32, 1) + 3 * conv(32, 32, 3) + (96 * 256 + 256)
    reduction_a = conv(256, 384, 3) + conv(256, 192, 1) + conv(192, 192, 3) + conv(192, 256, 3)
    after_a = 384 + 256 + 256
    b = 2 * conv(after_a, 128, 1) + conv(128, 128, 1, 7) + conv(128, 128, 7, 1)
    b += 256 * after_a + after_a
    reduction_b = 3 * conv(after_a, 256, 1) + conv(256, 384, 3) + 3 * conv(256, 256, 3)
    after_b = 384 + 256 + 256 + after_a
    c = 2 * conv(after_b, 192, 1) + conv(192, 192, 1, 3) + conv(192, 192, 3, 1)
    c += 384 * after_b + after_b
    blocks = repeats[0] * a + repeats[1] * b + (repeats[2] + 1) * c
    return stem + blocks + reduction_a + reduction_b + after_b * units + 2 * units


def test_inception_resnet_has_the_parameters_of_the_published_face_networks():
    """The widely used PyTorch network with 512 units, without its classifier, has 23,482,624."""
    assert inception_resnet_parameters(3, 512, (5, 10, 5)) == 23_482_624
    assert trainable(facenet_inception_resnet(embedding_units=512)) == 23_482_624


@pytest.mark.parametrize("channels, units, repeats", [(1, 128, (1, 0, 0)), (3, 64, (0, 1, 2))])
def test_inception_resnet_parameters_follow_channels_units_and_blocks(channels, units, repeats):
    model = facenet_inception_resnet((None, None, channels), embedding_units=units, repeats=repeats)
    assert trainable(model) == inception_resnet_parameters(channels, units, repeats)


def test_inception_resnet_has_the_grids_of_the_paper():
    """Images of 299x299 give grids of 35, 17 and 8; images of 160x160, grids of 17, 8 and 3."""
    for size, grids in ((299, (35, 17, 8)), (160, (17, 8, 3))):
        model = facenet_inception_resnet((size, size, 3), repeats=(1, 1, 1), width=0.05)
        for number, grid in enumerate(grids, start=1):
            assert model.get_layer(f"grid_{number}_block_1").output.shape[1:3] == (grid, grid)


def test_inception_resnet_adds_scaled_branches():
    """With scale 0 a block returns its input, because ReLU does not change positive values."""
    model = facenet_inception_resnet(
        (75, 75, 1), repeats=(1, 1, 1), scales=(0.0, 0.5, 1.0), width=0.05
    )
    rng = np.random.default_rng(1)
    model.set_weights([abs(rng.normal(size=w.shape)) / 10 for w in model.get_weights()])
    x = RNG.normal(size=(2, 75, 75, 1)).astype("float32")

    def at(name):
        return array(keras.Model(model.inputs, model.get_layer(name).output)([x]))

    np.testing.assert_array_equal(at("grid_1_block_1"), at("stem_conv_7_relu"))
    before, linear = at("grid_1_reduction_branches"), at("grid_2_block_1_linear")
    assert np.abs(linear).max() > 0.01
    np.testing.assert_allclose(at("grid_2_block_1_sum"), before + 0.5 * linear, rtol=1e-5)
    # The last block has no ReLU.
    assert not any(
        isinstance(layer, keras.layers.ReLU)
        for layer in model.layers[model.layers.index(model.get_layer("last_block_sum")) :]
    )


def small_parameters(channels, filters, units):
    sizes = [channels, *filters]
    convs = sum(conv(sizes[i], sizes[i + 1], 3) for i in range(len(filters)))
    return convs + filters[-1] * units + units


@pytest.mark.parametrize(
    "channels, filters, units", [(1, (32, 64, 128, 256), 128), (3, (4, 5), 16)]
)
def test_small_network_has_one_convolution_per_block_and_a_projection(channels, filters, units):
    model = facenet_small((None, None, channels), units, filters)
    assert trainable(model) == small_parameters(channels, filters, units)


def test_flatten_keeps_the_positions_of_the_small_network_apart():
    model = facenet_small((40, 19, 1), 6, (4, 5, 7), "flatten")
    # Three halvings give 5 x 2 positions with 7 channels.
    assert trainable(model) == small_parameters(1, (4, 5, 7), 6) + (5 * 2 - 1) * 7 * 6
    # Average pooling removes the position of a pattern; flattening keeps it.
    x = np.zeros((2, 40, 19, 1), "float32")
    x[0, 8:16, 4:8] = x[1, 24:32, 4:8] = 1
    differences = [
        np.abs(np.subtract(*array(facenet_small((40, 19, 1), 6, (4, 5, 7), pooling)(x)))).max()
        for pooling in ("average", "flatten")
    ]
    assert differences[0] < 1e-4 < 1e-2 < differences[1]


BUILDERS = {
    "small": lambda: facenet_small((None, None, 1), 8, filters=(4, 6), dropout=0.5, seed=1),
    "inception_resnet": lambda: facenet_inception_resnet(
        (None, None, 1), 8, repeats=(0, 0, 0), width=0.1, dropout=0.5, seed=1
    ),
}

each_builder = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


@each_builder
def test_embeddings_are_unit_vectors_and_dropout_is_active_in_training_only(build):
    model = build()
    x = RNG.normal(size=(2, 80, 76, 1)).astype("float32")
    y = array(model(x))
    assert y.shape == (2, 8)
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(array(model(x)), y)
    first, second = (array(model(x, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3


@each_builder
def test_embeddings_keep_float32_in_mixed_precision(build):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy(policy)
    assert model.get_layer("projection").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


@pytest.mark.parametrize(
    "builder, kwargs, message",
    [
        (facenet_small, {"input_shape": (15, 64, 1)}, "at least 16 each"),
        (facenet_small, {"input_shape": (64, 64)}, "input_shape must be"),
        (facenet_small, {"filters": ()}, "filters must have the channels"),
        (facenet_small, {"pooling": "max"}, "pooling must be one of average, flatten"),
        (facenet_small, {"pooling": "flatten"}, "None is not allowed here"),
        (facenet_small, {"embedding_units": 0}, "embedding_units must be"),
        (facenet_small, {"dropout": 1.0}, "dropout must be a number in"),
        (facenet_small, {"filters": 32}, "filters must be a tuple or list of integers"),
        (facenet_small, {"dropout": None}, "dropout must be a number in .*, not None"),
        (facenet_inception_resnet, {"width": "1"}, "width must be a number above 0, not '1'"),
        (facenet_inception_resnet, {"repeats": 5}, "repeats must be a tuple or list"),
        (facenet_inception_resnet, {"scales": 1.0}, "repeats and scales must be three"),
        (facenet_inception_resnet, {"input_shape": (160, 74, 3)}, "at least 75 each"),
        (facenet_inception_resnet, {"repeats": (5, 10)}, "repeats and scales must be three"),
        (facenet_inception_resnet, {"width": 0}, "width must be a number above 0"),
    ],
)
def test_invalid_networks_are_rejected(builder, kwargs, message):
    with pytest.raises(ValueError, match=message):
        builder(**kwargs)
