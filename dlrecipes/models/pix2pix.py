"""Image-to-image translation with paired images: a U-Net generator and a PatchGAN discriminator."""

import keras

from dlrecipes.layers import BatchNormalization
from dlrecipes.models._arguments import check_integers, check_rates
from dlrecipes.models.adversarial import gan_initializer
from dlrecipes.models.images import channels_last, nth_seed

KERNEL = 4
NORMS = ("batch", "instance", "none")
UPSAMPLINGS = ("transposed", "nearest", "bilinear")


@channels_last
def pix2pix_unet(
    size: int | None = 256,
    channels: int = 3,
    output_channels: int = 3,
    filters: int = 64,
    levels: int | None = None,
    dropout: float = 0.5,
    norm: str = "batch",
    upsampling: str = "transposed",
    final_filters: int = 0,
    kernel_initializer=None,
    seed: int | None = None,
    name: str = "pix2pix_unet",
) -> keras.Model:
    """Builds the pix2pix U-Net, which translates an image into one of the same size.

    An encoder of strided 4x4 convolutions halves the image `levels` times. A decoder of
    transposed convolutions doubles it again, and at each level also reads the encoder's output of
    that level. The layers have 64, 128, 256 and then 512 filters. The encoder uses LeakyReLU with
    slope 0.2, the decoder ReLU, the output tanh. The first, the innermost and the last layer are
    not normalised, the others are: at 256 pixels the innermost map has a single position, which
    normalisation would set to zero in a batch of one, so that the authors removed it there.

    Dropout and batch statistics are used in training. The paper keeps both at test time as its
    source of noise: call the model with `training=True` to do the same.

    Args:
        size: Height and width, a multiple of `2**levels`; `None` allows any size and requires
            `levels`. Defaults to 256.
        channels: Channels of the input, at least 1. Defaults to 3.
        output_channels: Channels of the output, at least 1. Defaults to 3.
        filters: Filters of the first layer, at least 1; later layers have up to 8 times as many.
            Defaults to 64.
        levels: Number of halvings, at least 2. Defaults to `None`, as many as `size`, which is
            then a power of two, allows: 8 for 256.
        dropout: Dropout rate after each of the first three decoder layers, in [0, 1). Defaults to
            0.5.
        norm: `"batch"`, `"instance"` (the same as `"batch"` for a batch of one, but with a bias
            only), or `"none"`. Defaults to `"batch"`.
        upsampling: How the decoder doubles an image: `"transposed"`, the paper's transposed
            convolutions, or `"nearest"` or `"bilinear"`, an interpolation of that kind and then a
            3x3 convolution. Transposed convolutions tend to leave a checkerboard in the images,
            and repeated pixels fine stripes. Defaults to `"transposed"`.
        final_filters: Filters of an additional 3x3 convolution at full resolution, before the last
            layer. It reads the doubled output of the decoder (bilinear, but with `"nearest"`
            repeated pixels) and the input image, so that edges of the input remain sharp in the
            output. Defaults to 0, the paper's network without it.
        kernel_initializer: Initializer of all kernels. Defaults to `None`, the paper's normal
            distribution with a standard deviation of 0.02.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"pix2pix_unet"`.

    Returns:
        A functional `keras.Model`. Input: `image` of shape `(batch, size, size, channels)`
        in [-1, 1]. Output: images of shape `(batch, size, size, output_channels)` in
        [-1, 1], float32.

    Raises:
        ValueError: If `size` cannot be halved `levels` times, `norm` or `upsampling` is not one
            of the listed ones, or a number is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import pix2pix_unet
    >>> model = pix2pix_unet(size=16, filters=2)
    >>> tuple(model(keras.ops.zeros((1, 16, 16, 3))).shape)
    (1, 16, 16, 3)

    Reference:
        Isola, Zhu, Zhou and Efros, 2017, "Image-to-image translation with conditional
        adversarial networks", section 3.2.1 and appendix 6.1.1, with its errata.
        https://arxiv.org/abs/1611.07004
        Odena, Dumoulin and Olah, 2016, "Deconvolution and checkerboard artifacts", for
        `"nearest"` and `"bilinear"`.
        https://doi.org/10.23915/distill.00003
    """
    _check(norm, channels=channels, output_channels=output_channels, filters=filters)
    if upsampling not in UPSAMPLINGS:
        names = ", ".join(UPSAMPLINGS)
        raise ValueError(f"upsampling {upsampling!r} is not one of {names}.")
    check_integers(0, final_filters=final_filters)
    levels = _levels(size, levels)
    check_rates(dropout=dropout)
    image = keras.Input((size, size, channels), name="image")
    widths = [filters * min(2**level, 8) for level in range(levels)]
    # Normalisation layers add a bias. As published, the first and the innermost layer then have
    # no bias at all.
    bias = norm == "none"
    x, encoded = image, []
    for level, width in enumerate(widths, start=1):
        if level > 1:
            x = keras.layers.LeakyReLU(0.2, name=f"down_{level}_leaky_relu")(x)
        x = _halved(x, f"down_{level}", width, kernel_initializer, bias)
        if 1 < level < levels:
            x = _normalized(x, norm, f"down_{level}")
        encoded.append(x)
    for index, level in enumerate(reversed(range(1, levels))):
        x = keras.layers.ReLU(name=f"up_{level}_relu")(x)
        width = widths[level - 1]
        x = _doubled(x, upsampling, f"up_{level}", width, kernel_initializer, bias)
        x = _normalized(x, norm, f"up_{level}")
        if dropout and index < 3:
            drop_seed = nth_seed(seed, index)
            x = keras.layers.Dropout(dropout, seed=drop_seed, name=f"up_{level}_dropout")(x)
        x = keras.layers.Concatenate(name=f"up_{level}_join")([x, encoded[level - 1]])
    x = keras.layers.ReLU(name="up_0_relu")(x)
    if final_filters:
        x = keras.layers.Concatenate(name="up_0_join")([_resized(x, upsampling, "up_0"), image])
        x = _convolved(x, "up_0", final_filters, kernel_initializer, bias)
        x = keras.layers.ReLU(name="final_relu")(_normalized(x, norm, "up_0"))
        x = _convolved(x, "final", output_channels, kernel_initializer, True)
    else:
        x = _doubled(x, upsampling, "up_0", output_channels, kernel_initializer, True)
    x = keras.layers.Activation("tanh", dtype="float32", name="output")(x)
    return keras.Model(image, x, name=name)


