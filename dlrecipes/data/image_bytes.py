"""Images as files and as bytes inside the graph: decoding, encoding and conversion to floats."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from dlrecipes.data.image_files import LUMINANCE
from dlrecipes.errors import DataError


def decode(contents: tf.Tensor, channels: int = 1) -> tf.Tensor:
    """Returns the image in a PNG, JPEG, BMP, GIF or WebP file.

    Transparent areas become white. The EXIF orientation of a JPEG is applied; of a GIF only the
    first frame is read, and of 16-bit images only the upper 8 bits. Works inside a
    `tf.function`.

    Args:
        contents: Scalar string tensor with the file's bytes.
        channels: 1 for grey (colour is converted to luminance), 3 for colour. Defaults to 1.

    Returns:
        float32 tensor of shape `(height, width, channels)`, from 0 (black) to 1 (white).

    Raises:
        DataError: If the bytes cannot be decoded. Inside a `tf.function`, the error is
            `tf.errors.InvalidArgumentError`, whose first line gives the reason.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.image_bytes import decode
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
            f"The image cannot be decoded: {why.rstrip('.')}.",
            "Give the bytes of a whole PNG, JPEG, BMP, GIF or WebP file.",
        ) from None
    pixels = tf.image.convert_image_dtype(tf.ensure_shape(pixels, [None, None, None]), tf.float32)
    # In many BMP files the fourth channel is unused and zero.
    unused = tf.strings.substr(contents, 0, 2) == b"BM"
    return _upright(of_channels(pixels, channels, unused), _orientation(contents))


def of_channels(
    pixels: tf.Tensor, channels: int, ignore_clear: bool | tf.Tensor = False
) -> tf.Tensor:
    """Returns an image of 1 to 4 channels as grey or colour, with transparent areas white.

    One channel is grey, two are grey and alpha, three are colour, four are colour and alpha.

    Args:
        pixels: float32 tensor of shape `(..., channels)`, from 0 to 1.
        channels: 1 for grey, 3 for colour.
        ignore_clear: Whether to ignore an alpha channel that is 0 everywhere. Defaults to
            `False`.

    Returns:
        float32 tensor of shape `(..., channels)`, from 0 to 1.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.image_bytes import of_channels
    >>> half_transparent_black = tf.constant([[[0.0, 0.5]]])
    >>> of_channels(half_transparent_black, 3).numpy().tolist()
    [[[0.5, 0.5, 0.5]]]
    """
    count = tf.shape(pixels)[-1]
    is_colour = count > 2
    first = tf.minimum(tf.where(is_colour, 3, 1), count)
    colours, rest = pixels[..., :first], pixels[..., first:]
    if channels == 1:
        weights = tf.where(is_colour, tf.constant(LUMINANCE), tf.constant([1.0, 0.0, 0.0]))
        image = tf.linalg.matvec(colours, weights[:first])[..., None]
    else:
        times = tf.where(is_colour, 1, 3)
        image = tf.tile(
            colours, tf.concat([tf.ones([tf.rank(pixels) - 1], tf.int32), [times]], axis=0)
        )
    alpha = tf.reduce_max(rest, axis=-1, keepdims=True)
    opaque = tf.equal(count, first) | (ignore_clear & (tf.reduce_max(alpha) <= 0.0))
    image = tf.where(opaque, image, 1.0 + alpha * (image - 1.0))
    return tf.ensure_shape(image, [*pixels.shape[:-1], channels])


