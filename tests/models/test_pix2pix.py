import keras
import numpy as np
import pytest
from contract import gradients

from dlrecipes.models import patchgan, pix2pix_unet

X = np.random.default_rng(0).uniform(-1, 1, size=(2, 32, 32, 3)).astype("float32")
LARGE = {"kernel_initializer": "he_normal"}


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_full_size_unet_has_the_published_layers_and_parameter_counts():
    model = pix2pix_unet(kernel_initializer="zeros")
    encoder = [64, 128, 256, 512, 512, 512, 512, 512]
    decoder = [512, 512, 512, 512, 256, 128, 64]
    ins = [512, 1024, 1024, 1024, 1024, 512, 256, 128]
    down = sum(16 * a * b for a, b in zip([3, *encoder], encoder, strict=False))
    up = sum(16 * a * b for a, b in zip(ins, [*decoder, 3], strict=True)) + 3
    # Gains and biases of all layers except the first, the innermost and the last.
    norms = 2 * (sum(encoder[1:-1]) + sum(decoder))
    assert trainable(model) == down + up + norms
    # The count that the authors' PyTorch code prints.
    assert trainable(model) == 54_413_955
    joined = [model.get_layer(f"up_{level}_join").output.shape[-1] for level in range(7, 0, -1)]
    assert joined == ins[1:]
    assert tuple(model.get_layer("down_8").output.shape[1:]) == (1, 1, 512)
    dropped = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropped == ["up_7_dropout", "up_6_dropout", "up_5_dropout"]


@pytest.mark.parametrize(("size", "levels"), [(4, 2), (64, 6), (48, 4), (24, 3)])
def test_smaller_sizes_have_fewer_levels(size, levels):
    argument = None if size in (4, 64) else levels
    model = pix2pix_unet(size, filters=1, levels=argument, kernel_initializer="zeros")
    innermost = model.get_layer(f"down_{levels}").output
    assert tuple(innermost.shape[1:3]) == (size >> levels, size >> levels)
    assert f"down_{levels + 1}" not in [layer.name for layer in model.layers]
    assert tuple(model.output.shape[1:]) == (size, size, 3)


def test_decoder_reads_the_encoder_at_each_level():
    model = pix2pix_unet(32, filters=2, dropout=0.0, **LARGE)
    widths = [2, 4, 8, 16, 16]

    def difference():
        return np.abs(numpy(model(X[:1])) - numpy(model(X[1:]))).max()

    innermost = model.get_layer("down_5")
    innermost.kernel.assign(0 * innermost.kernel)
    assert difference() > 0.01
    # The remaining difference comes from the encoder's outputs, the last inputs of each layer.
    for level in range(4, -1, -1):
        kernel = numpy(model.get_layer(f"up_{level}").kernel).copy()
        width = widths[level]
        assert kernel.shape[-1] == (width if level == 4 else 2 * width)
        kernel[..., width:] = 0
        model.get_layer(f"up_{level}").kernel.assign(kernel)
    assert difference() < 1e-6


def test_dropout_is_active_in_training_only_and_reproducible_by_seed():
    model = pix2pix_unet(32, filters=2, norm="instance", seed=1, **LARGE)
    np.testing.assert_array_equal(numpy(model(X)), numpy(model(X)))
    noisy = numpy(model(X, training=True))
    assert np.abs(noisy - numpy(model(X, training=True))).max() > 1e-3
    again = pix2pix_unet(32, filters=2, norm="instance", seed=1, **LARGE)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(numpy(again(X, training=True)), noisy)


@pytest.mark.parametrize(
    ("upsampling", "is_even"), [("nearest", True), ("bilinear", True), ("transposed", False)]
)
def test_only_transposed_convolutions_leave_a_checkerboard(upsampling, is_even):
    options = {"filters": 2, "levels": 2, "norm": "none", "dropout": 0.0, "seed": 0}
    keras.utils.set_random_seed(0)
    model = pix2pix_unet(32, upsampling=upsampling, **options, **LARGE)
    # Far from the edges, a plain image stays plain in the encoder, and so in an even decoder.
    plain = np.full((1, 32, 32, 3), 0.5, "float32")
    middle = numpy(model(plain))[0, 12:20, 12:20]
    assert np.abs(middle).max() > 0.01
    assert (np.ptp(middle, axis=(0, 1)).max() < 1e-5) == is_even


def test_final_convolutions_read_the_image_at_full_resolution():
    options = {"filters": 2, "levels": 2, "norm": "none", "dropout": 0.0, **LARGE}
    model = pix2pix_unet(16, final_filters=8, **options)
    kernel = numpy(model.get_layer("up_0").kernel).copy()
    # 4 channels of the decoder, then 3 of the image.
    assert kernel.shape == (3, 3, 4 + 3, 8)
    kernel[:, :, :4] = 0
    model.get_layer("up_0").kernel.assign(kernel)
    x = X[:1, :16, :16]
    (gradient,) = gradients(lambda image: model(image)[0, 7, 9, 0], x)
    rows, columns = np.nonzero(np.abs(gradient[0]).sum(-1))
    # Two 3x3 convolutions of stride 1 read 5x5 pixels around the output's.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 9, 7, 11)
    with pytest.raises(ValueError, match="final_filters"):
        pix2pix_unet(16, final_filters=-1)


