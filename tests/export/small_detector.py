"""A small detector with random weights that finds boxes of all classes, and images for it."""

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.export import Exports
from dlrecipes.export.detection_signatures import detection_signatures
from dlrecipes.export.litert_metadata import detector
from dlrecipes.models import faster_rcnn, faster_rcnn_detector

SIZE, DETECTIONS, OVERLAP, SCORE = 64, 20, 0.3, 0.05
NAMES = ("cat", "größer", "北京")


def small_detector():
    """Builds the detector; large kernels spread scores and boxes."""
    keras.utils.set_random_seed(0)
    x = images = keras.Input((SIZE, SIZE, 3))
    for filters in (8, 16, 32):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    network = faster_rcnn(
        keras.Model(images, x),
        num_classes=len(NAMES),
        sizes=(12, 24),
        stride=8,
        filters=16,
        num_proposals=40,
        min_size=2,
        pool_size=3,
        units=32,
    )
    rng = np.random.default_rng(0)
    for name in ("objectness", "anchor_deltas", "class_logits", "box_deltas"):
        kernel, bias = network.get_layer(name).get_weights()
        inputs = np.prod(kernel.shape[:-1])
        scale = 40 if name in ("objectness", "class_logits") else 8
        network.get_layer(name).set_weights(
            [rng.normal(0, scale / np.sqrt(inputs), kernel.shape), bias]
        )
    return faster_rcnn_detector(network, DETECTIONS, OVERLAP, SCORE)


def smooth_images(count, seed=0):
    """Images of random sizes, uint8 of shape (height, width, 3)."""
    rng = np.random.default_rng(seed)
    images = []
    for height, width in rng.integers(40, 200, (count, 2)):
        noise = rng.integers(0, 256, (6, 7, 3)).astype("float32")
        image = tf.image.resize(noise, (height, width), "bicubic").numpy()
        images.append(image.clip(0, 255).astype("uint8"))
    return images


def exports(detect, images, **options):
    """The exports of a detector."""
    signatures, litert = detection_signatures(
        detect, NAMES, images, size=SIZE, iou_threshold=OVERLAP, score_threshold=SCORE
    )
    return Exports(signatures, litert, metadata=detector(NAMES), **options)
