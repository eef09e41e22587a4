"""Images of any size as square inputs of a network: with Pillow, and equally inside the graph.

Images are stretched to a square with a triangle filter that is widened when it shrinks
(antialiasing), as `keras.utils.image_dataset_from_directory` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf
    from PIL import Image

# Added before rounding down. Halves, which are frequent where an image shrinks by a whole factor,
# are rounded up in spite of rounding errors, which are smaller than the distance to 1/2.
_HALF = 0.5 + 1 / 256


def resize(image: Image.Image | np.ndarray, size: int) -> np.ndarray:
    """Returns an image stretched to a square, in colour; does not load TensorFlow.

    Args:
        image: Image of mode `"L"` or `"RGB"`, or uint8 array of shape `(height, width)` or
            `(height, width, 3)`.
        size: Height and width of the result.

    Returns:
        uint8 array of shape `(size, size, 3)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.image_resizing import resize
    >>> image = np.array([[0, 0, 100, 100]] * 2, "uint8")
    >>> resize(image, 2)[..., 0].tolist()
    [[14, 86], [14, 86]]
    """
    from PIL import Image

    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image.convert("RGB"))


def fit(image: tf.Tensor, size: int) -> tf.Tensor:
    """Returns an image of any size as input of a network, in the graph, as `resize` does.

    Args:
        image: float32 of shape `(height, width, channels)` with 1 to 4 channels, from 0 to 1 (see
            `dlrecipes.data.image_bytes.of_channels`).
        size: Height and width of the result.

    Returns:
        float32 of shape `(size, size, 3)`, multiples of 1/255 from 0 to 1.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.image_resizing import fit
    >>> fit(tf.zeros([40, 30, 1]), 16).shape.as_list()
    [16, 16, 3]
    """
    import tensorflow as tf

    from dlrecipes.data.image_bytes import of_channels

    image = tf.image.resize(of_channels(image, 3), [size, size], antialias=True)
    # Training images are integers.
    return tf.floor(tf.clip_by_value(image, 0.0, 1.0) * 255 + _HALF) / 255


def fit_array(image: np.ndarray, size: int) -> np.ndarray:
    """Returns an image as input of a network, as `fit` does; does not load TensorFlow.

    `resize` rounds between its two passes, so that its pixels differ from those of `fit` by one
    grey level here and there. Here a pixel differs only where rounding errors decide: hardly ever.

    Args:
        image: uint8 array of shape `(height, width)` or `(height, width, 3)`.
        size: Height and width of the result.

    Returns:
        float32 array of shape `(size, size, 3)`, multiples of 1/255 from 0 to 1.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.image_resizing import fit_array
    >>> image = np.array([[0, 0, 100, 100]] * 2, "uint8")
    >>> (255 * fit_array(image, 2)[..., 0]).round().tolist()
    [[14.0, 86.0], [14.0, 86.0]]
    """
    levels = np.floor(resize_array(image, size, size).clip(0, 255) + np.float32(_HALF))
    return np.ascontiguousarray(
        np.broadcast_to(_with_channels(levels), (size, size, 3)) / np.float32(255)
    )


def scale_array(image: np.ndarray, size: int, channels: int, crop: float = 1.0) -> np.ndarray:
    """Returns an image cropped and stretched to a square, not rounded; does not load TensorFlow.

    It equals `tf.image.central_crop` and `tf.image.resize` with antialiasing, up to rounding errors
    of floats.

    Args:
        image: uint8 array of shape `(height, width)` or `(height, width, 3)`.
        size: Height and width of the result.
        channels: 1 for grey (luminance), 3 for colour.
        crop: Fraction of each side that is kept, around the middle. Defaults to 1.0.

    Returns:
        float32 array of shape `(size, size, channels)`, from 0 to 1.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.image_resizing import scale_array
    >>> scale_array(np.zeros((40, 30), "uint8"), 2, 3).shape
    (2, 2, 3)
    """
    if crop < 1:
        rows, columns = (int((side - side * crop) / 2) for side in image.shape[:2])
        image = image[rows : image.shape[0] - rows, columns : image.shape[1] - columns]
    values = as_channels(resize_array(image, size, size) / np.float32(255), channels)
    return np.ascontiguousarray(values.clip(0, 1))


def as_channels(values: np.ndarray, channels: int) -> np.ndarray:
    """Returns a grey or colour image as grey (luminance) or colour, as `image_bytes.of_channels`.

    Args:
        values: Array of shape `(height, width)` or `(height, width, 3)`, float32 or uint8.
        channels: 1 for grey, 3 for colour.

    Returns:
        Array of shape `(height, width, channels)`, in the same range.
    """
    from dlrecipes.data.image_files import LUMINANCE

    values = _with_channels(values)
    if channels == 1 and values.shape[-1] == 3:
        red, green, blue = (
            values[..., k : k + 1] * np.float32(weight) for k, weight in enumerate(LUMINANCE)
        )
        red += green
        red += blue
        return red
    return np.broadcast_to(values, (*values.shape[:2], channels))


def _with_channels(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 3 else values[..., None]


def resize_array(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Returns an image of another size, with a triangle filter as `tf.image.resize` with antialias.

    Args:
        image: Array of shape `(height, width)` or `(height, width, channels)`.
        rows: Height of the result.
        columns: Width of the result.

    Returns:
        float32 array of shape `(rows, columns)` or `(rows, columns, channels)`, in the same range.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.image_resizing import resize_array
    >>> resize_array(np.array([[0, 0, 80, 80]] * 2), 1, 2).tolist()
    [[11.428571701049805, 68.57142639160156]]
    """
    height, width = image.shape[:2]
    values: np.ndarray = image.astype(np.float32).reshape(height, -1)
    if height != rows:
        values = triangle_weights(height, rows) @ values
    if width != columns:
        # One product: one for each row of the image takes longer.
        turned = values.reshape(rows, width, -1).swapaxes(0, 1).reshape(width, -1)
        values = triangle_weights(width, columns) @ turned
        values = values.reshape(columns, rows, -1).swapaxes(0, 1)
    return values.reshape(rows, columns, *image.shape[2:])


def triangle_weights(length: int, size: int) -> np.ndarray:
    """Returns the weights of a triangle filter, float32 of shape `(size, length)`.

    Args:
        length: Pixels of the image along an axis.
        size: Pixels of the result along this axis.
    """
    step = length / size
    centres = (np.arange(size) + 0.5) * step
    distances = np.abs(np.arange(length) + 0.5 - centres[:, None]) / max(step, 1)
    weights = np.maximum(1 - distances, 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def limit(image: tf.Tensor, largest: int) -> tf.Tensor:
    """Returns an image made smaller if its longer side has too many pixels, in the graph.

    Args:
        image: float32 of shape `(height, width, channels)`.
        largest: Most pixels of the longer side.

    Returns:
        float32 image with the same proportions.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.image_resizing import limit
    >>> limit(tf.zeros([40, 30, 1]), 20).shape.as_list()
    [20, 15, 1]
    """
    import tensorflow as tf

    size = tf.shape(image)[:2]
    scale = tf.cast(largest / tf.reduce_max(size), tf.float32)
    smaller = tf.cast(tf.round(tf.cast(size, tf.float32) * scale), tf.int32)
    return tf.cond(
        scale < 1,
        lambda: tf.image.resize(image, tf.maximum(smaller, 1), method="area"),
        lambda: tf.identity(image),
    )


def prepare(images: tf.Tensor, size: int) -> tf.Tensor:
    """Returns a batch of images of any one size as inputs of a network, in the graph.

    Args:
        images: uint8 of shape `(batch, height, width, channels)` with 1 to 4 channels.
        size: Height and width of the result.

    Returns:
        float32 of shape `(batch, size, size, 3)`, multiples of 1/255 from 0 to 1.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.image_resizing import prepare
    >>> prepare(tf.zeros([2, 40, 30, 1], tf.uint8), 16).shape.as_list()
    [2, 16, 16, 3]
    """
    import tensorflow as tf

    return fit(tf.cast(images, tf.float32) / 255, size)
