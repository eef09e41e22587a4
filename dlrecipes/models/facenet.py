"""Networks that place a face on a sphere, near the other images of the same person."""

from typing import NamedTuple

import keras
from keras import layers

from dlrecipes.layers import BatchNormalization, L2Normalization
from dlrecipes.layers._arguments import number
from dlrecipes.models._arguments import integers, rates, several
from dlrecipes.models.images import channels_last, image_input, scaled

# What leaves one position for the last grid, after the stem and both reductions.
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
    """Builds a small convolutional network from images of faces to unit vectors.

    Each block is a 3x3 convolution with batch normalisation and ReLU, and a 2x2 max pooling;
    the mean over what is left of the image is projected onto the embedding, which is scaled
    to length 1 in float32. Or each place of what is left by itself, which tells the faces of
    people never seen better apart where faces fill the images alike. It has 0.42 million
    parameters (0.92 for images of 64x64 with `"flatten"`) and suits some hundreds of
    people and faces of 64x64 to 112x92 pixels; batch normalisation averages over about ten
    steps, for short trainings. In training dropout acts and batch statistics are used.

    Args:
        input_shape: Height and width in pixels, at least 16 each with four blocks (`None`
            leaves one open), and channels: 1 for grey images, 3 for colour.
        embedding_units: Size of the embedding, at least 1.
        filters: Channels of each block's convolution.
        pooling: `"average"`, or `"flatten"` for each place by itself, of images of one size.
        dropout: Share of the pooled features left out in training, in [0, 1).
        seed: Seed of the dropout.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last), best scaled to about [-1, 1].
        Output: embeddings of shape `(batch, embedding_units)`.

    Raises:
        ValueError: If the images are too small, or with `"flatten"` of any size, or an argument
            is out of its bounds.

    Example:

    >>> model = facenet_small((64, 64, 1), filters=(8, 16))
    >>> tuple(model(keras.ops.ones((2, 64, 64, 1))).shape)
    (2, 128)

    Reference:
        Schroff, Kalenichenko and Philbin, 2015, "FaceNet: a unified embedding for face
        recognition and clustering", figure 2 (the method; this network is far smaller).
    """
    _check(embedding_units, dropout)
    several(filters=filters)
    if not filters:
        raise ValueError("filters must name the channels of at least one block, not ().")
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, not {pooling!r}.")
    images = x = image_input(input_shape, 2 ** len(filters), any_size=pooling == "average")
    for block, size in enumerate(filters, start=1):
        x = _normalized_conv(x, Conv(size, 3), f"block_{block}", momentum=0.9)
        # Before ReLU, which is monotonic: the same outputs, from a quarter of the values.
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
    """Builds Inception-ResNet v1 from images of faces to unit vectors.

    A stem, then residual Inception blocks on grids of 17x17, 8x8 and 3x3 (for images of
    160x160), with a reduction between them; the mean over the last grid is projected onto the
    embedding, normalised over the batch and scaled to length 1 in float32. Each block adds
    its branches, scaled down, to what it was given. Unlike the paper's network, and like those
    that are widely used for faces, this one has one more block at the end, at scale 1 and
    without ReLU. With 512 embedding units there are 23,482,624 trainable parameters, as in
    those. In training dropout acts and batch statistics are used.

    Args:
        input_shape: Height and width in pixels, at least 75 each (`None` leaves one open),
            and channels: 1 for grey images, 3 for colour.
        embedding_units: Size of the embedding, at least 1; open face networks have 512.
        repeats: Blocks on each of the three grids, beside the one that ends the last.
        scales: What the branches are multiplied by before they are added, on each grid.
        width: Multiplies the channels of all convolutions, above 0; for small versions.
        dropout: Share of the pooled features left out in training, in [0, 1).
        seed: Seed of the dropout.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last), best scaled to about [-1, 1].
        Output: embeddings of shape `(batch, embedding_units)`.

    Raises:
        ValueError: If the images are too small or an argument is out of its bounds.

    Example:

    >>> model = facenet_inception_resnet((75, 75, 3), repeats=(1, 1, 1), width=0.05)
    >>> tuple(model(keras.ops.ones((2, 75, 75, 3))).shape)
    (2, 128)

    Reference:
        Szegedy, Ioffe, Vanhoucke and Alemi, 2017, "Inception-v4, Inception-ResNet and the impact
        of residual connections on learning", section 3.2 and figures 10 to 15.
        Schroff, Kalenichenko and Philbin, 2015, "FaceNet: a unified embedding for face
        recognition and clustering", section 3 (the embedding).
    """
    _check(embedding_units, dropout)
    number("width", width, "a number above 0", lambda factor: factor > 0)
    several(0, repeats=repeats)
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
# The branches of a grid's blocks, and those of the reduction that follows.
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
    """Returns `x` plus what the branches make of it, scaled and brought to its channels."""
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
    integers(embedding_units=embedding_units)
    rates(dropout=dropout)
