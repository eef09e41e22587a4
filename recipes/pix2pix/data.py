"""The pairs of pix2pix: built in, or the user's own, and what is made of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dlrecipes.data.image_pairs import (
    ImagePairs,
    brought_to,
    builtin_pairs,
    described,
    read_pairs,
)
from dlrecipes.errors import UsageError
from dlrecipes.recipe import Splits

from .config import Config

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


def load(config: Config) -> Splits:
    """Returns the pairs that the configuration asks for.

    Raises:
        DataError: If they cannot be read as they are, saying where.
        UsageError: If the source is of a kind that this recipe does not have.
    """
    if config.data.startswith("tfds:"):
        raise UsageError(
            f"--data {config.data}: pix2pix reads no TFDS data set.",
            "Give 'builtin' or a folder of images, two side by side in each.",
        )
    if config.data == "builtin":
        held_out = max(4, config.examples // 8)
        parts = builtin_pairs((config.examples, held_out, held_out), config.size, config.seed)
        name = f"generated facades, seed {config.seed}"
    else:
        parts = read_pairs(Path(config.data).expanduser(), config.size, config.seed)
        name = config.data
    return Splits(*parts, description={"name": name, **described(parts)})


def sides(config: Config, pairs: ImagePairs) -> tuple[np.ndarray, np.ndarray]:
    """Returns what is read and what is to be drawn, uint8 each."""
    if config.direction == "right_to_left":
        return pairs.right, pairs.left
    return pairs.left, pairs.right


def read(image_bytes: tf.Tensor, size: int) -> tf.Tensor:
    """Returns images of PNG or JPEG files, in the graph.

    Args:
        image_bytes: Strings of shape `(batch,)`.
        size: What they are brought to.

    Returns:
        float32 of shape `(batch, size, size, 3)`, 0 to 1.
    """
    from dlrecipes.data.image_bytes import decode

    return _each(lambda content: brought_to(decode(content, 3), size), image_bytes, size)


def prepare(images: tf.Tensor, size: int) -> tf.Tensor:
    """Returns images of any size at the network's, in the graph.

    Args:
        images: uint8 of shape `(batch, height, width, channels)`, of 1 (grey) to 4 channels.
        size: What they are brought to.

    Returns:
        float32 of shape `(batch, size, size, 3)`, 0 to 1.
    """
    import tensorflow as tf

    from dlrecipes.data.image_bytes import of_channels

    def one(image: tf.Tensor) -> tf.Tensor:
        return brought_to(of_channels(tf.cast(image, tf.float32) / 255, 3), size)

    return _each(one, images, size)


def jittered(
    pair: tf.Tensor, share: float, mirror: bool, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a batch of pairs, each enlarged, cut out at a place of its own, perhaps mirrored.

    Args:
        pair: Inputs and targets one after the other, `(batch, size, size, 6)`.
        share: How much larger they are made.
        mirror: Whether half of them are mirrored.
        seed: Two integers that decide all.

    Reference:
        Isola, Zhu, Zhou and Efros, 2017, "Image-to-image translation with conditional
        adversarial networks", section 6.2 (286 pixels, of which 256 are cut out).
    """
    import tensorflow as tf

    size = pair.shape[1]
    large = round(size * (1 + share))
    count = tf.shape(pair)[0]
    places = tf.random.stateless_uniform([count, 2], seed, maxval=large - size + 1, dtype=tf.int32)
    turned = tf.random.stateless_uniform([count], seed + tf.constant([0, 1 << 20])) < 0.5

    def one(values):
        image, place, turn = values
        row, column = tf.unstack(place)
        image = tf.image.resize(image, [large, large])[row : row + size, column : column + size]
        return tf.cond(turn, lambda: image[:, ::-1], lambda: image) if mirror else image

    spec = tf.TensorSpec([size, size, 6], tf.float32)
    found = tf.map_fn(one, (pair, places, turned), fn_output_signature=spec)
    return found[..., :3], found[..., 3:]


def _each(function, values: tf.Tensor, size: int) -> tf.Tensor:
    import tensorflow as tf

    spec = tf.TensorSpec([size, size, 3], tf.float32)
    return tf.map_fn(function, values, fn_output_signature=spec)
