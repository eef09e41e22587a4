"""Images as files and as bytes inside the graph: decoding, encoding and conversion to floats."""

import re
from collections.abc import Callable, Sequence

import tensorflow as tf

from dlrecipes.data._image_headers import File, read_header
from dlrecipes.data.image_decoding import BITS, FAINTEST
from dlrecipes.data.image_files import LUMINANCE
from dlrecipes.errors import DataError, reason

_CANNOT, _HINT = "The image cannot be decoded: ", " Give the bytes of a whole PNG or JPEG file."

# TensorFlow puts the name of a failed operation before and after the reason.
_POSITION = re.compile(r"^\{\{.*?\}\} |\s*\[Op:.*$")


def decode(contents: tf.Tensor, channels: int = 1) -> tf.Tensor:
    """Returns the image in a PNG, JPEG, BMP, GIF or WebP file.

    The pixels are those of `dlrecipes.data.image_files.read_image`: EXIF orientation is applied,
    transparent areas become white, only the first frame is read, and 16-bit grey is scaled by the
    range that it uses. Files that TensorFlow would decode to other pixels are rejected:
    animated WebP files, GIF files with a transparent colour, CMYK JPEG files without an Adobe
    marker, and BMP files that are compressed or have other than 8, 24 or 32 bits per pixel. Works
    inside a `tf.function`.

    Args:
        contents: Scalar string tensor with the file's bytes.
        channels: 1 for grey (colour is converted to luminance), 3 for colour. Defaults to 1.

    Returns:
        float32 tensor of shape `(height, width, channels)`, from 0 (black) to 1 (white).

    Raises:
        DataError: If the bytes cannot be decoded, or the image has more than 100 million pixels.
            Inside a `tf.function`, the error is `tf.errors.InvalidArgumentError`, whose first line
            gives the reason.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.image_bytes import decode
    >>> file = tf.io.encode_png(tf.constant([[[0], [51]], [[102], [255]]], tf.uint8))
    >>> (5 * decode(file)[..., 0]).numpy().round().tolist()
    [[0.0, 1.0], [2.0, 5.0]]
    """
    try:
        return _decode(tf.convert_to_tensor(contents), channels)
    except tf.errors.InvalidArgumentError as error:
        why = _POSITION.sub("", reason(error)).removeprefix(_CANNOT).removesuffix(_HINT)
        raise DataError(f"{_CANNOT}{why.rstrip('. ')}.", _HINT.strip()) from None


# AutoGraph has nothing to convert here, and its search takes longer than tracing.
@tf.autograph.experimental.do_not_convert
def _decode(contents: tf.Tensor, channels: int) -> tf.Tensor:
    file = File.of(contents)
    header = read_header(file)
    # The file is decoded only after the assertion: decoding may take much memory, or crash.
    with tf.control_dependencies([_require(header.problem)]):
        contents = tf.identity(contents)
    pixels = tf.switch_case(
        tf.gather([0, 0, 1, 3, 2, 3], header.kind),
        [
            lambda: _decode_png(contents, file, header.has_alpha),
            # Pillow decodes with these options.
            lambda: tf.io.decode_jpeg(
                contents, dct_method="INTEGER_ACCURATE", fancy_upscaling=True
            ),
            lambda: _decode_bmp(contents, file, header.has_alpha),
            lambda: tf.io.decode_image(contents, expand_animations=False),
        ],
    )
    pixels = tf.ensure_shape(pixels, [None, None, None])
    image = of_channels(tf.image.convert_image_dtype(pixels, tf.float32), channels)
    return _upright(image, header.orientation)


def _require(problem: tf.Tensor) -> tf.Operation | None:
    """Returns an assertion that there is no problem; its message is for the client."""
    message = tf.strings.join([_CANNOT, problem, ".", _HINT])
    if tf.executing_eagerly() and problem != "":
        # An eager assertion would shorten the message.
        raise tf.errors.InvalidArgumentError(None, None, message.numpy().decode())
    return tf.debugging.Assert(problem == "", [message])


