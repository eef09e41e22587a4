"""Image-to-image translation: a U-Net that draws, and a discriminator that judges patches."""

import keras

from dlrecipes.layers import BatchNormalization
from dlrecipes.models._arguments import rates
from dlrecipes.models.adversarial import anew, check_integers
from dlrecipes.models.images import channels_last

KERNEL = 4
NORMS = ("batch", "instance", "none")


@channels_last
def pix2pix_unet(
    size: int | None = 256,
    channels: int = 3,
    output_channels: int = 3,
    filters: int = 64,
    levels: int | None = None,
    dropout: float = 0.5,
    norm: str = "batch",
    kernel_initializer=None,
    seed: int | None = None,
    name: str = "pix2pix_unet",
) -> keras.Model:
    """Builds a network from an image to an image of the same size.

    An encoder of strided 4x4 convolutions halves the image `levels` times; a decoder of
    transposed ones doubles it again, and reads at each level the encoder's output there too.
    Filters are 64, 128, 256, 512 and then stay. The encoder has LeakyReLU of slope 0.2, the
    decoder ReLU, the output tanh. All but the first, the innermost and the last layer are
    normalised: at 256 pixels the innermost map is a single one, which normalisation would
    make zero in a batch of one, and the authors took theirs out for that.

    Dropout and the batch's own statistics belong to training. The paper keeps both at test
    time, as its source of noise: call the model with `training=True` for that.

    Args:
        size: Height and width, a multiple of `2**levels`; `None` leaves them unknown,
            and `levels` must then be given.
        channels: Channels of the input, at least 1.
        output_channels: Channels of the output, at least 1.
        filters: Filters of the first layer, at least 1; at most 8 times as many later on.
        levels: How often the side is halved, at least 2; `None` is as often as `size`, a power
            of two, can be: 8 times for 256.
        dropout: Share of the units left out after each of the first three layers of the
            decoder, in [0, 1).
        norm: `"batch"`; `"instance"`, the same as `"batch"` for a batch of one, and with a
            bias alone; or `"none"`.
        kernel_initializer: Initializer of all kernels; `None` is the paper's normal
            distribution with a standard deviation of 0.02.
        seed: Seed of the dropout layers.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `image` of shape `(batch, size, size, channels)`
        in [-1, 1]. Output: images of shape `(batch, size, size, output_channels)` in
        [-1, 1], float32.

    Raises:
        ValueError: If `size` cannot be halved `levels` times, `norm` is not one of those
            named, or a number is out of bounds.

    Example:

    >>> model = pix2pix_unet(size=16, filters=2)
    >>> tuple(model(keras.ops.zeros((1, 16, 16, 3))).shape)
    (1, 16, 16, 3)

    Reference:
        Isola, Zhu, Zhou and Efros, 2017, "Image-to-image translation with conditional
        adversarial networks", section 3.2.1 and appendix 6.1.1, with its errata.
    """
    _check(norm, channels=channels, output_channels=output_channels, filters=filters)
    levels = _levels(size, levels)
    rates(dropout=dropout)
    image = keras.Input((size, size, channels), name="image")
    widths = [filters * min(2**level, 8) for level in range(levels)]
    down, up = keras.layers.Conv2D, keras.layers.Conv2DTranspose
    # A normalisation has a bias of its own; the first and the innermost layer, as published,
    # have none at all then.
    bias = norm == "none"
    x, encoded = image, []
    for level, width in enumerate(widths, start=1):
        if level > 1:
            x = keras.layers.LeakyReLU(0.2, name=f"down_{level}_leaky_relu")(x)
        x = _scaling(down, f"down_{level}", width, kernel_initializer, bias)(x)
        if 1 < level < levels:
            x = _normalized(x, norm, f"down_{level}")
        encoded.append(x)
    for done, level in enumerate(reversed(range(1, levels))):
        x = keras.layers.ReLU(name=f"up_{level}_relu")(x)
        x = _scaling(up, f"up_{level}", widths[level - 1], kernel_initializer, bias)(x)
        x = _normalized(x, norm, f"up_{level}")
        if dropout and done < 3:
            own_seed = None if seed is None else seed + done
            x = keras.layers.Dropout(dropout, seed=own_seed, name=f"up_{level}_dropout")(x)
        x = keras.layers.Concatenate(name=f"up_{level}_join")([x, encoded[level - 1]])
    x = keras.layers.ReLU(name="up_0_relu")(x)
    x = _scaling(up, "up_0", output_channels, kernel_initializer, True)(x)
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
    """Builds a network from an image to a logit for each patch of it: whether it is real.

    `layers` strided 4x4 convolutions, one more of stride 1 and one of stride 1 to the logits,
    each padded by one pixel of zeros. So many pixels a logit sees, in each direction:

        layers    0    1    2    3     4     5
        pixels    1   16   34   70   142   286

    With 0 layers all convolutions are 1x1 (the paper's PixelGAN). LeakyReLU has a slope of
    0.2; the first and the last layer are not normalised. The default is the paper's 70x70
    PatchGAN, and `condition_channels=0, norm="instance"` CycleGAN's discriminator. Batch
    normalisation uses the batch's own statistics in training and the moving ones at inference.

    Args:
        layers: Number of strided convolutions, at least 0.
        channels: Channels of the image that is judged, at least 1.
        condition_channels: Channels of the image that it was made from; 0 leaves that out.
        filters: Filters of the first layer, at least 1; at most 8 times as many later on.
        norm: `"batch"`; `"instance"`, with a bias alone; or `"none"`.
        kernel_initializer: Initializer of all kernels; `None` is the paper's normal
            distribution with a standard deviation of 0.02.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Inputs: `condition`, unless left out, and `image`, of shapes
        `(batch, height, width, channels)`; height and width are unknown and, with layers,
        at least `3 * 2**layers`: 24 by default. `fit` and `predict` refuse smaller ones, but
        on TensorFlow a plain call may return something of another shape instead. Output:
        logits of shape `(batch, rows, columns, 1)`, float32; 30x30 of them for 256x256 pixels
        by default. The inputs must all be tensors or all NumPy arrays.

    Raises:
        ValueError: If `norm` is not one of those named, or a number is too small.

    Example:

    >>> model = patchgan(layers=1, filters=2)
    >>> image = keras.ops.zeros((1, 16, 24, 3))
    >>> tuple(model({"condition": image, "image": image}).shape)
    (1, 6, 10, 1)

    Reference:
        Isola, Zhu, Zhou and Efros, 2017, "Image-to-image translation with conditional
        adversarial networks", section 3.2.2 and appendix 6.1.2.
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
        where = f"layer_{layer + 1}"
        x = _padded(x, kernel, where)
        x = keras.layers.Conv2D(
            filters * min(2**layer, 8),
            kernel,
            strides=2 if layer < layers else 1,
            use_bias=layer == 0 or norm == "none",
            kernel_initializer=anew(kernel_initializer),
            data_format="channels_last",
            name=where,
        )(x)
        if layer:
            x = _normalized(x, norm, where)
        x = keras.layers.LeakyReLU(0.2, name=f"{where}_leaky_relu")(x)
    x = keras.layers.Conv2D(
        1,
        kernel,
        kernel_initializer=anew(kernel_initializer),
        data_format="channels_last",
        dtype="float32",
        name="logits",
    )(_padded(x, kernel, "logits"))
    return keras.Model(inputs, x, name=name)


def _scaling(kind, name, filters, initializer, use_bias):
    """Returns a convolution that halves or doubles the side."""
    return kind(
        filters,
        KERNEL,
        strides=2,
        padding="same",
        use_bias=use_bias,
        kernel_initializer=anew(initializer),
        data_format="channels_last",
        name=name,
    )


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
    # Not Keras' "same", which for an even kernel adds a row more behind than before.
    return x if kernel == 1 else keras.layers.ZeroPadding2D(1, name=f"{name}_padding")(x)


def _levels(size, levels) -> int:
    """Returns how often the side is halved."""
    if size is not None and (not isinstance(size, int) or size < 4):
        raise ValueError(f"size must be None or an integer of at least 4, not {size!r}.")
    if levels is None:
        if size is None or size & (size - 1):
            raise ValueError(
                f"levels must be given where size is no power of two, as for {size!r}."
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
