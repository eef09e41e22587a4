"""Random changes of image batches for training, as functions of an explicit seed.

They keep no state: the same images and the same seed give the same result, so that a run that
was interrupted resumes with the batches it would have seen. Layers such as
`dlrecipes.layers.ElasticDistortion` belong to the network; these functions belong to the data.
"""

from __future__ import annotations

import math

import tensorflow as tf

from dlrecipes.layers.elastic_distortion import read_at

# Parts of red, green and blue in the brightness of a colour: ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)
# Points of a warp along each side; it is smooth between them.
GRID = 4
# Bounds of the random parameters of a pair of glasses, as fractions of the image's sides. A
# lens is centred `apart` from the nose; `width` and `height` are half of its sides.
GLASSES = {
    "row": (0.36, 0.54),
    "column": (0.40, 0.60),
    "apart": (0.13, 0.20),
    "width": (0.09, 0.14),
    "height": (0.07, 0.12),
    "rim": (0.010, 0.022),
    "slant": (-0.15, 0.15),
    "squareness": (2.0, 4.0),
    "temple": (0.0, 0.2),
    "opacity": (0.4, 1.0),
    "grey": (0.0, 1.0),
    "glare": (-0.9, 0.9),
    "glare_row": (-0.08, 0.08),
    "glare_column": (-0.1, 0.1),
    "glare_spread": (0.0005, 0.003),
}


def random_flip(images: tf.Tensor, seed: tf.Tensor, probability: float = 0.5) -> tf.Tensor:
    """Returns images of which some are mirrored from left to right.

    Args:
        images: Tensor of shape `(batch, height, width, channels)`.
        seed: Random seed, two integers.
        probability: Probability that an image is mirrored, from 0 to 1. Defaults to 0.5.

    Returns:
        Tensor of the same shape.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.augmentation import random_flip
    >>> random_flip(tf.constant([[[[1.0], [2.0]]]]), tf.constant([0, 0]), 1.0).numpy().ravel()
    array([2., 1.], dtype=float32)
    """
    number = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed)
    return tf.where(number < probability, images[:, :, ::-1], images)


