"""Keras' random flips, shifts and zooms as matrix products, which is faster than one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

# Height and width up to which matrix products are faster: their time per pixel grows with the size.
LARGEST = 256
LAYERS = (keras.layers.RandomFlip, keras.layers.RandomTranslation, keras.layers.RandomZoom)


class Places(NamedTuple):
    """Where the pixels of an axis come from: `scale * place + offset`, reflected at the borders.

    Args:
        scale: float32 of shape `(batch, 1)`.
        offset: float32 of shape `(batch, 1)`, in pixels.
        interpolates: Whether the two nearest pixels are averaged; otherwise the nearest one counts.
    """

    scale: tf.Tensor
    offset: tf.Tensor
    interpolates: bool


def is_resampling(layer: keras.layers.Layer) -> bool:
    """Returns whether a layer moves pixels along rows and columns, and reflects at the borders."""
    return (
        type(layer) in LAYERS
        and layer.data_format == "channels_last"
        and layer.compute_dtype == "float32"
        and getattr(layer, "fill_mode", "reflect") == "reflect"
    )


def can_resample(images: tf.Tensor) -> bool:
    """Returns whether images are a batch of a known size that is not too large."""
    shape = tf.TensorShape(images.shape)
    return shape.rank == 4 and all(side is not None and side <= LARGEST for side in shape[1:3])


def places(layer: keras.layers.Layer, images: tf.Tensor) -> tuple[Places | None, Places | None]:
    """Returns what a layer does to the rows and to the columns; `None` if it keeps them.

    Args:
        layer: Layer for which `is_resampling` is true; it draws its random numbers.
        images: Batch of images of shape `(batch, height, width, channels)`.
    """
    drawn = layer.get_random_transformation(images, training=True)
    sides = images.shape[1:3]
    if isinstance(layer, keras.layers.RandomFlip):
        is_flipped = tf.cast(drawn["flips"][:, 0, 0], "float32")
        rows, columns = (
            Places(1 - 2 * is_flipped, (side - 1.0) * is_flipped, False) for side in sides
        )
        return (
            rows if "vertical" in layer.mode else None,
            columns if "horizontal" in layer.mode else None,
        )
    interpolates = layer.interpolation == "bilinear"
    if isinstance(layer, keras.layers.RandomTranslation):
        shifts = drawn["translations"]
        one = tf.ones_like(shifts[:, :1])
        return Places(one, -shifts[:, 1:], interpolates), Places(one, -shifts[:, :1], interpolates)
    zooms = drawn["height_zoom"], drawn["width_zoom"]
    rows, columns = (
        Places(zoom, (side - 1.0) / 2.0 * (1.0 - zoom), interpolates)
        for zoom, side in zip(zooms, sides, strict=True)
    )
    return rows, columns


def resample(images: tf.Tensor, along: Sequence[tuple[Places | None, Places | None]]) -> tf.Tensor:
    """Returns images whose pixels are moved by several layers, one after another.

    Args:
        images: float32 of shape `(batch, height, width, channels)`, of known height and width.
        along: `places` of each layer.

    Returns:
        The images that the layers would return, up to rounding.
    """
    rows, columns = (
        _matrix([place for place in axis if place is not None], side)
        for axis, side in zip(zip(*along, strict=True), images.shape[1:3], strict=True)
    )
    if rows is not None:
        images = _mixed(rows, images)
    if columns is not None:
        images = tf.transpose(_mixed(columns, tf.transpose(images, [0, 2, 1, 3])), [0, 2, 1, 3])
    return images


def _mixed(matrix: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Returns images whose rows are sums of rows, with weights of shape `(batch, rows, rows)`."""
    shape = tf.shape(images)
    rows = tf.reshape(images, [shape[0], images.shape[1], images.shape[2] * images.shape[3]])
    return tf.ensure_shape(tf.reshape(matrix @ rows, shape), images.shape)


def _matrix(layers: Sequence[Places], side: int) -> tf.Tensor | None:
    """Returns the weight of each pixel of an axis in each new one; `None` without layers."""
    matrix, indices = None, None
    for layer in layers:
        sources = _reflected(layer.scale * tf.range(float(side)) + layer.offset, side)
        if layer.interpolates:
            fractions = sources - tf.floor(sources)
            below = tf.cast(sources, tf.int32)
            pair = tf.stack([below, tf.minimum(below + 1, side - 1)], axis=-1)
            weights = tf.stack([1.0 - fractions, fractions], axis=-1)
            matrix = _product(_sparse(_composed(indices, pair), weights, side), matrix)
            indices = None
        else:
            nearest = tf.minimum(tf.cast(sources + 0.5, tf.int32), side - 1)
            indices = _composed(indices, nearest)
    return matrix if indices is None else _product(tf.one_hot(indices, side), matrix)


def _composed(indices: tf.Tensor | None, places: tf.Tensor) -> tf.Tensor:
    """Returns the indices at some places, or the places where no index was chosen before."""
    return places if indices is None else tf.gather(indices, places, batch_dims=1)


def _sparse(indices: tf.Tensor, weights: tf.Tensor, side: int) -> tf.Tensor:
    """Returns matrices with two weights per row at given columns; those at one column add up.

    Args:
        indices: int32 of shape `(batch, side, 2)`.
        weights: float32 of shape `(batch, side, 2)`.
        side: Number of rows and of columns.
    """
    rows = tf.size(indices) // 2
    places = tf.reshape(indices, [rows, 2]) + side * tf.range(rows)[:, None]
    flat = tf.scatter_nd(
        tf.reshape(places, [-1, 1]), tf.reshape(weights, [-1]), tf.reshape(side * rows, [1])
    )
    return tf.reshape(flat, [-1, side, side])


def _product(matrix: tf.Tensor, before: tf.Tensor | None) -> tf.Tensor:
    return matrix if before is None else matrix @ before


def _reflected(sources: tf.Tensor, side: int) -> tf.Tensor:
    """Returns places within an image that continues as `d c b a | a b c d | d c b a`."""
    around = tf.math.floormod(sources + 0.5, 2.0 * side) - 0.5
    around = tf.clip_by_value(tf.minimum(around, 2.0 * side - 1.0 - around), 0.0, side - 1.0)
    # Places inside are not rounded.
    return tf.where((sources >= 0.0) & (sources <= side - 1.0), sources, around)
