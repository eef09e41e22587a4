"""Deep convolutional generative adversarial networks (DCGAN)."""

import keras
from keras import ops

from dlrecipes.layers import BatchNormalization
from dlrecipes.models._arguments import check_integers
from dlrecipes.models.adversarial import gan_initializer
from dlrecipes.models.images import channels_last

KERNEL = 5
# From the authors' code; the paper does not give these values.
NORMALIZATION = {"momentum": 0.9, "epsilon": 1e-5}


@channels_last
def dcgan_generator(
    size: int = 64,
    channels: int = 3,
    latent_size: int = 100,
    filters: int = 128,
    num_classes: int = 0,
    kernel_initializer=None,
    name: str = "dcgan_generator",
) -> keras.Model:
    """Builds the DCGAN generator, which maps noise to an image.

    The noise is projected to a small feature map with many channels. Each transposed 5x5
    convolution with stride 2 doubles the size and halves the channels: from 4x4x1024 to 64x64 in
    four steps. All but the last are followed by batch normalisation and ReLU, the last by tanh.
    With classes, the one-hot label is concatenated to the noise. Batch normalisation uses batch
    statistics in training and moving statistics at inference.

    Args:
        size: Height and width of the image: 4, 5, 6 or 7 times a power of two above 1, such
            as 28, 32 or 64. Defaults to 64.
        channels: Channels of the image, at least 1. Defaults to 3.
        latent_size: Number of noise values, at least 1. Defaults to 100.
        filters: Channels before the last convolution, at least 1; each earlier layer has twice
            as many. Defaults to 128.
        num_classes: Number of classes; 0 leaves the label out. Defaults to 0.
        kernel_initializer: Initializer of all kernels. Defaults to `None`, the paper's normal
            distribution with a standard deviation of 0.02.
        name: Model name. Defaults to `"dcgan_generator"`.

    Returns:
        A functional `keras.Model`. Inputs: `noise` of shape `(batch, latent_size)`, uniform
        in [-1, 1] in the paper, and, with classes, `label`, int32 of shape `(batch,)`.
        Output: images of shape `(batch, size, size, channels)` in [-1, 1], float32.
        The inputs must all be tensors or all NumPy arrays.

    Raises:
        ValueError: If `size` is not of the form described, or a number is too small.

    Example:

    >>> import keras
    >>> from dlrecipes.models import dcgan_generator
    >>> model = dcgan_generator(size=28, channels=1, filters=4)
    >>> tuple(model(keras.ops.zeros((2, 100))).shape)
    (2, 28, 28, 1)

    Reference:
        Radford, Metz and Chintala, 2016, "Unsupervised representation learning with deep
        convolutional generative adversarial networks", section 3 and figure 1.
        https://arxiv.org/abs/1511.06434
        Mirza and Osindero, 2014, "Conditional generative adversarial nets", for the label.
        https://arxiv.org/abs/1411.1784
    """
    halvings = _halvings(size)
    check_integers(1, channels=channels, latent_size=latent_size, filters=filters)
    check_integers(0, num_classes=num_classes)
    noise = keras.Input((latent_size,), name="noise")
    inputs, x = noise, noise
    if num_classes:
        label = keras.Input((), dtype="int32", name="label")
        inputs = {"noise": noise, "label": label}
        x = keras.layers.Concatenate(name="condition")([noise, ops.one_hot(label, num_classes)])
    side, maps = size >> halvings, filters << (halvings - 1)
    x = keras.layers.Dense(
        side * side * maps,
        use_bias=False,
        kernel_initializer=gan_initializer(kernel_initializer),
        name="project",
    )(x)
    x = keras.layers.Reshape((side, side, maps), name=f"maps_{side}")(x)
    x = BatchNormalization(**NORMALIZATION, name=f"normalize_{side}")(x)
    x = keras.layers.ReLU(name=f"relu_{side}")(x)
    while side < size:
        side, maps = 2 * side, maps // 2
        last = side == size
        x = keras.layers.Conv2DTranspose(
            channels if last else maps,
            KERNEL,
            strides=2,
            padding="same",
            # Batch normalisation adds a bias.
            use_bias=last,
            kernel_initializer=gan_initializer(kernel_initializer),
            data_format="channels_last",
            name=f"upsample_{side}",
        )(x)
        if not last:
            x = BatchNormalization(**NORMALIZATION, name=f"normalize_{side}")(x)
            x = keras.layers.ReLU(name=f"relu_{side}")(x)
    x = keras.layers.Activation("tanh", dtype="float32", name="image")(x)
    return keras.Model(inputs, x, name=name)


