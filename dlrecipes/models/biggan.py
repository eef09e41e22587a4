"""BigGAN: class-conditional generation of high-resolution images."""

import keras
from keras import ops

from dlrecipes.layers import BatchNormalization, ConditionalBatchNormalization, SelfAttention2D
from dlrecipes.models._arguments import check_integers
from dlrecipes.models.adversarial import gan_initializer
from dlrecipes.models.images import channels_last

# Output channels of each block in units of `filters`, by image size. Generators start at
# `BASE` pixels and double the size in each block; discriminators halve it in the first
# `log2(size / BASE)` blocks.
GENERATORS = {
    32: (4, (4, 4, 4)),
    64: (16, (16, 8, 4, 2)),
    128: (16, (16, 8, 4, 2, 1)),
    256: (16, (16, 8, 8, 4, 2, 1)),
}
DISCRIMINATORS = {
    32: (2, (4, 4, 4, 4)),
    64: (4, (1, 2, 4, 8, 16)),
    128: (5, (1, 2, 4, 8, 16, 16)),
    256: (6, (1, 2, 4, 8, 8, 16, 16)),
}
BASE = 4
# From the authors' code; the paper does not give these values.
NORMALIZATION = {"momentum": 0.9, "epsilon": 1e-5}


@channels_last
def biggan_generator(
    size: int = 128,
    channels: int = 3,
    num_classes: int = 1000,
    filters: int = 96,
    latent_chunk: int = 20,
    embedding_size: int = 128,
    attention: int = 64,
    kernel_initializer="orthogonal",
    name: str = "biggan_generator",
) -> keras.Model:
    """Builds the BigGAN generator, which maps noise and a class label to an image.

    The noise is split into chunks. The first is projected to a 4x4 feature map. Each residual
    block doubles the size, and its two conditional batch normalisations are conditioned on one
    of the other chunks, concatenated with a class embedding that all blocks share. A
    self-attention layer follows the block whose output has the size `attention`. All kernels
    except the embedding are wrapped in `keras.layers.SpectralNormalization`.

    Batch normalisation uses batch statistics in training and moving statistics at inference.
    Spectral normalisation divides kernels in training only. On TensorFlow, Keras' layer
    overwrites the kernel with the result, and the gradient does not pass through the division;
    on JAX, `fit` does not store the result, and inference uses unnormalised kernels.

    Args:
        size: Height and width of the image: 32, 64, 128 or 256. Defaults to 128.
        channels: Channels of the image, at least 1. Defaults to 3.
        num_classes: Number of classes, at least 1. Defaults to 1000.
        filters: Base number of channels, at least 1. The last block has `filters` channels
            (4 times as many at 32 pixels, twice as many at 64); the first has 16 times as many
            (4 times at 32 pixels). Defaults to 96.
        latent_chunk: Noise values per chunk, at least 1. Defaults to 20.
        embedding_size: Size of the class embedding, at least 1. Defaults to 128.
        attention: Size of the feature map that self-attention is applied to. If no block has
            this output size, the layer is left out. Defaults to 64.
        kernel_initializer: Initializer of all kernels and of the embedding. Defaults to
            `"orthogonal"`.
        name: Model name. Defaults to `"biggan_generator"`.

    Returns:
        A functional `keras.Model`. Inputs: `noise`, normally distributed, of shape
        `(batch, latent_chunk * (blocks + 1))` (80, 100, 120 and 140 values for 32, 64, 128 and
        256 pixels), and `label`, int32 of shape `(batch,)`. Output: images of shape
        `(batch, size, size, channels)` in [-1, 1], float32.
        The inputs must all be tensors or all NumPy arrays.

    Raises:
        ValueError: If `size` is not one of the listed sizes, or a number is too small.

    Example:

    >>> import keras
    >>> from dlrecipes.models import biggan_generator
    >>> model = biggan_generator(size=32, num_classes=10, filters=1, latent_chunk=2)
    >>> inputs = {"noise": keras.ops.zeros((2, 8)), "label": keras.ops.array([3, 9])}
    >>> tuple(model(inputs).shape)
    (2, 32, 32, 3)

    Reference:
        Brock, Donahue and Simonyan, 2019, "Large scale GAN training for high fidelity natural
        image synthesis", section 3 and appendix B, figure 15 and tables 4 to 6.
        https://arxiv.org/abs/1809.11096
    """
    _check(size, attention, channels=channels, num_classes=num_classes, filters=filters)
    check_integers(1, latent_chunk=latent_chunk, embedding_size=embedding_size)
    first, widths = GENERATORS[size]
    noise = keras.Input((latent_chunk * (len(widths) + 1),), name="noise")
    label = keras.Input((), dtype="int32", name="label")
    embedding = keras.layers.Embedding(
        num_classes, embedding_size, gan_initializer(kernel_initializer), name="embedding"
    )(label)
    chunks = ops.split(noise, len(widths) + 1, axis=-1)
    x = _dense(BASE * BASE * first * filters, kernel_initializer, "project")(chunks[0])
    x = keras.layers.Reshape((BASE, BASE, first * filters), name="maps")(x)
    side = BASE
    for block, (width, chunk) in enumerate(zip(widths, chunks[1:], strict=True), start=1):
        side *= 2
        condition = keras.layers.Concatenate(name=f"condition_{block}")([embedding, chunk])
        x = _up(x, condition, width * filters, kernel_initializer, f"block_{block}")
        x = _attention(x, side == attention, kernel_initializer)
    x = BatchNormalization(**NORMALIZATION, name="last_normalization")(x)
    x = keras.layers.ReLU(name="last_relu")(x)
    x = _conv(channels, 3, kernel_initializer, "to_image")(x)
    x = keras.layers.Activation("tanh", dtype="float32", name="image")(x)
    return keras.Model({"noise": noise, "label": label}, x, name=name)


