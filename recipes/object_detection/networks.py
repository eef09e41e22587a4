"""The network of object detection: a backbone, a pyramid of its features, and Faster R-CNN."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from dlrecipes import models
from dlrecipes.errors import UsageError, reason

from .config import STRIDES, Config

# About the mean and the standard deviation of photographs, from 0 to 1.
MEAN, DEVIATION = 0.45, 0.25
# The layers of each backbone with the strides of the levels.
STAGES = {
    "small_resnet": ("stage2_{depth}", "stage3_{depth}", "stage4_{depth}"),
    "vgg16": ("relu4_3", "relu5_3", "pool5"),
    "resnet18": ("conv3_2", "conv4_2", "conv5_2"),
    "resnet34": ("conv3_4", "conv4_6", "conv5_3"),
    "resnet50": ("conv3_4", "conv4_6", "conv5_3"),
}
# Sides of the default anchors as fractions of the image's, and their ratios.
ANCHOR_SIZES, ANCHOR_RATIOS = (1 / 8, 1 / 4, 1 / 2), (0.5, 1.0, 2.0)
# Minimum side of a proposal, as a fraction of the image's.
SMALLEST = 1 / 64
POOL_SIZE = 7


def build(
    config: Config, num_classes: int, sizes: Sequence[float], ratios: Sequence[float]
) -> keras.Model:
    """Returns a network of `models.faster_rcnn` for images of shape `(size, size, 3)`, from 0 to 1.

    Args:
        config: The settings.
        num_classes: Number of classes.
        sizes: Square roots of the anchors' areas, in pixels; one per level of the pyramid.
        ratios: Height of the anchors divided by their width.

    Raises:
        UsageError: If the settings do not fit one another.
    """
    try:
        backbone = _backbone(config)
        if config.pyramid:
            backbone = models.feature_pyramid(backbone, filters=config.filters)
        return models.faster_rcnn(
            backbone,
            num_classes,
            sizes,
            ratios,
            STRIDES if config.pyramid else STRIDES[1],
            config.filters,
            config.proposals,
            min_size=SMALLEST * config.size,
            pool_size=POOL_SIZE,
            units=config.units,
            dropout=config.dropout,
            seed=config.seed,
        )
    except ValueError as error:
        raise UsageError(f"--backbone {config.backbone}: {reason(error)}") from None


def default_anchors(config: Config) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns sizes and ratios of anchors for objects of all sizes."""
    return tuple(size * config.size for size in ANCHOR_SIZES), ANCHOR_RATIOS


def _backbone(config: Config) -> keras.Model:
    """Returns a model from images, from 0 to 1, to one feature map, or to one per stride."""
    images = keras.Input((config.size, config.size, 3), name="images")
    centred = keras.layers.Rescaling(1 / DEVIATION, -MEAN / DEVIATION, name="centred")(images)
    classifier = _classifier(config)
    names = [name.format(depth=config.depth) for name in STAGES[config.backbone]]
    maps = [classifier.get_layer(name).output for name in names]
    chosen = maps if config.pyramid else maps[1:2]
    features = keras.Model(classifier.input, chosen, name=config.backbone)
    return keras.Model(images, features(centred), name="backbone")


def _classifier(config: Config) -> keras.Model:
    """Returns the classifier whose feature maps are used; its last layers are not."""
    options = {
        "input_shape": (config.size, config.size, 3),
        "width": config.width,
        "kernel_initializer": "he_normal",
        "seed": config.seed,
    }
    if config.backbone == "small_resnet":
        filters = (16, 64, 128, 256)
        return models.small_resnet(
            1, stem_stride=2, filters=filters, blocks=config.depth, **options
        )
    if config.backbone == "vgg16":
        return models.vgg(16, include_top=False, batch_normalization=True, **options)
    return models.resnet(int(config.backbone.removeprefix("resnet")), 1, **options)
