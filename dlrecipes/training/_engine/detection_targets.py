"""Targets of a detector: sampled boxes with their labels, classes and true deltas."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from dlrecipes.layers import BoxCoder, BoxMatcher
from dlrecipes.training._engine import stateless_random


class Objects(NamedTuple):
    """The objects of a batch, padded to the same number of at least one.

    Args:
        boxes: Float32 of shape `(batch, objects, 4)`, 0 for padding.
        classes: Int32 of shape `(batch, objects)`, counted from 0.
        ignored: Boolean of the same shape, or `None` if all objects count.
    """

    boxes: tf.Tensor
    classes: tf.Tensor
    ignored: tf.Tensor | None

    def counted(self) -> tf.Tensor:
        """Returns the boxes with 0 for those that are ignored."""
        if self.ignored is None:
            return self.boxes
        return tf.where(self.ignored[..., None], 0.0, self.boxes)


def objects_of(targets: Mapping[str, tf.Tensor]) -> Objects:
    """Returns the objects in the targets of a step: `boxes`, `classes` and perhaps `ignored`."""
    missing = tf.maximum(1 - tf.shape(targets["classes"])[1], 0)
    classes = tf.pad(tf.cast(targets["classes"], tf.int32), [[0, 0], [0, missing]])
    boxes = tf.pad(tf.cast(targets["boxes"], tf.float32), [[0, 0], [0, missing], [0, 0]])
    boxes = tf.where(classes[..., None] >= 0, boxes, 0.0)
    ignored = targets.get("ignored")
    if ignored is not None:
        ignored = tf.pad(tf.cast(ignored, tf.bool), [[0, 0], [0, missing]])
    return Objects(boxes, tf.maximum(classes, 0), ignored)


class Targets(NamedTuple):
    """Sampled boxes of each image, positives first, and what they should be.

    Args:
        indices: Positions among all boxes, int32 of shape `(batch, sampled)`.
        boxes: The sampled boxes, of shape `(batch, sampled, 4)`.
        labels: 1 (positive), 0 (negative) or, where an image has fewer boxes to sample, -1.
        classes: Class of the object plus 1, 0 for the background, or -1.
        deltas: Deltas to the object's box; 0 unless the label is 1.
    """

    indices: tf.Tensor
    boxes: tf.Tensor
    labels: tf.Tensor
    classes: tf.Tensor
    deltas: tf.Tensor

    def rows(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the sampled boxes' rows of a tensor of shape `(batch, boxes, ...)`."""
        return tf.gather(values, self.indices, axis=1, batch_dims=1)

    @property
    def positives(self) -> tf.Tensor:
        """The fraction of positives of each image; 0 if nothing was sampled."""
        counted = tf.reduce_sum(tf.cast(self.labels >= 0, tf.float32), axis=1)
        return tf.reduce_sum(tf.cast(self.labels == 1, tf.float32), axis=1) / tf.maximum(counted, 1)


class TargetSampler:
    """Matches boxes with objects, and samples some of them at random.

    Samples are a function of the seed and the step, so that a resumed run repeats them. Under
    several replicas each image gets the sample that it would get on a single device.

    Args:
        matcher: Labels the boxes.
        coder: Encodes the objects' boxes.
        size: Number of boxes to sample in each image; all if there are fewer.
        positive_fraction: Largest fraction of `size` that may be positive.
        seed: The trainer's seed.
        stream: Number that separates several samples of the same step.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.layers import BoxCoder, BoxMatcher
    >>> from dlrecipes.training._engine.detection_targets import TargetSampler, objects_of
    >>> sampler = TargetSampler(BoxMatcher(), BoxCoder(), 2, 0.5, seed=0, stream=0)
    >>> objects = objects_of({"boxes": [[[0.0, 0.0, 8.0, 8.0]]], "classes": [[4]]})
    >>> boxes = tf.constant([[[9.0, 9.0, 12.0, 12.0], [0.0, 0.0, 8.0, 8.0]]])
    >>> targets = sampler(boxes, objects, step=tf.constant(0))
    >>> targets.indices.numpy().tolist(), targets.classes.numpy().tolist()
    ([[1, 0]], [[5, 0]])

    Reference:
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", section 3.1.3. https://arxiv.org/abs/1506.01497
    """

    def __init__(
        self,
        matcher: BoxMatcher,
        coder: BoxCoder,
        size: int,
        positive_fraction: float,
        seed: int,
        stream: int,
    ):
        self.matcher = matcher
        self.coder = coder
        self.size = size
        self.positive_fraction = positive_fraction
        self.seed = seed
        self.stream = stream

    def __call__(
        self, boxes: tf.Tensor, objects: Objects, step: tf.Tensor, image: tf.Tensor | None = None
    ) -> Targets:
        """Returns the targets of a sample of boxes.

        Args:
            boxes: Boxes of shape `(batch, boxes, 4)`; those without area are never sampled.
            objects: The objects of the batch.
            step: Number of the step, an integer scalar.
            image: Images whose edge boxes must not cross, or `None`. Defaults to `None`.
        """
        boxes = tf.stop_gradient(boxes)
        matches = self.matcher(boxes, objects.boxes, image, objects.ignored)
        real = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1)
        indices, labels = self._sample(tf.where(real, matches["labels"], -1), step)
        own = tf.gather(matches["indices"], indices, axis=1, batch_dims=1)
        sampled = tf.gather(boxes, indices, axis=1, batch_dims=1)
        is_object = labels == 1
        true = tf.gather(objects.boxes, own, axis=1, batch_dims=1)
        deltas = self.coder.encode(true, sampled)
        classes = tf.gather(objects.classes, own, axis=1, batch_dims=1) + 1
        return Targets(
            indices,
            sampled,
            labels,
            tf.where(is_object, classes, labels),
            tf.where(is_object[..., None], deltas, 0.0),
        )

    def _sample(self, labels: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns positions, positives first, and labels, each of shape `(batch, sampled)`."""
        batch, boxes = tf.unstack(tf.shape(labels))
        boxes = labels.shape[1] if labels.shape[1] is not None else boxes
        smaller = min if isinstance(boxes, int) else tf.minimum
        size = smaller(self.size, boxes)
        most = smaller(int(self.size * self.positive_fraction), boxes)
        order = stateless_random.uniform([batch, boxes], self.seed, step, self.stream)
        rank_1, positives = tf.math.top_k(tf.where(labels == 1, order, -1.0), most)
        rank_0, negatives = tf.math.top_k(tf.where(labels == 0, order, -1.0), size)
        count_1, count_0 = (
            tf.reduce_sum(tf.cast(rank >= 0, tf.int32), axis=1, keepdims=True)
            for rank in (rank_1, rank_0)
        )
        slots = tf.range(size)[None]
        is_positive = slots < count_1
        # Where negatives run out, the last slots repeat other boxes, with label -1.
        slot = tf.where(is_positive, slots, most + tf.minimum(slots - count_1, size - 1))
        indices = tf.gather(tf.concat([positives, negatives], axis=1), slot, axis=1, batch_dims=1)
        return indices, tf.where(is_positive, 1, tf.where(slots < count_1 + count_0, 0, -1))
