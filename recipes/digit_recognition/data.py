"""Images of digit recognition: built in, TFDS or the user's own; preprocessing in the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlrecipes.data.digits import SIZE, check_digits, described, read_digits, tfds_digits
from dlrecipes.data.few_examples import few_per_class, label_counts
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.splits import check_source
from dlrecipes.data.sources import BUILTIN, TFDS, load_source, source_name
from dlrecipes.data.varied_digits import varied_digits
from dlrecipes.errors import UsageError
from dlrecipes.recipe import Splits

from .config import Config

if TYPE_CHECKING:
    import tensorflow as tf

TEST_SET = (
    "Two thirds are generated as the training images are; the others are scikit-learn's digits of "
    "8x8 pixels, enlarged, by other writers than in training: their error is not the error on "
    "MNIST, on photographs or on digits drawn with a mouse."
)


def load(config: Config) -> Splits:
    """Returns the images that `--data` names.

    Raises:
        DataError: If a file cannot be read; the message names it.
        UsageError: If an orientation is given for other data than IDX files.
    """
    seed, orientation = config.seed, config.orientation
    if orientation != "auto" and (config.data == BUILTIN or config.data.startswith(TFDS)):
        raise UsageError(
            f"--orientation {orientation}: it applies to IDX files only.",
            "Give --data FOLDER, or leave the option out.",
        )
    notes: list[str] = []
    parts = load_source(
        config.data,
        builtin=lambda: varied_digits(seed),
        folder=lambda path: read_digits(path, seed, notes.append, orientation=orientation),
        tfds=lambda name: tfds_digits(name, config.data_dir, seed),
    )
    few = few_per_class(
        label_counts(parts[0].labels, parts[0].names),
        "images",
        "classes",
        "expect mistakes on them",
    )
    name = source_name(config.data, f"generated digits, seed {seed}, and scikit-learn's digits")
    return Splits(
        *parts,
        description={"name": name, **described(parts)},
        notes=notes,
        training_notes=few,
        test_set=TEST_SET if config.data == BUILTIN else "",
    )


def check(config: Config) -> DataReport:
    """Returns the report on the images that `--data` names.

    Raises:
        DataError: If nothing can be read.
    """
    return check_source(
        config.data,
        load=lambda: load(config),
        folder=lambda path: check_digits(path, config.data, config.orientation),
    )


def fit(image: tf.Tensor) -> tf.Tensor:
    """Returns an image of any size as input of the network, in the graph.

    Args:
        image: float32 of shape `(height, width, 1)`, from 0 to 1.

    Returns:
        float32 of shape `(28, 28, 1)`, from 0 to 1.
    """
    from dlrecipes.data.handwriting import normalise

    return normalise(image[..., 0], SIZE)[..., None]


def prepare(images: tf.Tensor) -> tf.Tensor:
    """Returns images of any size as inputs of the network, in the graph.

    Args:
        images: uint8 of shape `(batch, height, width, channels)` with 1, 3 or 4 channels. Grey
            images of 28x28 pixels are only scaled to 0..1.

    Returns:
        float32 of shape `(batch, 28, 28, 1)`, from 0 to 1.
    """
    import tensorflow as tf

    from dlrecipes.data.handwriting import normalise
    from dlrecipes.data.image_bytes import of_channels

    scaled = tf.cast(images, tf.float32) / 255
    return tf.cond(
        tf.reduce_all(tf.shape(images)[1:] == [SIZE, SIZE, 1]),
        lambda: tf.reshape(scaled, [-1, SIZE, SIZE, 1]),
        lambda: normalise(of_channels(scaled, 1)[..., 0], SIZE)[..., None],
    )
