"""The images of FaceNet: built in, or the user's own, and what is made of files."""

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
    """Returns what images are brought to."""
    return Size(config.size, config.crop, 3 if config.colour else 1)


def load(config: Config) -> Splits:
    """Returns the images that the configuration asks for.

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
    """Returns what the network takes of images of any size, in the graph.

    Args:
        images: uint8 of shape `(batch, height, width, channels)`, of 1 (grey) to 4 channels.
        size: What the network takes.

    Returns:
        float32 of shape `(batch, side, side, channels)`, 0 to 1.
    """
    import tensorflow as tf

    return _each(lambda image: fitted(tf.cast(image, tf.float32) / 255, size), images, size)


def _each(function, values: tf.Tensor, size: Size) -> tf.Tensor:
    import tensorflow as tf

    spec = tf.TensorSpec([size.side, size.side, size.channels], tf.float32)
    return tf.map_fn(function, values, fn_output_signature=spec)
