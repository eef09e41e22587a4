"""The networks of FaceNet, and the embedding of an image together with its mirror image."""

from __future__ import annotations

import keras
import tensorflow as tf

from dlrecipes import models
from dlrecipes.data.faces import Size
from dlrecipes.errors import UsageError
from dlrecipes.layers import ElasticDistortion, L2Normalization, LocalContrastNormalization
from dlrecipes.training._engine.precision import built_in, full_precision

from .config import Config


def build(config: Config, size: Size) -> keras.Model:
    """Returns a network from images, 0 to 1, to unit vectors; it distorts images in training.

    Args:
        config: The settings.
        size: Size of the images.

    Raises:
        UsageError: If the network cannot take images of that size, or the settings of the
            ensemble contradict each other.
    """
    config.check_combination()
    count = config.ensemble_size
    # Only the members: distances between embeddings need float32.
    with built_in(config.precision):
        members = [_member(config, size, number) for number in range(count)]
    if count == 1:
        return members[0]
    images = keras.Input(size.shape, name="images")
    mean = models.ensemble(members)(images)
    return keras.Model(images, L2Normalization(name="embedding")(mean), name="facenet")


def _member(config: Config, size: Size, number: int) -> keras.Model:
    # Members differ in their seeds.
    seed = config.seed + 1000 * number
    units = config.embedding_units // config.ensemble_size
    options = {"dropout": config.dropout, "seed": seed, "name": config.network}
    try:
        if config.network == "small":
            filters = tuple(max(1, round(n * config.width)) for n in (32, 64, 128, 256))
            network = models.facenet_small(size.shape, units, filters, config.pooling, **options)
        else:
            options["width"] = config.width
            network = models.facenet_inception_resnet(size.shape, units, **options)
    except ValueError as error:
        raise UsageError(f"--network {config.network} --size {config.size}: {error}") from None
    images = keras.Input(size.shape, name="images")
    # Brightness and contrast depend on the light. With a mean of 0, the distortion fills the
    # edges with the mean.
    x = keras.layers.LayerNormalization(
        axis=(1, 2, 3), epsilon=1e-4, center=False, scale=False, name="light"
    )(images)
    # With "both", members differ in more than their seeds.
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
    # The axes of two networks' embeddings have nothing in common. With zeros in the axes of the
    # other members, the ensemble's mean is the concatenation of all embeddings.
    sides = (units * number, config.embedding_units - units * (number + 1))
    embedding = keras.ops.pad(network(x), ((0, 0), sides))
    return keras.Model(images, embedding, name=f"member_{number + 1}")


def embed(model: keras.Model, images: tf.Tensor, mirror: bool) -> tf.Tensor:
    """Returns the embeddings of images as unit vectors; works inside a `tf.function`.

    They are computed in float32 even after training in mixed precision.

    Args:
        model: The trained model.
        images: float32 of shape `(batch, side, side, channels)`, 0 to 1.
        mirror: Whether to average the embeddings of an image and of its mirror image.
    """
    with full_precision(model):
        embeddings = model(images, training=False)
        if mirror:
            embeddings += model(images[:, :, ::-1], training=False)
    return tf.math.l2_normalize(tf.cast(embeddings, tf.float32), axis=-1)
