"""Image files to pixels, inside the graph."""

from typing import Literal

import tensorflow as tf

from dlrecipes.data.image_files import LUMINANCE
from dlrecipes.errors import DataError


def decode(contents: tf.Tensor, channels: Literal[1, 3] = 1) -> tf.Tensor:
    """Returns the image that a PNG, JPEG, BMP, GIF or WebP file holds.

    What is transparent becomes white. A JPEG's EXIF orientation is applied, of a GIF the first
    frame is taken, of 16 bits the upper 8. Works inside a `tf.function`.

    Args:
        contents: Scalar string tensor, the file's bytes.
        channels: 1 for grey, to which colour is brought by its luminance; 3 for colour.

    Returns:
        float32 tensor of shape `(height, width, channels)`, from 0 to 1 (white).

    Raises:
        DataError: If it cannot be decoded. Inside a `tf.function`, which cannot raise it:
            `tf.errors.InvalidArgumentError`, whose first line says why.

    Example:

    >>> file = tf.io.encode_png(tf.constant([[[0], [51]], [[102], [255]]], tf.uint8))
    >>> (5 * decode(file)[..., 0]).numpy().round().tolist()
    [[0.0, 1.0], [2.0, 5.0]]
    """
    contents = tf.convert_to_tensor(contents)
    try:
        pixels = tf.io.decode_image(contents, channels=0, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        why = error.message.splitlines()[0].rpartition("}} ")[2].removesuffix(" [Op:DecodeImage]")
        raise DataError(
            f"This is no image that can be decoded: {why.rstrip('.')}.",
            "Give the bytes of a whole PNG, JPEG, BMP, GIF or WebP file.",
        ) from None
    pixels = tf.image.convert_image_dtype(tf.ensure_shape(pixels, [None, None, None]), tf.float32)
    # Many a BMP has a fourth channel that is not used and zero.
    unused = tf.strings.substr(contents, 0, 2) == b"BM"
    return _upright(of_channels(pixels, channels, unused), _orientation(contents))


def of_channels(
    pixels: tf.Tensor, channels: Literal[1, 3], ignore_clear: bool | tf.Tensor = False
) -> tf.Tensor:
    """Returns an image of 1 to 4 channels as grey or colour, what is transparent as white.

    One channel is grey, two grey and alpha, three colour, four colour and alpha.

    Args:
        pixels: float32, `(..., channels)`, from 0 to 1.
        channels: 1 for grey, 3 for colour.
        ignore_clear: Whether an alpha channel that is 0 throughout is none.
    """
    count = tf.shape(pixels)[-1]
    is_colour = count > 2
    first = tf.minimum(tf.where(is_colour, 3, 1), count)
    colours, rest = pixels[..., :first], pixels[..., first:]
    if channels == 1:
        weights = tf.where(is_colour, tf.constant(LUMINANCE), tf.constant([1.0, 0.0, 0.0]))
        found = tf.linalg.matvec(colours, weights[:first])[..., None]
    else:
        times = tf.where(is_colour, 1, 3)
        found = tf.tile(
            colours, tf.concat([tf.ones([tf.rank(pixels) - 1], tf.int32), [times]], axis=0)
        )
    alpha = tf.reduce_max(rest, axis=-1, keepdims=True)
    opaque = tf.equal(count, first) | (ignore_clear & (tf.reduce_max(alpha) <= 0.0))
    found = tf.where(opaque, found, 1.0 + alpha * (found - 1.0))
    return tf.ensure_shape(found, [*pixels.shape[:-1], channels])


def _orientation(contents: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of a JPEG file, 1 to 8; 1 where none is told."""
    # Its entry is tag 0x0112, type 3, count 1, value; of either order of bytes. The first of
    # them is the image's own, and a segment of EXIF data ends before 64 KiB.
    head = tf.strings.substr(contents, 0, 65_536)
    data = tf.pad(tf.cast(tf.io.decode_raw(head, tf.uint8), tf.int32), [[0, 12]])
    count = tf.size(data) - 12
    orientation = tf.constant(1)
    entries = (([18, 1, 3, 0, 1, 0, 0, 0], 8), ([1, 18, 0, 3, 0, 0, 0, 1], 9))
    for entry, at in entries:
        same = tf.stack([data[k : k + count] == byte for k, byte in enumerate(entry)])
        places = tf.where(tf.reduce_all(same, axis=0))[:, 0]
        value = tf.cond(tf.size(places) > 0, lambda p=places, a=at: data[p[0] + a], lambda: 1)
        orientation = tf.where(orientation == 1, value, orientation)
    is_jpeg = tf.reduce_all(data[:2] == [0xFF, 0xD8]) & (orientation >= 1) & (orientation <= 8)
    return tf.where(is_jpeg, orientation, 1)


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Returns an image turned and mirrored as its EXIF orientation says."""
    is_one_of = tf.reduce_any
    turned = tf.cond(
        orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: tf.identity(image)
    )
    turned = tf.cond(
        is_one_of(orientation == [2, 3, 6, 7]), lambda: turned[:, ::-1], lambda: turned
    )
    return tf.cond(is_one_of(orientation == [3, 4, 7, 8]), lambda: turned[::-1], lambda: turned)
