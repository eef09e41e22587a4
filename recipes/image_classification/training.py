"""Training of image classification: optimizer, transfer, compression, and predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.data.labelled_images import ImageExamples
from dlrecipes.errors import UsageError
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe.versions import find_version, split_checksum
from dlrecipes.training import (
    AveragedWeights,
    Distillation,
    FreezeFeatures,
    ImageClassifier,
    MagnitudePruning,
    QuantizationAwareTraining,
    ScheduleSequence,
    learning_rate_schedule,
)
from dlrecipes.training._engine.adamw import adamw
from dlrecipes.training._engine.precision import built_in

from . import compression, networks
from .config import Config

# The cosine schedule ends at this fraction of the learning rate.
FINAL_RATE = 0.002
# Parts of the training in which weights are pruned, and number of prunings.
PRUNING_BEGIN, PRUNING_END, PRUNINGS = 0.1, 0.6, 50
# Part of the epochs, the last ones, that train with int8 rounding.
ROUNDING = 1 / 3


def build(config: Config, names: Sequence[str], steps: int) -> ImageClassifier:
    """Returns a compiled classifier.

    Args:
        config: The settings.
        names: Names of the classes.
        steps: Training steps of an epoch.
    """
    with built_in(config.precision):
        network = networks.build(config, len(names))
    if config.teacher:
        model: ImageClassifier = _distillation(config, network, names)
    else:
        model = ImageClassifier(network, names)
    optimizer = adamw(
        model,
        _rate(config, steps),
        config.weight_decay,
        use_ema=bool(config.ema),
        ema_momentum=config.ema or 0.99,
    )
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=config.label_smoothing
    )
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    model.compile(optimizer, loss, metrics=[accuracy])
    return model


def _distillation(config: Config, network: keras.Model, names: Sequence[str]) -> Distillation:
    """Returns a trainer that learns from the teacher's scores as well."""
    version = _teacher_version(config)
    teacher = version.keras_model(compile=False)
    if not isinstance(teacher, ImageClassifier):
        raise UsageError(
            f"--teacher {version.folder}: it is not an image classifier.",
            "Name a version of image_classification.",
        )
    compression.check_classes(version, teacher.class_names, tuple(names))
    size = teacher.network.input_shape[1]
    if size != config.size:
        images = keras.Input((config.size, config.size, 3))
        resized = keras.layers.Resizing(size, size, antialias=True)(images)
        teacher = ImageClassifier(
            keras.Model(images, teacher.network(resized), name="teacher"), teacher.class_names
        )
    try:
        return Distillation(network, names, teacher, config.temperature, config.teacher_weight)
    except ValueError as error:
        raise UsageError(
            f"--teacher {version.folder}: {error}", "Name a version that was trained on this data."
        ) from None


def _teacher_version(config: Config) -> ModelVersion:
    path, digest = split_checksum(config.teacher)
    if digest and not Path(path).is_dir():  # There when the run began.
        raise UsageError(
            f"--teacher {path}: the version is gone.",
            "Put its folder back: the training needs the scores of its model.",
        )
    return find_version(config.teacher, Path(), compression.RECIPE, "teacher")


def _rate(config: Config, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate: constant for frozen features, then as `--lr-schedule` says."""
    rate, frozen = config.learning_rate, steps * config.freeze
    if frozen:
        rate *= config.fine_tuning_rate
    total = steps * config.epochs - frozen
    schedule = learning_rate_schedule(
        config.lr_schedule, rate, total, alpha=FINAL_RATE, warmup_steps=int(config.warmup * total)
    )
    return ScheduleSequence([config.learning_rate, schedule], [frozen]) if frozen else schedule


def class_weights(examples: ImageExamples) -> np.ndarray:
    """Returns a weight per class, with a mean over the images of 1."""
    counts = np.bincount(examples.labels, minlength=len(examples.names))
    present = np.maximum(counts, 1)
    return (len(examples) / (np.count_nonzero(counts) * present)).astype("float32")


def callbacks(config: Config, steps: int) -> list[keras.callbacks.Callback]:
    """Returns the callbacks that the settings ask for.

    Args:
        config: The settings.
        steps: Training steps of an epoch.
    """
    chosen: list[keras.callbacks.Callback] = []
    if config.freeze:
        chosen.append(FreezeFeatures(config.freeze, lambda layer: layer.name == networks.HEAD))
    if config.quantize_aware:
        chosen.append(QuantizationAwareTraining(_first_rounded(config)))
    if config.prune:
        chosen.append(_pruning(config, steps))
    if config.ema:
        chosen.append(AveragedWeights())
    return chosen


def _pruning(config: Config, steps: int) -> MagnitudePruning:
    """Returns the pruning of the epochs that train all layers."""
    frozen, total = steps * config.freeze, steps * (config.epochs - config.freeze)
    # Trained weights are pruned at once; those of a new network need to grow first.
    is_trained = config.start or config.weights
    begin = 0 if is_trained else int(PRUNING_BEGIN * total)
    end = max(1, int(PRUNING_END * total))
    begin = min(begin, end - 1)
    frequency = max(1, (end - begin) // PRUNINGS)
    return MagnitudePruning(config.prune, frozen + begin, frozen + end, frequency)


def _first_rounded(config: Config) -> int:
    """Returns the number of epochs before those with rounding."""
    return config.epochs - math.ceil(ROUNDING * config.epochs)


def first_epochs(config: Config) -> int:
    """Returns the number of first epochs of which none is the best."""
    pruning = config.freeze + math.ceil(PRUNING_END * (config.epochs - config.freeze))
    return max(
        pruning if config.prune else 0, _first_rounded(config) if config.quantize_aware else 0
    )


def outputs(model: ImageClassifier, images: tf.Tensor, mirror: bool) -> dict[str, tf.Tensor]:
    """Returns `label` and `probabilities` of prepared images; works inside a `tf.function`.

    Args:
        model: The trained model.
        images: float32 of shape `(batch, size, size, 3)`, from 0 to 1.
        mirror: Whether to average the probabilities of an image and of its mirror image.
    """
    result = model.classify(images)
    if not mirror:
        return result
    mirrored = model.classify(images[:, :, ::-1])["probabilities"]
    mean = (result["probabilities"] + mirrored) / 2
    best = tf.argmax(mean, axis=-1, output_type=tf.int32)
    return {"label": tf.gather(tf.constant(model.class_names), best), "probabilities": mean}
