"""Face embedding networks, which map images of the same person to nearby unit vectors."""

from typing import NamedTuple

import keras
from keras import layers

from dlrecipes.layers import BatchNormalization, L2Normalization
from dlrecipes.layers._arguments import number
from dlrecipes.models._arguments import check_integer_lists, check_integers, check_rates
from dlrecipes.models.images import channels_last, image_input, scaled

# The image size that leaves one position after the stem and both reductions.
SMALLEST = 75
POOLINGS = ("average", "flatten")


@channels_last
def facenet_small(
    input_shape: tuple[int | None, int | None, int] = (None, None, 1),
    embedding_units: int = 128,
    filters: tuple[int, ...] = (32, 64, 128, 256),
    pooling: str = "average",
    dropout: float = 0.0,
    seed: int | None = None,
    name: str = "facenet_small",
) -> keras.Model:
    """Builds a small convolutional network that maps face images to unit vectors.

    Each block is a 3x3 convolution with batch normalisation and ReLU, followed by 2x2 max
    pooling. The remaining feature map is averaged and projected to the embedding, which is scaled
    to length 1 in float32. With `pooling="flatten"` each position of the feature map is projected
    with its own weights, which separates people not seen in training better if all faces fill
    their images in the same way. The model has 0.42 million parameters (0.92 million for images
    of 64x64 with `"flatten"`) and suits some hundreds of people and faces of 64x64 to 112x92
    pixels. The moving statistics of batch normalisation average over about ten steps, for short
    trainings. Dropout is active, and batch statistics are used, in training only.

    Args:
        input_shape: Height and width in pixels, at least 16 each with four blocks (`None`
            allows any size), and channels: 1 for grey images, 3 for colour. Defaults to
            `(None, None, 1)`.
        embedding_units: Size of the embedding, at least 1. Defaults to 128.
        filters: Channels of each block's convolution. Defaults to `(32, 64, 128, 256)`.
        pooling: `"average"`, or `"flatten"` to keep the positions apart, which needs a fixed
            image size. Defaults to `"average"`.
        dropout: Dropout rate of the pooled features, in [0, 1). Defaults to 0.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"facenet_small"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last), best scaled to about [-1, 1].
        Output: embeddings of shape `(batch, embedding_units)`.

    Raises:
        ValueError: If the images are too small, `"flatten"` is used without a fixed size, or an
            argument is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import facenet_small
    >>> model = facenet_small((64, 64, 1), filters=(8, 16))
    >>> tuple(model(keras.ops.ones((2, 64, 64, 1))).shape)
    (2, 128)

    Reference:
        Schroff, Kalenichenko and Philbin, 2015, "FaceNet: a unified embedding for face
        recognition and clustering", figure 2 (the method; this network is much smaller).
        https://arxiv.org/abs/1503.03832
    """
    _check(embedding_units, dropout)
    check_integer_lists(filters=filters)
    if not filters:
        raise ValueError("filters must have the channels of at least one block, not ().")
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, not {pooling!r}.")
    images = x = image_input(input_shape, 2 ** len(filters), any_size=pooling == "average")
    for block, size in enumerate(filters, start=1):
        x = _normalized_conv(x, Conv(size, 3), f"block_{block}", momentum=0.9)
        # ReLU is monotonic, so pooling first gives the same outputs from a quarter of the values.
        x = layers.MaxPooling2D(name=f"block_{block}_pool")(x)
        x = layers.ReLU(name=f"block_{block}_relu")(x)
    pool = layers.GlobalAveragePooling2D if pooling == "average" else layers.Flatten
    x = pool(name="pool")(x)
    if dropout:
        x = layers.Dropout(dropout, seed=seed, name="dropout")(x)
    x = layers.Dense(embedding_units, name="projection")(x)
    return keras.Model(images, _embedding(x), name=name)