def random_colour(images: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Returns images with another brightness, contrast, saturation and hue each.

    All changes together are one affine map of the colours of an image, which takes a tenth of the
    time of `keras.layers.RandomColorJitter`. The hue turns around the grey axis of the RGB cube.

    Args:
        images: float32 tensor of shape `(batch, height, width, 3)`, on any scale. The result is
            not clipped to it.
        strength: Strength, at least 0: brightness changes by a factor from `1 - strength / 2` to
            `1 + strength / 2`, contrast and saturation by one from `1 - strength` (but at least 0)
            to `1 + strength`, and the hue turns by up to an eighth of `strength` half turns.
        seed: Random seed, two integers.

    Returns:
        Tensor of the same shape.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.augmentation import random_colour
    >>> images = tf.random.stateless_uniform([8, 4, 4, 3], [0, 0])
    >>> random_colour(images, 0.5, tf.constant([0, 1])).shape.as_list()
    [8, 4, 4, 3]
    """
    count = tf.shape(images)[0]
    numbers = tf.random.stateless_uniform([4, count, 1, 1], seed, -strength, strength)
    brightness = 1 + numbers[0] / 2
    contrast, saturation = (tf.maximum(1 + number, 0.0) for number in (numbers[1], numbers[2]))
    angle = numbers[3] * (math.pi / 8)
    # Rodrigues' rotation around (1, 1, 1).
    grey = tf.fill([3, 3], 1 / 3)
    cross = tf.constant([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turned = grey + tf.cos(angle) * (tf.eye(3) - grey) + tf.sin(angle) * cross
    luma = tf.constant([LUMA] * 3)
    saturated = luma + saturation * (tf.eye(3) - luma)
    colours = tf.transpose(contrast * brightness * (saturated @ turned), [0, 2, 1])
    mean = tf.reduce_mean(images @ tf.constant(LUMA)[:, None], axis=[1, 2])
    offset = (1 - contrast[:, 0]) * brightness[:, 0] * mean
    pixels = tf.reshape(images, [count, -1, 3]) @ colours + offset[:, None]
    return tf.ensure_shape(tf.reshape(pixels, tf.shape(images)), images.shape)


def random_jitter(images: tf.Tensor, enlargement: float, flip: bool, seed: tf.Tensor) -> tf.Tensor:
    """Returns images that are enlarged, cropped at random to their old size, perhaps mirrored.

    Args:
        images: float32 tensor of shape `(batch, size, size, channels)` of known size. Images that
            must change in the same way are concatenated along the channels.
        enlargement: Relative enlargement before cropping, at least 0.
        flip: Whether to mirror each image with probability 0.5.
        seed: Random seed, two integers.

    Returns:
        Tensor of the same shape.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.augmentation import random_jitter
    >>> pairs = tf.concat([tf.zeros([2, 32, 32, 3]), tf.ones([2, 32, 32, 3])], axis=-1)
    >>> random_jitter(pairs, 0.1, True, tf.constant([0, 1])).shape.as_list()
    [2, 32, 32, 6]

    Reference:
        Isola, Zhu, Zhou and Efros, 2017, "Image-to-image translation with conditional
        adversarial networks", section 6.2 (256 pixels of 286), https://arxiv.org/abs/1611.07004.
    """
    size, channels = images.shape[1], images.shape[-1]
    large = round(size * (1 + enlargement))
    count = tf.shape(images)[0]
    corners = tf.random.stateless_uniform([count, 2], seed, maxval=large - size + 1, dtype=tf.int32)
    mirrored = tf.random.stateless_uniform([count], seed + tf.constant([0, 1 << 20])) < 0.5

    def jittered(values: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, corner, mirror = values
        row, column = tf.unstack(corner)
        image = tf.image.resize(image, [large, large])[row : row + size, column : column + size]
        return tf.cond(mirror, lambda: image[:, ::-1], lambda: image) if flip else image

    spec = tf.TensorSpec([size, size, channels], tf.float32)
    return tf.map_fn(jittered, (images, corners, mirrored), fn_output_signature=spec)


def warp(images: tf.Tensor, group_size: int, stddev: float, seed: tf.Tensor) -> tf.Tensor:
    """Returns images under smooth random deformations, one deformation per group of images.

    A deformation moves the points of a 4 x 4 grid by normally distributed distances and
    interpolates between them (bicubic). Beyond an edge, the edge's pixels repeat. If each group
    shows one person, the result shows people who do not exist: a network that sees other
    proportions in every batch learns to compare faces instead of memorizing a few people.

    Args:
        images: float32 tensor of shape `(groups * group_size, height, width, channels)` of known
            height and width; the images of a group follow one another.
        group_size: Images per group, at least 1.
        stddev: Standard deviation of the grid points' shift along each axis, in pixels.
        seed: Random seed, two integers.

    Returns:
        Tensor of the same shape.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.augmentation import warp
    >>> faces = tf.random.stateless_uniform([6, 32, 32, 1], [0, 0])
    >>> warp(faces, group_size=3, stddev=1.0, seed=tf.constant([0, 1])).shape.as_list()
    [6, 32, 32, 1]
    """
    height, width = images.shape[1:3]
    groups = tf.shape(images)[0] // group_size
    shifts = stddev * tf.random.stateless_normal([groups, GRID, GRID, 2], seed)
    shifts = tf.repeat(tf.image.resize(shifts, [height, width], "bicubic"), group_size, axis=0)
    rows, columns = (tf.range(side, dtype=tf.float32) for side in (height, width))
    y = tf.clip_by_value(rows[:, None] + shifts[..., 0], 0, height - 1)
    x = tf.clip_by_value(columns + shifts[..., 1], 0, width - 1)
    return read_at(images, y, x)


def wear_glasses(images: tf.Tensor, probability: float, seed: tf.Tensor) -> tf.Tensor:
    """Returns images of faces of which some wear drawn glasses, about where faces have eyes.

    Shape, position, slant, grey, opacity and reflections of the glasses are random.

    Args:
        images: float32 tensor of shape `(batch, height, width, channels)`, from 0 to 1; the faces
            fill the images.
        probability: Probability that a face wears glasses, from 0 to 1.
        seed: Random seed, two integers.

    Returns:
        Tensor of the same shape, from 0 to 1.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.augmentation import wear_glasses
    >>> faces = tf.fill([8, 32, 32, 1], 0.5)
    >>> bool(tf.reduce_any(wear_glasses(faces, 1.0, tf.constant([0, 1])) != faces))
    True
    """
    count, height, width = tf.unstack(tf.shape(images)[:3])
    numbers = tf.random.stateless_uniform([len(GLASSES) + 1, count, 1, 1], seed)
    glasses = {
        name: low + (high - low) * numbers[row]
        for row, (name, (low, high)) in enumerate(GLASSES.items())
    }
    y = tf.range(height, dtype=tf.float32)[:, None] / tf.cast(height, tf.float32) - glasses["row"]
    x = tf.range(width, dtype=tf.float32) / tf.cast(width, tf.float32) - glasses["column"]
    y, x = y - glasses["slant"] * x, x + glasses["slant"] * y
    frame, glare = _frame_and_glare(y, x, glasses)
    worn = images + frame[..., None] * (glasses["grey"][..., None] - images)
    worn += glare[..., None] * (1 - worn)
    return tf.where(numbers[-1][..., None] < probability, worn, images)


def _frame_and_glare(
    y: tf.Tensor, x: tf.Tensor, glasses: dict[str, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the opacity of the frame and of the reflections at points relative to the nose."""
    # Both lenses at once: a rounded rectangle about the middle of each half.
    side = tf.abs(x) - glasses["apart"]
    power = glasses["squareness"]
    radius = (
        tf.abs(side / glasses["width"]) ** power + tf.abs(y / glasses["height"]) ** power
    ) ** (1 / power)
    rim = tf.exp(-(((radius - 1) * glasses["width"] / glasses["rim"]) ** 2))
    bar = tf.exp(-(((y + 0.2 * glasses["height"]) / glasses["rim"]) ** 2))
    reach = tf.abs(side) - glasses["width"]
    # The bridge lies between the lenses, the temples begin where they end.
    straight = (reach > 0) & ((side < 0) | (reach < glasses["temple"]))
    frame = glasses["opacity"] * tf.maximum(rim, tf.where(straight, bar, 0.0))
    spot = (side - glasses["glare_column"]) ** 2 + (y - glasses["glare_row"]) ** 2
    # Half of all glasses reflect no light.
    glare = tf.maximum(glasses["glare"], 0.0) * tf.exp(-spot / glasses["glare_spread"])
    return frame, tf.where(radius < 1, glare, 0.0)


def random_erasing(images: tf.Tensor, probability: float, seed: tf.Tensor) -> tf.Tensor:
    """Returns images of which some have a rectangle replaced by a random grey.

    Each side of the rectangle is between a tenth and a half of the image's. Unlike
    `keras.layers.RandomErasing`, the result depends on the seed alone.

    Args:
        images: float32 tensor of shape `(batch, height, width, channels)`.
        probability: Probability that an image has such a rectangle, from 0 to 1.
        seed: Random seed, two integers.

    Returns:
        Tensor of the same shape.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.augmentation import random_erasing
    >>> images = tf.fill([8, 32, 32, 1], -1.0)
    >>> erased = random_erasing(images, 1.0, tf.constant([0, 1])) >= 0
    >>> bool(tf.reduce_all(tf.reduce_any(erased, axis=[1, 2, 3])))
    True

    Reference:
        Zhong, Zheng, Kang, Li and Yang, 2020, "Random erasing data augmentation",
        https://arxiv.org/abs/1708.04896.
    """
    count, height, width = tf.unstack(tf.shape(images)[:3])
    numbers = tf.unstack(tf.random.stateless_uniform([6, count, 1, 1, 1], seed))
    erased = numbers[0] < probability
    rows, columns = (
        tf.range(side, dtype=tf.float32) / tf.cast(side, tf.float32) for side in (height, width)
    )
    places = rows[:, None, None], columns[None, :, None]
    for position, length, place in zip(numbers[1:3], numbers[3:5], places, strict=True):
        part = 0.1 + 0.4 * length
        start = position * (1 - part)
        erased &= (place >= start) & (place < start + part)
    return tf.where(erased, numbers[5], images)