def decode_batch(
    image_bytes: tf.Tensor, prepare: Callable[[tf.Tensor], tf.Tensor], shape: Sequence[int]
) -> tf.Tensor:
    """Returns the images in a batch of files, each decoded and prepared for a network.

    The files may have different sizes: they are decoded one by one (see `decode`). Works inside a
    `tf.function`.

    Args:
        image_bytes: File contents, string tensor of shape `(batch,)`.
        prepare: Function from one image, float32 of shape `(height, width, channels)`, from 0 to
            1, to a tensor of shape `shape`.
        shape: Height, width and channels (1 for grey, 3 for colour) of a prepared image.

    Returns:
        float32 tensor of shape `(batch, *shape)`.

    Raises:
        DataError: If a file cannot be decoded, as for `decode`.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.image_bytes import decode_batch
    >>> file = tf.io.encode_png(tf.zeros([7, 9, 1], tf.uint8))
    >>> decode_batch(tf.stack([file]), lambda image: image[:4, :4], (4, 4, 1)).shape.as_list()
    [1, 4, 4, 1]
    """

    def decoded(content: tf.Tensor) -> tf.Tensor:
        return prepare(decode(content, shape[-1]))

    return tf.map_fn(decoded, image_bytes, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def prepare_batch(
    images: tf.Tensor, prepare: Callable[[tf.Tensor], tf.Tensor], shape: Sequence[int]
) -> tf.Tensor:
    """Returns a batch of images of any one size, each prepared for a network.

    Does for arrays what `decode_batch` does for files. Works inside a `tf.function`.

    Args:
        images: uint8 tensor of shape `(batch, height, width, channels)` with 1 to 4 channels (see
            `of_channels`).
        prepare: Function from one image, float32 of shape `(height, width, channels)`, from 0 to
            1, to a tensor of shape `shape`.
        shape: Height, width and channels (1 for grey, 3 for colour) of a prepared image.

    Returns:
        float32 tensor of shape `(batch, *shape)`.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.image_bytes import prepare_batch
    >>> colour = tf.zeros([2, 7, 9, 3], tf.uint8)
    >>> prepare_batch(colour, lambda image: image[:4, :4], (4, 4, 1)).shape.as_list()
    [2, 4, 4, 1]
    """

    def prepared(image: tf.Tensor) -> tf.Tensor:
        return prepare(of_channels(tf.cast(image, tf.float32) / 255, shape[-1]))

    return tf.map_fn(prepared, images, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def encode_batch(images: tf.Tensor) -> tf.Tensor:
    """Returns a batch of images as PNG files; works inside a `tf.function`.

    Args:
        images: uint8 tensor of shape `(batch, height, width, channels)`.

    Returns:
        String tensor of shape `(batch,)`.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.image_bytes import encode_batch
    >>> encode_batch(tf.zeros([2, 7, 9, 1], tf.uint8)).numpy()[0][1:4]
    b'PNG'
    """
    return tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.TensorSpec([], tf.string))


def to_signed(images: tf.Tensor) -> tf.Tensor:
    """Returns uint8 images as floats from -1 to 1, the range of a generator's `tanh`.

    Args:
        images: uint8 tensor or array of any shape.

    Returns:
        float32 tensor of the same shape.

    Example:

    >>> from dlrecipes.data.image_bytes import to_signed
    >>> to_signed([0, 255]).numpy().tolist()
    [-1.0, 1.0]
    """
    return tf.cast(images, tf.float32) / 127.5 - 1


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Returns images from -1 to 1 as uint8: the inverse of `to_signed`; values outside are clipped.

    Args:
        images: Float tensor or array of any shape.

    Returns:
        uint8 tensor of the same shape.

    Example:

    >>> from dlrecipes.data.image_bytes import to_uint8
    >>> to_uint8([-1.0, 1.0, 1.5]).numpy().tolist()
    [0, 255, 255]
    """
    scaled = (tf.cast(images, tf.float32) + 1) * 127.5
    return tf.cast(tf.round(tf.clip_by_value(scaled, 0, 255)), tf.uint8)


def _orientation(contents: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of a JPEG file, 1 to 8; 1 if the file does not give it."""
    # The entry is tag 0x0112, type 3, count 1, value, in either byte order. The first entry is
    # the image's own (others belong to thumbnails), and an EXIF segment ends before 64 KiB.
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
    """Returns an image rotated and mirrored according to its EXIF orientation."""
    rotated = tf.cond(
        orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: tf.identity(image)
    )
    mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
    rotated = tf.cond(mirrored, lambda: rotated[:, ::-1], lambda: rotated)
    flipped = tf.reduce_any(orientation == [3, 4, 7, 8])
    return tf.cond(flipped, lambda: rotated[::-1], lambda: rotated)