@channels_last
def facenet_inception_resnet(
    input_shape: tuple[int | None, int | None, int] = (160, 160, 3),
    embedding_units: int = 128,
    repeats: tuple[int, int, int] = (5, 10, 5),
    scales: tuple[float, float, float] = (0.17, 0.10, 0.20),
    width: float = 1.0,
    dropout: float = 0.2,
    seed: int | None = None,
    name: str = "facenet_inception_resnet",
) -> keras.Model:
    """Builds Inception-ResNet v1 as a face embedding network, which outputs unit vectors.

    A stem is followed by residual Inception blocks on grids of 17x17, 8x8 and 3x3 (for images of
    160x160), with a reduction block between grids. The mean over the last grid is projected to
    the embedding, batch-normalised and scaled to length 1 in float32. Each block scales the
    output of its branches down and adds it to its input. Like the networks that are widely used
    for faces, and unlike the paper's, this one ends with one more block, with scale 1 and without
    ReLU. With 512 embedding units there are 23,482,624 trainable parameters, as in those
    networks. Dropout is active, and batch statistics are used, in training only.

    Args:
        input_shape: Height and width in pixels, at least 75 each (`None` allows any size), and
            channels: 1 for grey images, 3 for colour. Defaults to `(160, 160, 3)`.
        embedding_units: Size of the embedding, at least 1; published face networks have 512.
            Defaults to 128.
        repeats: Number of blocks on each of the three grids, without the final block. Defaults
            to (5, 10, 5).
        scales: Factors that multiply the branches' output on each grid before it is added.
            Defaults to `(0.17, 0.1, 0.2)`.
        width: Multiplier of the channels of all convolutions, above 0, for smaller versions.
            Defaults to 1.
        dropout: Dropout rate of the pooled features, in [0, 1). Defaults to 0.2.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"facenet_inception_resnet"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last), best scaled to about [-1, 1].
        Output: embeddings of shape `(batch, embedding_units)`.

    Raises:
        ValueError: If the images are too small or an argument is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import facenet_inception_resnet
    >>> model = facenet_inception_resnet((75, 75, 3), repeats=(1, 1, 1), width=0.05)
    >>> tuple(model(keras.ops.ones((2, 75, 75, 3))).shape)
    (2, 128)

    Reference:
        Szegedy, Ioffe, Vanhoucke and Alemi, 2017, "Inception-v4, Inception-ResNet and the impact
        of residual connections on learning", section 3.2 and figures 10 to 15.
        https://arxiv.org/abs/1602.07261
        Schroff, Kalenichenko and Philbin, 2015, "FaceNet: a unified embedding for face
        recognition and clustering", section 3 (the embedding). https://arxiv.org/abs/1503.03832
    """
    _check(embedding_units, dropout)
    number("width", width, "a number above 0", lambda factor: factor > 0)
    check_integer_lists(0, repeats=repeats)
    if not isinstance(scales, tuple | list) or len(repeats) != 3 or len(scales) != 3:
        raise ValueError(
            f"repeats and scales must be three numbers of at least 0 each, not {repeats!r} "
            f"and {scales!r}."
        )

    images = image_input(input_shape, SMALLEST, any_size=True)
    x = _chain(images, STEM, width, "stem")
    for group, (blocks, scale) in enumerate(zip(repeats, scales, strict=True)):
        branches, reduction = GROUPS[group]
        grid = f"grid_{group + 1}"
        for block in range(1, blocks + 1):
            x = _residual(x, branches, scale, width, f"{grid}_block_{block}")
            x = layers.ReLU(name=f"{grid}_block_{block}")(x)
        if reduction:
            x = _branches(x, reduction, width, f"{grid}_reduction")
    x = _residual(x, branches, 1.0, width, "last_block")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = layers.Dropout(dropout, seed=seed, name="dropout")(x)
    x = layers.Dense(embedding_units, use_bias=False, name="projection")(x)
    x = BatchNormalization(name="projection_norm")(x)
    return keras.Model(images, _embedding(x), name=name)


class Conv(NamedTuple):
    """One convolution of a branch."""

    filters: int
    kernel: int | tuple[int, int]
    strides: int = 1
    padding: str = "same"


POOL = None
STEM = (
    Conv(32, 3, 2, "valid"),
    Conv(32, 3, 1, "valid"),
    Conv(64, 3),
    POOL,
    Conv(80, 1),
    Conv(192, 3, 1, "valid"),
    Conv(256, 3, 2, "valid"),
)
# For each grid, the branches of its blocks and the branches of the reduction that follows.
GROUPS = (
    (
        ((Conv(32, 1),), (Conv(32, 1), Conv(32, 3)), (Conv(32, 1), Conv(32, 3), Conv(32, 3))),
        (
            (Conv(384, 3, 2, "valid"),),
            (Conv(192, 1), Conv(192, 3), Conv(256, 3, 2, "valid")),
            (POOL,),
        ),
    ),
    (
        ((Conv(128, 1),), (Conv(128, 1), Conv(128, (1, 7)), Conv(128, (7, 1)))),
        (
            (Conv(256, 1), Conv(384, 3, 2, "valid")),
            (Conv(256, 1), Conv(256, 3, 2, "valid")),
            (Conv(256, 1), Conv(256, 3), Conv(256, 3, 2, "valid")),
            (POOL,),
        ),
    ),
    (((Conv(192, 1),), (Conv(192, 1), Conv(192, (1, 3)), Conv(192, (3, 1)))), None),
)


def _residual(x, branches, scale, width, name):
    """Returns `x` plus the scaled output of the branches, projected to the channels of `x`."""
    y = _branches(x, branches, width, name)
    y = layers.Conv2D(x.shape[-1], 1, name=f"{name}_linear")(y)
    if scale != 1:
        y = layers.Rescaling(scale, name=f"{name}_scale")(y)
    return layers.Add(name=f"{name}_sum")([x, y])


def _branches(x, branches, width, name):
    results = [
        _chain(x, steps, width, f"{name}_branch_{index}")
        for index, steps in enumerate(branches, start=1)
    ]
    return layers.Concatenate(name=f"{name}_branches")(results)


def _chain(x, steps, width, name):
    for index, step in enumerate(steps, start=1):
        if step is POOL:
            x = layers.MaxPooling2D(3, 2, name=f"{name}_pool_{index}")(x)
        else:
            x = _conv(x, step._replace(filters=scaled(step.filters, width)), f"{name}_conv_{index}")
    return x


def _conv(x, conv, name):
    return layers.ReLU(name=f"{name}_relu")(_normalized_conv(x, conv, name))


def _normalized_conv(x, conv, name, momentum=0.99):
    x = layers.Conv2D(
        conv.filters, conv.kernel, conv.strides, conv.padding, use_bias=False, name=name
    )(x)
    return BatchNormalization(momentum=momentum, name=f"{name}_norm")(x)


def _embedding(x):
    # Distances between unit vectors need more digits than a 16-bit policy has.
    dtype = keras.backend.result_type(x.dtype, "float32")
    return L2Normalization(dtype=dtype, name="embedding")(x)


def _check(embedding_units, dropout) -> None:
    check_integers(embedding_units=embedding_units)
    check_rates(dropout=dropout)
