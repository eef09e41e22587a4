"""The networks of FaceNet, and the embedding of an image together with its mirror image."""

from __future__ import annotations

import keras
import tensorflow as tf

from dlrecipes import models
from dlrecipes.data.faces import Size
from dlrecipes.errors import UsageError
from dlrecipes.layers import ElasticDistortion, L2Normalization, LocalContrastNormalization

from .config import Config


def build(config: Config, size: Size) -> keras.Model:
    """Returns a network from images, 0 to 1, to unit vectors; it distorts in training.

    Args:
        config: The settings.
        size: What images are.

    Raises:
        UsageError: If the network cannot read images of that size, the numbers of an
            embedding cannot be shared by the members, or one member should see both views.
    """
    if config.normalization == "both" and config.ensemble_size < 2:
        raise UsageError(
            f"--normalization both --ensemble-size {config.ensemble_size}: each "
            "view needs a member of its own.",
            "Give --ensemble-size 2 or more.",
        )
    if config.embedding_units % config.ensemble_size:
        even = config.ensemble_size * -(-config.embedding_units // config.ensemble_size)
        raise UsageError(
            f"--ensemble-size {config.ensemble_size} --embedding-units {config.embedding_units}: "
            "each member has its share of the numbers.",
            f"Give --embedding-units {even}, or other --ensemble-size.",
        )
    found = [_member(config, size, number) for number in range(config.ensemble_size)]
    if len(found) == 1:
        return found[0]
    images = keras.Input(_shape(size), name="images")
    mean = models.ensemble(found)(images)
    return keras.Model(images, L2Normalization(name="embedding")(mean), name="facenet")


def _member(config: Config, size: Size, number: int) -> keras.Model:
    # What is drawn of a member differs from what is drawn of the others.
    shape, seed = _shape(size), config.seed + 1000 * number
    units = config.embedding_units // config.ensemble_size
    options = {"dropout": config.dropout, "seed": seed, "name": config.network}
    try:
        if config.network == "small":
            filters = tuple(max(1, round(n * config.width)) for n in (32, 64, 128, 256))
            network = models.facenet_small(shape, units, filters, config.pooling, **options)
        else:
            network = models.facenet_inception_resnet(shape, units, width=config.width, **options)
    except ValueError as error:
        raise UsageError(f"--network {config.network} --size {config.size}: {error}") from None
    images = keras.Input(shape, name="images")
    # Brightness and contrast are the light's; and what is moved in from outside is its mean.
    x = keras.layers.LayerNormalization(
        axis=(1, 2, 3), epsilon=1e-4, center=False, scale=False, name="light"
    )(images)
    # Members then differ in more than their seeds.
    if config.normalization == "local_contrast" or (config.normalization == "both" and number % 2):
        window = 2 * round(size.side / 8) + 1
        x = LocalContrastNormalization(window, size.side / 16, name="local_light")(x)
    x = ElasticDistortion(
        config.elastic,
        6.0,
        config.shift,
        config.rotation,
        zoom=config.zoom,
        seed=seed,
        name="distortion",
    )(x)
    if config.ensemble_size == 1:
        return keras.Model(images, network(x), name="facenet")
    # Each in axes of its own: what two networks call an axis has nothing in common. The mean is
    # then all of them side by side.
    sides = (units * number, config.embedding_units - units * (number + 1))
    embedding = keras.ops.pad(network(x), ((0, 0), sides))
    return keras.Model(images, embedding, name=f"member_{number + 1}")


def _shape(size: Size) -> tuple[int, int, int]:
    return size.side, size.side, size.channels


def embed(model: keras.Model, images: tf.Tensor, mirror: bool) -> tf.Tensor:
    """Returns unit vectors of images; works inside a `tf.function`.

    Args:
        model: What was trained.
        images: float32 of shape `(batch, side, side, channels)`, 0 to 1.
        mirror: Whether each is the mean of the image's and of its mirror image's.
    """
    found = model(images, training=False)
    if mirror:
        found += model(images[:, :, ::-1], training=False)
    return tf.math.l2_normalize(tf.cast(found, tf.float32), axis=-1)
