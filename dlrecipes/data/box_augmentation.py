"""Random changes of training images that move their boxes along."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from dlrecipes.data.augmentation import random_colour
from dlrecipes.data.box_batches import PADDING

WHITE = 255.0
# Grey of the pixels beyond an image: reflected ones would show objects without boxes.
GREY = 127.5
# Sides of a box in pixels, below which it is dropped.
MIN_SIDE = 1.0


class BoxAugmentation:
    """Flips, scales, shifts and recolours a batch of images, and joins four of them; boxes follow.

    All random numbers are a function of the seed and the number of the batch alone, so that a run
    which is resumed sees the same images. An image and its boxes are moved in one step: a window
    of the image is stretched to the output; places beyond the image are grey.

    A box is clipped to the output. It is dropped if too small a part of it is left, or if a side
    is shorter than a pixel.

    Keras' own layers move boxes as well and are exact. In a row they take five times as long,
    interpolate twice, do not know ignored boxes, and neither drop boxes nor join images.

    Args:
        size: Height and width of the images in pixels, at least 1.
        flip: Whether each image is mirrored from left to right with probability 0.5. Defaults to
            `True`.
        scale: Largest enlargement, at least 0: objects become larger by a factor between
            `1 / (1 + scale)` and `1 + scale`, log-uniform. The window lies anywhere in the image,
            or the image anywhere in the window if that is larger. Defaults to 0.
        shift: Largest further shift along each axis, as a fraction of the image, at least 0.
            Defaults to 0.
        colour: Strength of `dlrecipes.data.augmentation.random_colour`, at least 0. Defaults to 0.
        mosaic: Probability from 0 to 1 that an image is replaced by four of the batch, side by
            side in a square. The window shows at least as much as one image has and at most all
            four; `scale` and `shift` do not apply. Defaults to 0.
        seed: Random seed. Defaults to 0.
        min_visibility: Part of a box's area that must be left, from 0 to 1. Defaults to 0.3.

    Call arguments:
        images: Pixels from 0 to 255, float32 of shape `(batch, size, size, 3)`.
        targets: Dictionary of `boxes`, `classes` and `ignored`, as `box_batches` returns it, with
            `M` boxes per image.
        number: Number of the batch over all epochs.

    Returns:
        Images and targets in the same form; boxes keep their order, and padding is last. If
        `mosaic` is above 0, there are `4 * M` boxes per image, for any number of the batch.

    Raises:
        ValueError: If an argument is out of bounds.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.box_augmentation import BoxAugmentation
    >>> targets = {
    ...     "boxes": tf.constant([[[8.0, 4.0, 16.0, 12.0], [0.0, 0.0, 0.0, 0.0]]]),
    ...     "classes": tf.constant([[5, -1]]),
    ...     "ignored": tf.constant([[False, False]]),
    ... }
    >>> augment = BoxAugmentation(32, flip=True, colour=0.3)
    >>> images, targets = augment(tf.zeros([1, 32, 32, 3]), targets, number=0)
    >>> targets["boxes"][0, 0].numpy().tolist() in ([8, 4, 16, 12], [16, 4, 24, 12])
    True

    Reference:
        Bochkovskiy, Wang and Liao, 2020, "YOLOv4: optimal speed and accuracy of object detection",
        section 3.3, for the mosaic. https://arxiv.org/abs/2004.10934
    """

    def __init__(
        self,
        size: int,
        flip: bool = True,
        scale: float = 0.0,
        shift: float = 0.0,
        colour: float = 0.0,
        mosaic: float = 0.0,
        seed: int = 0,
        min_visibility: float = 0.3,
    ):
        inf = float("inf")
        bounds = {"size": (size, 1, inf), "scale": (scale, 0, inf), "shift": (shift, 0, inf),
                  "colour": (colour, 0, inf), "mosaic": (mosaic, 0, 1),
                  "min_visibility": (min_visibility, 0, 1)}  # fmt: skip
        for name, (value, least, most) in bounds.items():
            if not least <= value <= most:
                limit = f"at least {least}" if most == inf else f"from {least} to {most}"
                raise ValueError(f"{name} must be {limit}, not {value!r}.")
        self._size, self._flip, self._scale, self._shift = size, flip, scale, shift
        self._colour, self._mosaic, self._seed = colour, mosaic, seed
        self._min_visibility = min_visibility

    def __call__(
        self, images: tf.Tensor, targets: Mapping[str, tf.Tensor], number: tf.Tensor | int
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        count, targets = tf.shape(images)[0], dict(targets)
        seed = tf.stack([self._seed, tf.cast(number, tf.int32)])
        moves, order, colours = (
            tf.random.experimental.stateless_fold_in(seed, use) for use in range(3)
        )
        if self._flip or self._scale or self._shift or self._mosaic:
            numbers = tf.random.stateless_uniform([8, count], moves)
            is_mosaic = numbers[0] < self._mosaic
            if self._mosaic:
                order = tf.random.experimental.stateless_shuffle(tf.range(count), order)
                images, targets = self._joined(images, targets, is_mosaic, order)
            slope, offset = self._windows(numbers, is_mosaic)
            images = self._moved_images(images, slope, offset)
            targets = self._moved_boxes(targets, slope, offset)
        if self._colour:
            images = random_colour(images, self._colour, colours)
            images = tf.clip_by_value(images, 0.0, WHITE)
        return images, targets

    def _joined(
        self,
        images: tf.Tensor,
        targets: dict[str, tf.Tensor],
        is_mosaic: tf.Tensor,
        order: tf.Tensor,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns squares of four images, of which all but the first are grey if not mosaics."""
        places = tf.argsort(order)
        tiles, parts = [images], [targets]
        for step in (1, 2, 3):
            rows = tf.gather(order, (places + step) % tf.size(order))
            tile = tf.where(is_mosaic[:, None, None, None], tf.gather(images, rows), GREY)
            part = {name: tf.gather(values, rows) for name, values in targets.items()}
            corner = [step % 2 * self._size, step // 2 * self._size]
            part["boxes"] += tf.constant(corner * 2, tf.float32)
            part["classes"] = tf.where(is_mosaic[:, None], part["classes"], PADDING)
            tiles.append(tile)
            parts.append(part)
        rows = [tf.concat(tiles[start : start + 2], axis=2) for start in (0, 2)]
        joined = {name: tf.concat([part[name] for part in parts], axis=1) for name in targets}
        return tf.concat(rows, axis=1), joined

    def _windows(self, numbers: tf.Tensor, is_mosaic: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the places that are shown: `slope * x + offset` at place `x` of the output.

        Returns:
            Tensors of shape `(batch, 2)`, horizontally and vertically, in pixels.
        """
        size, (_, flip, zoom, *places) = float(self._size), tf.unstack(numbers)
        zoom = (1 + self._scale) ** (2 * zoom - 1)
        side = size / zoom
        start = tf.stack(places[:2], axis=1) * (size - side)[:, None]
        start += (2 * tf.stack(places[2:4], axis=1) - 1) * (self._shift * size)
        if self._mosaic:
            wide = size * 2 ** places[4]
            side = tf.where(is_mosaic, wide, side)
            anywhere = tf.stack(places[:2], axis=1) * (2 * size - wide)[:, None]
            start = tf.where(is_mosaic[:, None], anywhere, start)
        slope, offset = side / size, start
        if self._flip:
            mirrored = flip < 0.5
            left = tf.where(mirrored, start[:, 0] + side, start[:, 0])
            offset = tf.stack([left, start[:, 1]], axis=1)
            return tf.stack([tf.where(mirrored, -slope, slope), slope], axis=1), offset
        return tf.stack([slope, slope], axis=1), offset

    def _moved_images(self, images: tf.Tensor, slope: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
        # Pixel i is centred on i + 0.5.
        first = slope * 0.5 + offset - 0.5
        zeros = tf.zeros_like(first[:, 0])
        transforms = tf.stack(
            [slope[:, 0], zeros, first[:, 0], zeros, slope[:, 1], first[:, 1], zeros, zeros], axis=1
        )
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=transforms,
            output_shape=[self._size, self._size],
            fill_value=GREY,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )
        return tf.ensure_shape(moved, [None, self._size, self._size, 3])

    def _moved_boxes(
        self, targets: dict[str, tf.Tensor], slope: tf.Tensor, offset: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        boxes = tf.reshape(targets["boxes"], [tf.shape(slope)[0], -1, 2, 2])
        corners = (boxes - offset[:, None, None]) / slope[:, None, None]
        # A mirrored box has its left edge on the right.
        low, high = tf.reduce_min(corners, axis=2), tf.reduce_max(corners, axis=2)
        sides = high - low
        low, high = (tf.clip_by_value(edge, 0.0, float(self._size)) for edge in (low, high))
        left = high - low
        area, rest = (tf.reduce_prod(values, axis=-1) for values in (sides, left))
        kept = (targets["classes"] >= 0) & (rest >= self._min_visibility * area)
        kept &= tf.reduce_min(left, axis=-1) >= MIN_SIDE
        order = tf.argsort(tf.cast(~kept, tf.int32), axis=1, stable=True)
        moved = {
            "boxes": tf.where(kept[..., None], tf.concat([low, high], axis=-1), 0.0),
            "classes": tf.where(kept, targets["classes"], PADDING),
            "ignored": targets["ignored"] & kept,
        }
        return {
            name: tf.ensure_shape(tf.gather(moved[name], order, batch_dims=1), values.shape)
            for name, values in targets.items()
        }