@channels_last
def patchgan(
    layers: int = 3,
    channels: int = 3,
    condition_channels: int = 3,
    filters: int = 64,
    norm: str = "batch",
    kernel_initializer=None,
    name: str = "patchgan",
) -> keras.Model:
    """Builds the PatchGAN discriminator, which scores whether each patch of an image is real.

    `layers` strided 4x4 convolutions are followed by one of stride 1 and by one of stride 1 that
    outputs the logits, each padded with one pixel of zeros. The receptive field of a logit, in
    pixels per direction, depends on `layers`:

        layers    0    1    2    3     4     5
        pixels    1   16   34   70   142   286

    With 0 layers all convolutions are 1x1 (the paper's PixelGAN). LeakyReLU has a slope of
    0.2; the first and the last layer are not normalised. The default is the paper's 70x70
    PatchGAN, and `condition_channels=0, norm="instance"` gives CycleGAN's discriminator. Batch
    normalisation uses batch statistics in training and moving statistics at inference.

    Args:
        layers: Number of strided convolutions, at least 0. Defaults to 3.
        channels: Channels of the image to judge, at least 1. Defaults to 3.
        condition_channels: Channels of the image that it was translated from; 0 leaves that input
            out. Defaults to 3.
        filters: Filters of the first layer, at least 1; later layers have up to 8 times as many.
            Defaults to 64.
        norm: `"batch"`, `"instance"` (with a bias only), or `"none"`. Defaults to `"batch"`.
        kernel_initializer: Initializer of all kernels. Defaults to `None`, the paper's normal
            distribution with a standard deviation of 0.02.
        name: Model name. Defaults to `"patchgan"`.

    Returns:
        A functional `keras.Model`. Inputs: `condition`, unless left out, and `image`, of shapes
        `(batch, height, width, channels)`. Height and width are not fixed; with at least one
        layer, they must be at least `3 * 2**layers`: 24 by default. `fit` and `predict` reject
        smaller images, but on TensorFlow a direct call may return another shape instead. Output:
        logits of shape `(batch, rows, columns, 1)`, float32; by default 30x30 for an image of
        256x256 pixels. The inputs must all be tensors or all NumPy arrays.

    Raises:
        ValueError: If `norm` is not one of the listed ones, or a number is too small.

    Example:

    >>> import keras
    >>> from dlrecipes.models import patchgan
    >>> model = patchgan(layers=1, filters=2)
    >>> image = keras.ops.zeros((1, 16, 24, 3))
    >>> tuple(model({"condition": image, "image": image}).shape)
    (1, 6, 10, 1)

    Reference:
        Isola, Zhu, Zhou and Efros, 2017, "Image-to-image translation with conditional
        adversarial networks", section 3.2.2 and appendix 6.1.2.
        https://arxiv.org/abs/1611.07004
    """
    _check(norm, channels=channels, filters=filters)
    check_integers(0, layers=layers, condition_channels=condition_channels)
    image = keras.Input((None, None, channels), name="image")
    inputs, x = image, image
    if condition_channels:
        condition = keras.Input((None, None, condition_channels), name="condition")
        inputs = {"condition": condition, "image": image}
        x = keras.layers.Concatenate(name="pair")([condition, image])
    kernel = KERNEL if layers else 1
    for layer in range(max(layers, 1) + 1):
        layer_name = f"layer_{layer + 1}"
        x = _padded(x, kernel, layer_name)
        x = keras.layers.Conv2D(
            filters * min(2**layer, 8),
            kernel,
            strides=2 if layer < layers else 1,
            use_bias=layer == 0 or norm == "none",
            kernel_initializer=gan_initializer(kernel_initializer),
            data_format="channels_last",
            name=layer_name,
        )(x)
        if layer:
            x = _normalized(x, norm, layer_name)
        x = keras.layers.LeakyReLU(0.2, name=f"{layer_name}_leaky_relu")(x)
    x = keras.layers.Conv2D(
        1,
        kernel,
        kernel_initializer=gan_initializer(kernel_initializer),
        data_format="channels_last",
        dtype="float32",
        name="logits",
    )(_padded(x, kernel, "logits"))
    return keras.Model(inputs, x, name=name)


