"""The images of digit recognition: built in, or the user's own, and what is made of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlrecipes.data.digits import (
    SIZE,
    LabelledImages,
    builtin_digits,
    described,
    read_digits,
    tfds_digits,
)
from dlrecipes.errors import DataError
from dlrecipes.recipe import Splits

from .config import Config

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


def load(config: Config) -> Splits:
    """Returns the images that the configuration asks for.

    Raises:
        DataError: If they cannot be read as they are, saying where.
    """
    if config.data == "builtin":
        parts = builtin_digits(config.seed)
        name = f"scikit-learn's digits, split by seed {config.seed}"
    elif config.data.startswith("tfds:"):
        parts = tfds_digits(config.data.removeprefix("tfds:"), Path(config.data_dir), config.seed)
        name = config.data
    else:
        parts = read_digits(Path(config.data).expanduser(), config.seed)
        name = config.data
    return Splits(*parts, description={"name": name, **described(parts)})


def class_names(splits: Splits) -> Sequence[str]:
    """Returns the classes of the training images."""
    return splits.train.names


def known(examples: LabelledImages, names: Sequence[str]) -> np.ndarray:
    """Returns the class of each image by the model's own numbers.

    Raises:
        DataError: If the model does not know one.
    """
    import numpy as np

    unknown = [name for name in examples.names if name not in names]
    if unknown:
        raise DataError(
            f"The data has the class {unknown[0]!r}; the model knows {', '.join(names)}.",
            "Train a model on these data, or evaluate on data of the same classes.",
        )
    table = np.array([list(names).index(name) for name in examples.names], "int32")
    return table[examples.labels]


def read(image_bytes: tf.Tensor) -> tf.Tensor:
    """Returns what the network takes of PNG or JPEG files, in the graph.

    Args:
        image_bytes: Strings of shape `(batch,)`.

    Returns:
        float32 of shape `(batch, 28, 28, 1)`, 0 to 1.
    """
    import tensorflow as tf

    from dlrecipes.data.handwriting import normalise
    from dlrecipes.data.image_bytes import decode

    def one(content: tf.Tensor) -> tf.Tensor:
        return normalise(decode(content)[..., 0], SIZE)

    # Each has a size of its own.
    spec = tf.TensorSpec([SIZE, SIZE], tf.float32)
    return tf.map_fn(one, image_bytes, fn_output_signature=spec)[..., None]


def prepare(images: tf.Tensor) -> tf.Tensor:
    """Returns what the network takes of images of any size, in the graph.

    Args:
        images: uint8 of shape `(batch, height, width, channels)`, of 1 (grey), 3 or 4 channels.
            Grey ones of 28x28 are taken as they are.

    Returns:
        float32 of shape `(batch, 28, 28, 1)`, 0 to 1.
    """
    import tensorflow as tf

    from dlrecipes.data.handwriting import normalise
    from dlrecipes.data.image_bytes import of_channels

    scaled = tf.cast(images, tf.float32) / 255
    shape = tf.shape(images)
    fits = tf.reduce_all(shape[1:] == [SIZE, SIZE, 1])

    def as_they_are() -> tf.Tensor:
        return tf.reshape(scaled, [-1, SIZE, SIZE, 1])

    def normalised() -> tf.Tensor:
        return normalise(of_channels(scaled, 1)[..., 0], SIZE)[..., None]

    return tf.cond(fits, as_they_are, normalised)