def _decode_bmp(contents: tf.Tensor, file: File, has_alpha: tf.Tensor) -> tf.Tensor:
    pixels = tf.ensure_shape(tf.io.decode_bmp(contents), [None, None, None])
    count = file.number(46, 4, little=True)
    palette = file.values(14 + file.number(14, 4, little=True), 1024)
    # Entries are blue, green, red and an unused byte; indices without an entry are black.
    palette = tf.reverse(tf.reshape(palette, [256, 4])[:, :3], axis=[1])
    has_entry = (count == 0) | (tf.range(256, dtype=tf.int64) < count)
    palette = tf.cast(tf.where(has_entry[:, None], palette, 0), tf.uint8)

    def colours() -> tf.Tensor:
        return tf.gather(palette, tf.cast(pixels[..., 0], tf.int32))

    def fields() -> tf.Tensor:
        return tf.cond(has_alpha, lambda: pixels, lambda: pixels[..., :3])

    return tf.cond(tf.shape(pixels)[-1] == 1, colours, fields)


def _decode_png(contents: tf.Tensor, file: File, has_alpha: tf.Tensor) -> tf.Tensor:
    depth, kind = file.number(24, 1), file.number(25, 1)
    is_grey = (kind == 0) | (kind == 4)

    def decoded(dtype: tf.DType) -> tf.Tensor:
        # Only with four channels, a transparent colour becomes the fourth.
        def with_alpha() -> tf.Tensor:
            pixels = tf.io.decode_png(contents, 4, dtype)
            grey = tf.concat([pixels[..., :1], pixels[..., 3:]], axis=-1)
            return tf.cond(is_grey, lambda: grey, lambda: pixels)

        def as_stored() -> tf.Tensor:
            return tf.io.decode_png(contents, 0, dtype)

        pixels = tf.cond(has_alpha, with_alpha, as_stored)
        return tf.ensure_shape(pixels, [None, None, None])

    return tf.cond(
        depth == 16,
        lambda: _upper_bits(decoded(tf.uint16), kind),
        lambda: decoded(tf.uint8),
    )


def _upper_bits(pixels: tf.Tensor, kind: tf.Tensor) -> tf.Tensor:
    """Returns 8 of the 16 bits of a PNG file as `image_decoding` does."""
    first = tf.minimum(
        tf.where(kind == 0, 1, tf.shape(pixels)[-1] - tf.cast(kind // 4, tf.int32)), 3
    )
    colours, alpha = tf.cast(pixels[..., :first], tf.int32), pixels[..., first:]
    largest = tf.reduce_max(colours)
    used = tf.reduce_sum(tf.cast(largest >= [2**bits for bits in BITS if 8 <= bits < 16], tf.int32))
    is_faint = (kind > 0) & (largest < 256 * (FAINTEST + 1))
    problem = tf.where(is_faint, "its 16-bit colours use at most 14 bits", "")
    with tf.control_dependencies([_require(problem)]):
        colours = tf.bitwise.right_shift(colours, tf.where(kind == 0, 2 * used, 8))
    alpha = tf.bitwise.right_shift(tf.cast(alpha, tf.int32), 8)
    return tf.cast(tf.concat([colours, alpha], axis=-1), tf.uint8)


def of_channels(pixels: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns an image of 1 to 4 channels as grey or colour, with transparent areas white.

    One channel is grey, two are grey and alpha, three are colour, four are colour and alpha.

    Args:
        pixels: float32 tensor of shape `(..., channels)`, from 0 to 1.
        channels: 1 for grey, 3 for colour.

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
        # A matrix product of images with one row writes beyond its memory in TensorFlow 2.21.
        image = tf.reduce_sum(colours * weights[:first], axis=-1, keepdims=True)
    else:
        times = tf.where(is_colour, 1, 3)
        image = tf.tile(
            colours, tf.concat([tf.ones([tf.rank(pixels) - 1], tf.int32), [times]], axis=0)
        )
    alpha = tf.reduce_max(rest, axis=-1, keepdims=True)
    image = tf.where(tf.equal(count, first), image, 1.0 + alpha * (image - 1.0))
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


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Returns an image rotated and mirrored according to its EXIF orientation."""
    orientation = tf.cast(orientation, tf.int32)
    rotated = tf.cond(
        orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: tf.identity(image)
    )
    mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
    rotated = tf.cond(mirrored, lambda: rotated[:, ::-1], lambda: rotated)
    flipped = tf.reduce_any(orientation == [3, 4, 7, 8])
    return tf.cond(flipped, lambda: rotated[::-1], lambda: rotated)
