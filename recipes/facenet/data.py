"""The pictures of FaceNet: built in, or the user's own, and what is made of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dlrecipes.data.faces import (
    Size,
    builtin_faces,
    described,
    fitted,
    read_faces,
    tfds_faces,
)
from dlrecipes.recipe import Splits

from .config import Config

if TYPE_CHECKING:
    import tensorflow as tf

HELD_OUT = 40
EACH = 8


def size_of(config: Config) -> Size:
    """Returns what pictures are brought to."""
    return Size(config.size, config.crop, 3 if config.colour else 1)


def load(config: Config) -> Splits:
    """Returns the pictures that the configuration asks for.

    Raises:
        DataError: If they cannot be read as they are, saying where.
    """
    size = size_of(config)
    if config.data == "builtin":
        people = (config.people - 2 * HELD_OUT, HELD_OUT, HELD_OUT)
        parts = builtin_faces(people, EACH, size, config.seed)
        name = f"generated faces, seed {config.seed}"
    elif config.data.startswith("tfds:"):
        name = config.data
        parts = tfds_faces(name.removeprefix("tfds:"), Path(config.data_dir), size, config.seed)
    else:
        parts = read_faces(Path(config.data).expanduser(), size, config.seed)
        name = config.data
    return Splits(*parts, description={"name": name, **described(parts)})


def read(image_bytes: tf.Tensor, size: Size) -> tf.Tensor:
    """Returns what the network takes of PNG or JPEG files, in the graph.

    Args:
        image_bytes: Strings of shape `(batch,)`.
        size: What the network takes.

    Returns:
        float32 of shape `(batch, side, side, channels)`, 0 to 1.
    """
    from dlrecipes.data.image_bytes import decode

    return _each(lambda content: fitted(decode(content, size.channels), size), image_bytes, size)


def prepare(images: tf.Tensor, size: Size) -> tf.Tensor:
    """Returns what the network takes of pictures of any size, in the graph.

    Args:
        images: uint8 of shape `(batch, height, width, channels)`, of 1 (grey) to 4 channels.
        size: What the network takes.

    Returns:
        float32 of shape `(batch, side, side, channels)`, 0 to 1.
    """
    import tensorflow as tf

    return _each(lambda image: fitted(tf.cast(image, tf.float32) / 255, size), images, size)


def hide(images: tf.Tensor, share: float, seed: tf.Tensor) -> tf.Tensor:
    """Returns pictures of which some have a rectangle of one grey, as if something stood there.

    Args:
        images: float32 of shape `(batch, height, width, channels)`.
        share: Of the pictures, 0 to 1.
        seed: Two integers that decide all.

    Reference:
        Zhong, Zheng, Kang, Li and Yang, 2020, "Random erasing data augmentation".
    """
    import tensorflow as tf

    count, height, width = tf.unstack(tf.shape(images)[:3])
    drawn = tf.unstack(tf.random.stateless_uniform([6, count, 1, 1, 1], seed))
    hidden = drawn[0] < share
    sides = [
        tf.range(side, dtype=tf.float32) / tf.cast(side, tf.float32) for side in (height, width)
    ]
    for place, length, steps in zip(
        drawn[1:3], drawn[3:5], (sides[0][:, None, None], sides[1][None, :, None]), strict=True
    ):
        # From a tenth to a half of each side, wherever it fits.
        part = 0.1 + 0.4 * length
        first = place * (1 - part)
        hidden &= (steps >= first) & (steps < first + part)
    return tf.where(hidden, drawn[5], images)


def _each(function, values: tf.Tensor, size: Size) -> tf.Tensor:
    import tensorflow as tf

    spec = tf.TensorSpec([size.side, size.side, size.channels], tf.float32)
    return tf.map_fn(function, values, fn_output_signature=spec)
