"""Detections and true boxes of images, in the form that the metrics take."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from dlrecipes.data.box_batches import box_batches
from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.data.image_batches import plain_decoding_errors
from dlrecipes.training import FasterRCNN

from .config import Config

EVALUATION_BATCH = 16
# Boxes below this probability are left out: the field's usual limit.
LEAST_SCORE = 0.05
# Numbers of proposals whose recall is drawn.
NUMBERS = (1, 3, 10, 30, 100, 300)

Arrays = dict[str, np.ndarray]


def detector(config: Config, model: FasterRCNN) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the function from prepared images to boxes that is evaluated and published.

    Args:
        config: The settings.
        model: The detector.
    """
    return model.detector(
        max_detections=config.max_detections,
        score_threshold=LEAST_SCORE,
        iou_threshold=config.overlap,
        num_proposals=config.proposals,
    )


def detect(model: FasterRCNN, examples: BoxExamples, config: Config) -> list[Arrays]:
    """Returns `boxes`, `scores` and `classes` of each image, in its own pixels.

    Args:
        model: The detector.
        examples: Images.
        config: The settings.
    """
    found: list[Arrays] = []
    for outputs in _outputs(_compiled(config, model), examples, config):
        for row, count in enumerate(outputs["count"]):
            boxes = outputs["boxes"][row, :count] * scale(examples, len(found), config.size)
            found.append(
                {
                    "boxes": boxes,
                    "scores": outputs["scores"][row, :count],
                    "classes": outputs["classes"][row, :count],
                }
            )
    return found


@functools.lru_cache(maxsize=1)
def _compiled(config: Config, model: FasterRCNN) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    # Traced once for all evaluations and the figures.
    return tf.function(detector(config, model), [_images(config)])


def propose(model: FasterRCNN, examples: BoxExamples, config: Config) -> list[np.ndarray]:
    """Returns the proposals for each image in its own pixels, the best first.

    Args:
        model: The detector.
        examples: Images.
        config: The settings.
    """

    def proposals(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"boxes": model.network(images, training=False)["proposals"]}

    network = tf.function(proposals, [_images(config)])
    rows = (boxes for out in _outputs(network, examples, config) for boxes in out["boxes"])
    return [boxes * scale(examples, k, config.size) for k, boxes in enumerate(rows)]


def truths(examples: BoxExamples) -> list[Arrays]:
    """Returns `boxes`, `classes` and `ignored` of each image, in its own pixels."""
    return [
        {
            "boxes": examples.boxes(k),
            "classes": examples.classes(k),
            "ignored": examples.ignored(k),
        }
        for k in range(len(examples))
    ]


def scale(examples: BoxExamples, k: int, size: int) -> np.ndarray:
    """Returns the factors from the network's pixels to those of an image, shape `(4,)`.

    Args:
        examples: Images.
        k: Index of the image.
        size: Height and width of the network's images.
    """
    height, width = examples.size(k)
    return np.array([width, height, width, height], "float32") / size


def _images(config: Config) -> tf.TensorSpec:
    # One graph for any number of images.
    return tf.TensorSpec([None, config.size, config.size, 3], tf.float32)


def _outputs(
    network: Callable[[tf.Tensor], Mapping[str, tf.Tensor]], examples: BoxExamples, config: Config
) -> Iterator[Arrays]:
    """Yields a network's outputs for each batch of images."""
    batches, _ = box_batches(examples, config.size, EVALUATION_BATCH, config.seed)
    with plain_decoding_errors():
        for images, _ in batches:
            outputs = network(tf.cast(images, tf.float32) / 255)
            yield {name: value.numpy() for name, value in outputs.items()}