@channels_last
def biggan_discriminator(
    size: int = 128,
    channels: int = 3,
    num_classes: int = 1000,
    filters: int = 96,
    attention: int = 64,
    kernel_initializer="orthogonal",
    name: str = "biggan_discriminator",
) -> keras.Model:
    """Builds the BigGAN discriminator, which scores whether an image of a given class is real.

    Residual blocks halve the size down to 4 pixels (8 for images of 32 pixels); the last blocks
    keep it. A self-attention layer follows the block whose output has the size `attention`. The
    features are summed over all positions to a vector `h`, and the logit is
    `v . h + b + e . h`: an unconditional part, and a projection on the class embedding `e`. All
    kernels are wrapped in `keras.layers.SpectralNormalization`; see `biggan_generator` for its
    behaviour in training.

    Args:
        size: Height and width of the image: 32, 64, 128 or 256. Defaults to 128.
        channels: Channels of the image, at least 1. Defaults to 3.
        num_classes: Number of classes, at least 1. Defaults to 1000.
        filters: Base number of channels, at least 1. The first block has `filters` channels (4
            times as many at 32 pixels); the last has 16 times as many (4 times at 32 pixels).
            Defaults to 96.
        attention: Size of the feature map that self-attention is applied to. If no block has
            this output size, the layer is left out. Defaults to 64.
        kernel_initializer: Initializer of all kernels. Defaults to `"orthogonal"`.
        name: Model name. Defaults to `"biggan_discriminator"`.

    Returns:
        A functional `keras.Model`. Inputs: `image` of shape `(batch, size, size, channels)` in
        [-1, 1], and `label`, int32 of shape `(batch,)`. Output: logits of shape
        `(batch, 1)`, float32, above 0 for images classified as real.
        The inputs must all be tensors or all NumPy arrays.

    Raises:
        ValueError: If `size` is not one of the listed sizes, or a number is too small.

    Example:

    >>> import keras
    >>> from dlrecipes.models import biggan_discriminator
    >>> model = biggan_discriminator(size=32, num_classes=10, filters=1)
    >>> inputs = {"image": keras.ops.zeros((2, 32, 32, 3)), "label": keras.ops.array([3, 9])}
    >>> tuple(model(inputs).shape)
    (2, 1)

    Reference:
        Brock, Donahue and Simonyan, 2019, "Large scale GAN training for high fidelity natural
        image synthesis", section 3 and appendix B, figure 15 and tables 4 to 6.
        https://arxiv.org/abs/1809.11096
        Miyato and Koyama, 2018, "cGANs with projection discriminator", equation 3.
        https://arxiv.org/abs/1802.05637
    """
    _check(size, attention, channels=channels, num_classes=num_classes, filters=filters)
    image = keras.Input((size, size, channels), name="image")
    label = keras.Input((), dtype="int32", name="label")
    halvings, widths = DISCRIMINATORS[size]
    x, side = image, size
    for block, width in enumerate(widths, start=1):
        halved = block <= halvings
        x = _down(x, width * filters, halved, kernel_initializer, f"block_{block}")
        side = side // 2 if halved else side
        x = _attention(x, halved and side == attention, kernel_initializer)
    # The sum over positions and channels needs float32.
    x = keras.layers.Activation("relu", dtype="float32", name="features")(x)
    features = ops.sum(x, axis=(1, 2))
    common = _dense(1, kernel_initializer, "common", dtype="float32")(features)
    # A Dense layer: spectral normalisation would cast an Embedding's kernel to the ids' integers.
    class_embedding = _dense(
        widths[-1] * filters, kernel_initializer, "projection", dtype="float32", use_bias=False
    )(ops.one_hot(label, num_classes))
    projection = ops.sum(class_embedding * features, axis=-1, keepdims=True)
    logits = keras.layers.Add(dtype="float32", name="logits")([common, projection])
    return keras.Model({"image": image, "label": label}, logits, name=name)


