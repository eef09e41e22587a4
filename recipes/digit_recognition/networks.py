"""Network architectures of digit recognition, scaled to small images."""

from __future__ import annotations

from typing import Any

import keras

from dlrecipes import models
from dlrecipes.errors import UsageError
from dlrecipes.layers import ElasticDistortion
from dlrecipes.training._engine.precision import built_in

from .config import Config

# Side of MNIST's images; all other images are normalised to it.
SIZE = 28
# Ensemble size of the default network.
MEMBERS = 3
# Options of LeNet-5 as in the paper.
PAPER = {
    "activation": "scaled_tanh",
    "pooling": "trainable",
    "connections": "paper",
    "output": "rbf",
}


def build(config: Config, num_classes: int) -> keras.Model:
    """Returns a network from images of shape `(28, 28, 1)`, from 0 to 1, to logits.

    In training it distorts the images at random.

    Args:
        config: Settings.
        num_classes: Number of classes.

    Raises:
        UsageError: If the network does not support the number of classes or the width.
    """
    try:
        number = config.ensemble_size or (MEMBERS if config.network == "cnn" else 1)
        # Not the distortion: coordinates need float32.
        with built_in(config.precision):
            members = [_network(config, num_classes, member) for member in range(number)]
    except ValueError as error:
        raise UsageError(f"--network {config.network}: {error}") from None
    network = members[0] if len(members) == 1 else models.ensemble(members)
    images = keras.Input((SIZE, SIZE, 1), name="images")
    distorted = ElasticDistortion(
        config.elastic,
        config.elastic_sigma,
        config.shift,
        config.rotation,
        config.scale,
        config.shear,
        seed=config.seed,
        name="distortion",
    )(images)
    if config.network == "lenet5_1998":
        # In the paper the background is -0.1 and the ink 1.175.
        distorted = keras.layers.Rescaling(1.275, -0.1, name="paper_and_ink")(distorted)
    # The classic networks need larger images.
    if network.input_shape[1] == SIZE + 4:
        distorted = keras.layers.ZeroPadding2D(2, name="frame")(distorted)
    elif network.input_shape[1] not in (SIZE, None):
        distorted = keras.layers.Resizing(*network.input_shape[1:3], name="enlarged")(distorted)
    return keras.Model(images, network(distorted), name="digit_recognition")


def _network(config: Config, num_classes: int, member: int) -> keras.Model:
    options: dict[str, Any] = {
        "name": f"{config.network}_{member + 1}",
        "num_classes": num_classes,
        "width": config.width,
        "dropout": config.dropout,
        "classifier_activation": None,
        "seed": 100 * config.seed + member,
    }
    # A quarter of the channels that these networks have for ImageNet's 1,000 classes.
    quarter = {**options, "width": config.width / 4, "kernel_initializer": "he_normal"}
    small = (SIZE, SIZE, 1)
    match config.network:
        case "cnn":
            return models.small_cnn(**options)
        case "lenet5":
            return models.lenet5(input_shape=small, padding="same", **options)
        case "lenet5_1998":
            return models.lenet5(input_shape=small, padding="same", **PAPER, **options)
        case "alexnet":
            return models.alexnet(input_shape=(67, 67, 1), **quarter)
        case "vgg":
            return models.vgg(11, input_shape=(32, 32, 1), batch_normalization=True, **quarter)
        case "inception":
            return models.googlenet(input_shape=(64, 64, 1), **quarter)
        case "resnet":
            return models.resnet(18, input_shape=small, stem="small", shortcut="A", **quarter)
    hidden = () if config.network == "softmax" else (300, 100)
    return models.mlp(
        small,
        num_classes,
        [max(1, round(units * config.width)) for units in hidden],
        "relu",
        dropout=config.dropout if hidden else 0.0,
        seed=options["seed"],
        name=options["name"],
    )