def test_unet_without_normalisation_has_a_bias_in_each_layer():
    model = pix2pix_unet(16, filters=2, norm="none", kernel_initializer="zeros")
    convolutions = [layer for layer in model.layers if hasattr(layer, "kernel")]
    assert len(convolutions) == 8
    assert all(layer.use_bias for layer in convolutions)
    assert not [layer for layer in model.layers if "normalization" in layer.name]


@pytest.mark.parametrize(
    ("kwargs", "count"),
    [
        # Kernels; biases of the first and last layer; two more parameters per channel in between.
        (
            {},
            (16 * 6 * 64 + 64)
            + (16 * 64 * 128 + 2 * 128)
            + (16 * 128 * 256 + 2 * 256)
            + (16 * 256 * 512 + 2 * 512)
            + (16 * 512 + 1),
        ),
        # CycleGAN's discriminator: one more parameter per channel in between.
        (
            {"condition_channels": 0, "norm": "instance"},
            (16 * 3 * 64 + 64)
            + (16 * 64 * 128 + 128)
            + (16 * 128 * 256 + 256)
            + (16 * 256 * 512 + 512)
            + (16 * 512 + 1),
        ),
        # PixelGAN: only 1x1 convolutions.
        ({"layers": 0}, (6 * 64 + 64) + (64 * 128 + 2 * 128) + (128 + 1)),
    ],
)
def test_full_size_patchgan_has_the_published_parameter_counts(kwargs, count):
    assert trainable(patchgan(**kwargs, kernel_initializer="zeros")) == count
    # The counts that the authors' PyTorch code prints for the two default discriminators.
    published = {"": 2_768_705, "instance": 2_764_737}
    if "layers" not in kwargs:
        assert count == published[kwargs.get("norm", "")]


@pytest.mark.parametrize(
    ("layers", "pixels"), [(0, 1), (1, 16), (2, 34), (3, 70), (4, 142), (5, 286)]
)
def test_receptive_field_of_a_logit_has_the_papers_size(layers, pixels):
    # All weights are positive, so that paths from a pixel to the logit do not cancel out.
    model = patchgan(
        layers, channels=1, condition_channels=0, filters=1, norm="none", kernel_initializer="ones"
    )
    side = 352 if layers else 5
    x = np.ones((1, side, side, 1), "float32")
    middle = model(x).shape[1] // 2
    (gradient,) = gradients(lambda image: model(image)[0, middle, middle, 0], x)
    rows, columns = np.nonzero(gradient[0, :, :, 0])
    assert rows.min() > 0 and rows.max() < side - 1
    for indices in (rows, columns):
        assert indices.max() - indices.min() + 1 == pixels
    assert np.count_nonzero(gradient) == pixels**2


def test_image_of_256_pixels_has_30_times_30_patches():
    model = patchgan(channels=1, condition_channels=0, filters=1, kernel_initializer="zeros")
    assert tuple(model(np.zeros((1, 256, 256, 1))).shape) == (1, 30, 30, 1)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_smallest_image_has_one_patch(layers):
    model = patchgan(layers, channels=1, condition_channels=0, filters=1, norm="none")
    side = 3 * 2**layers
    assert tuple(model(np.zeros((1, side, side, 1))).shape) == (1, 1, 1, 1)


def test_condition_and_image_are_distinguished():
    model = patchgan(1, filters=2, **LARGE)
    pair = {"condition": X[:1], "image": X[1:]}
    swapped = {"condition": X[1:], "image": X[:1]}
    assert np.abs(numpy(model(pair)) - numpy(model(swapped))).max() > 1e-3
    joined = keras.Model(model.inputs, model.get_layer("pair").output)
    y = numpy(joined([pair[tensor.name] for tensor in model.inputs]))
    np.testing.assert_array_equal(y, np.concatenate([X[:1], X[1:]], axis=-1))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"size": 100}, "levels must be given"),
        ({"size": None}, "levels must be given"),
        ({"size": 100, "levels": 3}, r"multiple of 2\*\*levels = 8, not 100"),
        ({"size": 2}, "size must be"),
        ({"size": 16.0}, "size must be"),
        ({"levels": 1}, "levels must be"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"dropout": None}, "dropout must be a number in .*, not None"),
        ({"dropout": -0.1}, "dropout must be"),
        ({"norm": "layer"}, "norm 'layer' is not one of"),
        ({"upsampling": "cubic"}, "upsampling 'cubic' is not one of"),
        ({"channels": 0}, "channels must be"),
        ({"output_channels": 0}, "output_channels must be"),
        ({"filters": 0}, "filters must be"),
    ],
)
def test_invalid_arguments_of_the_unet_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        pix2pix_unet(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"layers": -1}, "layers must be"),
        ({"condition_channels": -1}, "condition_channels must be"),
        ({"norm": "layer"}, "norm 'layer' is not one of"),
        ({"channels": 0}, "channels must be"),
        ({"filters": 0}, "filters must be"),
    ],
)
def test_invalid_arguments_of_the_discriminator_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        patchgan(**kwargs)