@channels_last
def dcgan_discriminator(
    size: int = 64,
    channels: int = 3,
    filters: int = 128,
    num_classes: int = 0,
    kernel_initializer=None,
    name: str = "dcgan_discriminator",
) -> keras.Model:
    """Builds the DCGAN discriminator, which scores whether an image is real.

    It mirrors the generator: strided 5x5 convolutions halve the size and double the channels,
    each followed by LeakyReLU with slope 0.2, and all but the first by batch normalisation
    before it. With classes, the one-hot label is concatenated to the image as constant
    channels. Batch normalisation uses batch statistics in training and moving statistics at
    inference.

    Args:
        size: Height and width of the image, as for `dcgan_generator`. Defaults to 64.
        channels: Channels of the image, at least 1. Defaults to 3.
        filters: Channels after the first convolution, at least 1; each later layer has twice as
            many. Defaults to 128.
        num_classes: Number of classes; 0 leaves the label out. Defaults to 0.
        kernel_initializer: Initializer of all kernels. Defaults to `None`, the paper's normal
            distribution with a standard deviation of 0.02.
        name: Model name. Defaults to `"dcgan_discriminator"`.

    Returns:
        A functional `keras.Model`. Inputs: `image` of shape `(batch, size, size, channels)`
        in [-1, 1], and, with classes, `label`, int32 of shape `(batch,)`. Output: logits of
        shape `(batch, 1)`, float32, above 0 for images classified as real.
        The inputs must all be tensors or all NumPy arrays.

    Raises:
        ValueError: If `size` is not of the form described, or a number is too small.

    Example:

    >>> import keras
    >>> from dlrecipes.models import dcgan_discriminator
    >>> model = dcgan_discriminator(size=28, channels=1, filters=4)
    >>> tuple(model(keras.ops.zeros((2, 28, 28, 1))).shape)
    (2, 1)

    Reference:
        Radford, Metz and Chintala, 2016, "Unsupervised representation learning with deep
        convolutional generative adversarial networks", section 3 and its guidelines.
        https://arxiv.org/abs/1511.06434
        Mirza and Osindero, 2014, "Conditional generative adversarial nets", for the label.
        https://arxiv.org/abs/1411.1784
    """
    halvings = _halvings(size)
    check_integers(1, channels=channels, filters=filters)
    check_integers(0, num_classes=num_classes)
    image = keras.Input((size, size, channels), name="image")
    inputs, x = image, image
    if num_classes:
        label = keras.Input((), dtype="int32", name="label")
        inputs = {"image": image, "label": label}
        one_hot = ops.reshape(ops.one_hot(label, num_classes), (-1, 1, 1, num_classes))
        planes = ops.ones_like(image[..., :1]) * one_hot
        x = keras.layers.Concatenate(name="condition")([image, planes])
    for halving in range(halvings):
        side = size >> (halving + 1)
        x = keras.layers.Conv2D(
            filters << halving,
            KERNEL,
            strides=2,
            padding="same",
            # Batch normalisation adds a bias.
            use_bias=halving == 0,
            kernel_initializer=gan_initializer(kernel_initializer),
            data_format="channels_last",
            name=f"downsample_{side}",
        )(x)
        if halving:
            x = BatchNormalization(**NORMALIZATION, name=f"normalize_{side}")(x)
        x = keras.layers.LeakyReLU(0.2, name=f"leaky_relu_{side}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(
        1, kernel_initializer=gan_initializer(kernel_initializer), dtype="float32", name="logits"
    )(x)
    return keras.Model(inputs, x, name=name)


def _halvings(size) -> int:
    """Returns how many times `size` is halved before it is 4, 5, 6 or 7."""
    halvings, side = 0, size if isinstance(size, int) else 0
    while side > 7 and side % 2 == 0:
        halvings, side = halvings + 1, side // 2
    if halvings == 0 or not 4 <= side <= 7:
        raise ValueError(
            f"size must be 4, 5, 6 or 7 times a power of two above 1, such as 64, not {size!r}."
        )
    return halvings