def _halved(x, name, filters, initializer, use_bias):
    options = _convolution(name, filters, initializer, use_bias)
    return keras.layers.Conv2D(kernel_size=KERNEL, strides=2, **options)(x)


def _doubled(x, upsampling, name, filters, initializer, use_bias):
    if upsampling == "transposed":
        options = _convolution(name, filters, initializer, use_bias)
        return keras.layers.Conv2DTranspose(kernel_size=KERNEL, strides=2, **options)(x)
    x = _resized(x, upsampling, name)
    return _convolved(x, name, filters, initializer, use_bias)


def _resized(x, upsampling, name):
    return keras.layers.UpSampling2D(
        data_format="channels_last",
        interpolation="nearest" if upsampling == "nearest" else "bilinear",
        name=f"{name}_resized",
    )(x)


def _convolved(x, name, filters, initializer, use_bias):
    options = _convolution(name, filters, initializer, use_bias)
    return keras.layers.Conv2D(kernel_size=3, **options)(x)


def _convolution(name, filters, initializer, use_bias) -> dict:
    """Returns the arguments that all convolutions of the U-Net share."""
    return {
        "filters": filters,
        "padding": "same",
        "use_bias": use_bias,
        "kernel_initializer": gan_initializer(initializer),
        "data_format": "channels_last",
        "name": name,
    }


def _normalized(x, norm, name):
    if norm == "batch":
        layer = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_normalization")
    elif norm == "instance":
        layer = keras.layers.GroupNormalization(
            groups=-1, scale=False, epsilon=1e-5, name=f"{name}_normalization"
        )
    else:
        return x
    return layer(x)


def _padded(x, kernel, name):
    # For an even kernel, Keras' "same" pads one row more after the image than before it.
    return x if kernel == 1 else keras.layers.ZeroPadding2D(1, name=f"{name}_padding")(x)


def _levels(size, levels) -> int:
    """Returns the number of halvings."""
    if size is not None and (not isinstance(size, int) or size < 4):
        raise ValueError(f"size must be None or an integer of at least 4, not {size!r}.")
    if levels is None:
        if size is None or size & (size - 1):
            raise ValueError(
                f"levels must be given unless size is a power of two, but size is {size!r}."
            )
        return size.bit_length() - 1
    if not isinstance(levels, int) or levels < 2:
        raise ValueError(f"levels must be None or an integer of at least 2, not {levels!r}.")
    if size is not None and size % 2**levels:
        raise ValueError(f"size must be a multiple of 2**levels = {2**levels}, not {size!r}.")
    return levels


def _check(norm, **numbers) -> None:
    if norm not in NORMS:
        raise ValueError(f"norm {norm!r} is not one of {', '.join(NORMS)}.")
    check_integers(1, **numbers)
