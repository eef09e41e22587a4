"""The networks of the autoencoder: images to codes, codes to images, and classes."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.decomposition import PCA

from dlrecipes import models
from dlrecipes.data.class_indices import class_indices
from dlrecipes.data.digits import LabelledImages
from dlrecipes.data.faces import Size, fit_image
from dlrecipes.layers import RestrictedBoltzmannMachine
from dlrecipes.training import ImageClassifier

from .config import Config

# Name of the network inside the one that takes images.
INNER = "inner"


def build(config: Config, train: LabelledImages) -> keras.Model:
    """Returns a network from images, from 0 to 1, to restored ones; for a DBN to classes' scores.

    Args:
        config: The settings.
        train: Training images, which PCA is computed from.
    """
    shape = train.images.shape[1:]
    images = keras.Input(shape, name="images")
    pixels = math.prod(shape)
    if config.network == "convolutional":
        inner = models.convolutional_autoencoder(
            shape, config.hidden, config.code, config.hidden_activation, name=INNER
        )
        return keras.Model(images, inner(images), name="autoencoder")
    flat = keras.layers.Reshape((pixels,), name="pixels")(images)
    if config.network == "dbn":
        inner = models.deep_belief_network(
            pixels,
            config.hidden,
            len(train.names),
            dropout=config.dropout,
            input_dropout=config.input_dropout,
            seed=config.seed,
            name=INNER,
        )
        return keras.Model(images, inner(flat), name="autoencoder")
    if config.network == "pca":
        inner = _principal_components(config, train)
    else:
        inner = models.autoencoder(
            pixels, config.hidden, config.code, config.hidden_activation, name=INNER
        )
    restored = keras.layers.Reshape(shape, name="restored")(inner(flat))
    return keras.Model(images, restored, name="autoencoder")


def _principal_components(config: Config, train: LabelledImages) -> keras.Model:
    """Returns PCA as a linear autoencoder."""
    pca = fit_pca(train, config.code, config.seed)
    inner = models.autoencoder(len(pca.mean_), (), config.code, output_activation=None, name=INNER)
    mean, components = pca.mean_, pca.components_
    inner.get_layer("encoder").set_weights([components.T, -components @ mean])
    inner.get_layer("decoder").set_weights([components, mean])
    return inner


def fit_pca(train: LabelledImages, components: int, seed: int) -> Any:
    """Returns scikit-learn's PCA of images from 0 to 1, with at most as many components as fit.

    Args:
        train: Training images.
        components: Number of components.
        seed: Seed of the solver.
    """
    pixels = flattened(train.images)
    return PCA(min(components, *pixels.shape), random_state=seed).fit(pixels)


def flattened(images: np.ndarray) -> np.ndarray:
    """Returns uint8 images as rows of numbers from 0 to 1, float32."""
    return images.reshape(len(images), -1).astype("float32") / 255


def fitting(model: keras.Model, examples: LabelledImages) -> LabelledImages:
    """Returns images in the size of a network, with labels that index a classifier's classes.

    Other data than a network was trained on may have another size, and other classes.

    Args:
        model: The trained model.
        examples: Images with labels.

    Raises:
        DataError: If a classifier does not know one of the classes.
    """
    images, labels, names = examples.images, examples.labels, examples.names
    side, _, channels = model.network.input_shape[1:]
    if images.shape[1:] != (side, side, channels):
        images = fit_image(images, Size(side, channels=channels))
    if isinstance(model, ImageClassifier):
        labels = class_indices(labels, names, model.class_names)
        names = tuple(model.class_names)
    return LabelledImages(images, labels, names)


def inner(model: keras.Model) -> keras.Model:
    """Returns the network of a trained model that has the encoder and the decoder."""
    return model.network.get_layer(INNER)


def machines(model: keras.Model) -> list[RestrictedBoltzmannMachine]:
    """Returns the Boltzmann machines of a deep belief network from the lowest up; else none."""
    layers = inner(model).layers
    return [layer for layer in layers if isinstance(layer, RestrictedBoltzmannMachine)]


def encode(model: keras.Model, images: tf.Tensor) -> tf.Tensor:
    """Returns the codes of images; works inside a `tf.function`.

    Args:
        model: The trained model.
        images: float32 of shape `(batch, height, width, channels)`, from 0 to 1.

    Returns:
        float32 of shape `(batch, code units)`; for a DBN the probabilities of its last machine.
    """
    network, stack = inner(model), machines(model)
    if len(network.input_shape) == 2:
        images = tf.reshape(images, [-1, network.input_shape[1]])
    if not stack:
        return network.get_layer("encoder")(images, training=False)
    for machine in stack:
        images = machine.hidden_probabilities(images)
    return images


def decode(model: keras.Model, codes: tf.Tensor) -> tf.Tensor:
    """Returns the images of codes; works inside a `tf.function`.

    Numbers of PCA may lie outside 0 to 1.

    Args:
        model: The trained model.
        codes: float32 of shape `(batch, code units)`.
    """
    stack, shape = machines(model), model.network.input_shape[1:]
    restored = codes
    for machine in reversed(stack):
        restored = machine.visible_probabilities(restored)
    if not stack:
        restored = inner(model).get_layer("decoder")(codes, training=False)
    return tf.reshape(restored, [-1, *shape])


def squared_error(images: tf.Tensor, restored: tf.Tensor) -> tf.Tensor:
    """Returns the squared error of each image, the sum over its pixels and channels."""
    return tf.reduce_sum(tf.square(images - restored), axis=[1, 2, 3])
