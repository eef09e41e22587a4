"""Training of object detection: optimizer, anchors and transfer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras

from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.recipe.transfer import Transfer, copy_weights
from dlrecipes.training import FasterRCNN, learning_rate_schedule
from dlrecipes.training._engine.adamw import adamw
from dlrecipes.training._engine.precision import built_in

from . import data, networks
from .config import Config

# The cosine schedule ends at this fraction of the learning rate.
FINAL_RATE = 0.01


def build(
    config: Config,
    names: Sequence[str],
    anchors: tuple[Sequence[float], Sequence[float]],
    steps: int,
) -> FasterRCNN:
    """Returns a compiled detector.

    Args:
        config: The settings.
        names: Names of the classes.
        anchors: Sizes and ratios of the anchors.
        steps: Training steps of an epoch.
    """
    with built_in(config.precision):
        network = networks.build(config, len(names), *anchors)
    model = FasterRCNN(
        network,
        names,
        num_proposals=config.training_proposals,
        num_regions=config.sampled_regions,
        seed=config.seed,
    )
    total = steps * config.epochs
    rate = learning_rate_schedule(
        config.lr_schedule,
        config.learning_rate,
        total,
        alpha=FINAL_RATE,
        warmup_steps=int(config.warmup * total),
    )
    model.compile(adamw(model, rate, config.weight_decay, global_clipnorm=config.clip_norm))
    return model


def anchors(
    config: Config, examples: BoxExamples
) -> tuple[tuple[float, ...], tuple[float, ...], float | None]:
    """Returns sizes and ratios of the anchors, and their mean overlap if the boxes choose them.

    Args:
        config: The settings.
        examples: Training images.
    """
    sizes, ratios = networks.default_anchors(config)
    if config.anchors == "auto":
        found = data.suggested(examples, config)
        # Boxes of few shapes have fewer sizes, but each level of a pyramid needs one.
        missing = len(sizes) - len(found.sizes) if config.pyramid else 0
        return (*found.sizes, *found.sizes[-1:] * missing), tuple(found.ratios), found.mean_iou
    return config.anchor_sizes or sizes, config.anchor_ratios or ratios, None


def initialize(config: Config, model: FasterRCNN, source: keras.Model) -> Transfer:
    """Copies the features of an image classifier into the backbone.

    Args:
        config: The settings.
        model: The detector.
        source: A published image classifier.
    """
    copied = copy_weights(backbone(config, model), source)
    # The detector has a stage more than small classifiers, and perhaps another stem.
    names = {layer.name for layer in source._flatten_layers()}
    missed = sum(name in names for name in copied.new)
    return dataclasses.replace(copied, fraction=copied.taken / max(1, copied.taken + missed))


def backbone(config: Config, model: FasterRCNN) -> keras.Model:
    """Returns the part of the network that a classifier has as well."""
    return next(
        layer
        for layer in model.network._flatten_layers()
        if isinstance(layer, keras.Model) and layer.name == config.backbone
    )