def _up(x, condition, filters, initializer, name):
    """Applies a residual block of the generator, which doubles the size."""
    inner = x
    for part in (1, 2):
        inner = ConditionalBatchNormalization(
            **NORMALIZATION,
            gain_initializer=gan_initializer(initializer),
            bias_initializer=gan_initializer(initializer),
            spectral_normalization=True,
            name=f"{name}_condition_{part}",
        )([inner, condition])
        inner = keras.layers.ReLU(name=f"{name}_relu_{part}")(inner)
        if part == 1:
            inner = keras.layers.UpSampling2D(2, name=f"{name}_upsample")(inner)
        inner = _conv(filters, 3, initializer, f"{name}_conv_{part}")(inner)
    # A 1x1 convolution and the repetition of pixels commute; this order is cheaper.
    skip = _conv(filters, 1, initializer, f"{name}_skip")(x)
    skip = keras.layers.UpSampling2D(2, name=f"{name}_skip_upsample")(skip)
    return keras.layers.Add(name=f"{name}_add")([inner, skip])


def _down(x, filters, halved, initializer, name):
    """Applies a residual block of the discriminator, which halves the size if `halved`."""
    first = name == "block_1"
    # The image itself is not passed through a ReLU.
    inner = x if first else keras.layers.ReLU(name=f"{name}_relu_1")(x)
    inner = _conv(filters, 3, initializer, f"{name}_conv_1")(inner)
    inner = keras.layers.ReLU(name=f"{name}_relu_2")(inner)
    inner = _conv(filters, 3, initializer, f"{name}_conv_2")(inner)
    skip = x
    if halved:
        inner = keras.layers.AveragePooling2D(2, name=f"{name}_pool")(inner)
        skip = keras.layers.AveragePooling2D(2, name=f"{name}_skip_pool")(skip)
    if halved or x.shape[-1] != filters:
        skip = _conv(filters, 1, initializer, f"{name}_skip")(skip)
    return keras.layers.Add(name=f"{name}_add")([inner, skip])


def _attention(x, enabled, initializer):
    if not enabled:
        return x
    return SelfAttention2D(
        value_ratio=2,
        pool_size=2,
        spectral_normalization=True,
        kernel_initializer=gan_initializer(initializer),
        name="attention",
    )(x)


def _conv(filters, kernel, initializer, name):
    return keras.layers.SpectralNormalization(
        keras.layers.Conv2D(
            filters,
            kernel,
            padding="same",
            kernel_initializer=gan_initializer(initializer),
            data_format="channels_last",
            name=name,
        ),
        name=f"{name}_normalization",
    )


def _dense(units, initializer, name, **kwargs):
    layer = keras.layers.Dense(
        units, kernel_initializer=gan_initializer(initializer), name=name, **kwargs
    )
    dtype = kwargs.get("dtype")
    return keras.layers.SpectralNormalization(layer, dtype=dtype, name=f"{name}_normalization")


def _check(size, attention, **numbers) -> None:
    if not isinstance(size, int) or size not in GENERATORS:
        raise ValueError(f"size must be one of {', '.join(map(str, GENERATORS))}, not {size!r}.")
    check_integers(1, **numbers)
    check_integers(0, attention=attention)
