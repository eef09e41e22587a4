"""Assignment of boxes to the objects of an image."""

import keras
from keras import ops
from keras.utils import bounding_boxes

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class BoxMatcher(keras.layers.Layer):
    """Matches boxes (anchors or proposals) with the objects of an image by their overlap.

    A box is matched with the object that it overlaps most. Its label is

    - 1, positive: the intersection over union is at least `positive_threshold`; or, with
      `match_every_object`, no other box overlaps some object more.
    - 0, negative: the box is not positive and overlaps every object by less than
      `negative_threshold`.
    - -1, ignored: neither of the two; or, with `image`, the box crosses the edge of the image; or,
      with `ignored`, it belongs to an object that is not counted. That is so if it overlaps such an
      object more than any counted one, or if it is not positive and a part of it of at least
      `negative_threshold` lies within such an object (which may be a crowd, larger than the box).

    The defaults label anchors for a region proposal network. Fast R-CNN's last stage labels
    proposals with `BoxMatcher(0.5, 0.5, match_every_object=False)`. Images with fewer objects than
    others are padded with boxes without area, which match no box.

    Overlaps are computed by `keras.utils.bounding_boxes.compute_iou`, in float32 under any dtype
    policy. Labels carry no gradient. Training and inference behave the same.

    Args:
        positive_threshold: Overlap from which a box is positive, in [0, 1]. Defaults to 0.7.
        negative_threshold: Overlap below which a box is negative, in [0, positive_threshold].
            Defaults to 0.3.
        match_every_object: Whether the boxes that overlap an object most are positive even below
            the threshold, including ties. Defaults to `True`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        boxes: Boxes `(left, top, right, bottom)`, Keras' `"xyxy"`, of shape `(boxes, 4)` or
            `(batch, boxes, 4)`.
        objects: True boxes of shape `(batch, objects, 4)`; batch and objects may be unknown. There
            must be at least one per image, which may be padding.
        image: Tensor of shape `(batch, height, width, channels)`, of which only the size is read,
            or `None` to let boxes cross the edge. Defaults to `None`.
        ignored: Whether an object is not counted, boolean of shape `(batch, objects)`, or `None` to
            count all. Defaults to `None`.

    Returns:
        A dictionary: `labels`, int32 of shape `(batch, boxes)`; `indices`, the object of each box
        (the first of several, 0 if there is none), int32 of the same shape; `boxes`, that object's
        box, float32 of shape `(batch, boxes, 4)`.

    Raises:
        ValueError: Unless 0 <= `negative_threshold` <= `positive_threshold` <= 1.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import BoxMatcher
    >>> boxes = keras.ops.array([[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 8.0, 4.0], [8.0, 8.0, 9.0, 9.0]])
    >>> objects = keras.ops.array([[[0.0, 0.0, 8.0, 7.0]]])
    >>> keras.ops.convert_to_numpy(BoxMatcher()(boxes, objects)["labels"]).tolist()
    [[1, -1, 0]]

    Reference:
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", sections 3.1.2 (labels) and 3.3 (the edge).
        https://arxiv.org/abs/1506.01497
    """

    def __init__(
        self,
        positive_threshold: float = 0.7,
        negative_threshold: float = 0.3,
        match_every_object: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        thresholds = {
            "positive_threshold": positive_threshold,
            "negative_threshold": negative_threshold,
        }
        for name, value in thresholds.items():
            number(name, value, "a number", lambda x: x == x)
        if not 0 <= negative_threshold <= positive_threshold <= 1:
            raise ValueError(
                "thresholds must satisfy 0 <= negative_threshold <= positive_threshold <= 1, not "
                f"{negative_threshold!r} and {positive_threshold!r}."
            )
        self.positive_threshold = positive_threshold
        self.negative_threshold = negative_threshold
        self.match_every_object = match_every_object
        self.autocast = False

    def call(self, boxes, objects, image=None, ignored=None):
        boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
        objects = ops.stop_gradient(ops.cast(objects, "float32"))
        uncounted = None
        if ignored is not None:
            ignored = ops.expand_dims(ops.cast(ignored, "bool"), -1)
            # A box without area matches nothing.
            uncounted = ops.where(ignored, objects, 0.0)
            objects = ops.where(ignored, 0.0, objects)
        overlap = bounding_boxes.compute_iou(objects, boxes, "xyxy")
        inside = None if image is None else _inside(boxes, image)
        if inside is not None:
            overlap = ops.where(ops.expand_dims(inside, -2), overlap, 0.0)
        most = ops.max(overlap, axis=1, keepdims=True)
        # LiteRT does not support the argmax of floats that Keras generates.
        belongs = ops.cast(ops.equal(overlap, most), "int32")
        indices = ops.cast(ops.argmax(belongs, axis=1), "int32")
        most = ops.squeeze(most, 1)
        positive = ops.greater_equal(most, self.positive_threshold)
        # Even with a threshold of 0, a box that overlaps no object is not positive.
        positive = ops.logical_and(positive, ops.greater(most, 0.0))
        if self.match_every_object:
            best = ops.max(overlap, axis=2, keepdims=True)
            chosen = ops.logical_and(ops.equal(overlap, best), ops.greater(best, 0.0))
            positive = ops.logical_or(positive, ops.any(chosen, axis=1))
        labels = ops.where(ops.less(most, self.negative_threshold), 0, -1)
        labels = ops.where(positive, 1, labels)
        if uncounted is not None:
            labels = self._ignore(labels, most, boxes, uncounted)
        if inside is not None:
            labels = ops.where(inside, labels, -1)
        rows = ops.expand_dims(ops.arange(ops.shape(objects)[0], dtype="int32"), 1)
        rows = rows * ops.shape(objects)[1] + indices
        own = ops.take(ops.reshape(objects, (-1, 4)), rows, axis=0)
        return {"labels": ops.cast(labels, "int32"), "indices": indices, "boxes": own}

    def _ignore(self, labels, most, boxes, uncounted):
        """Returns the labels with -1 for boxes that belong to objects that are not counted."""
        overlap = ops.max(bounding_boxes.compute_iou(uncounted, boxes, "xyxy"), axis=1)
        closer = ops.greater(overlap, most)
        within = ops.greater_equal(_part_within(boxes, uncounted), self.negative_threshold)
        positive = ops.equal(labels, 1)
        keep = ops.where(positive, ops.logical_not(closer), ops.logical_not(within))
        return ops.where(keep, labels, -1)

    def compute_output_spec(self, boxes, objects, image=None, ignored=None):
        shapes = self.compute_output_shape(boxes.shape, objects.shape)
        dtypes = {"labels": "int32", "indices": "int32", "boxes": "float32"}
        return {name: keras.KerasTensor(shapes[name], dtypes[name]) for name in shapes}

    def compute_output_shape(
        self, boxes_shape, objects_shape, image_shape=None, ignored_shape=None
    ):
        each = (objects_shape[0], boxes_shape[-2])
        return {"labels": each, "indices": each, "boxes": (*each, 4)}

    def get_config(self):
        return {
            **super().get_config(),
            "positive_threshold": self.positive_threshold,
            "negative_threshold": self.negative_threshold,
            "match_every_object": self.match_every_object,
        }


def _inside(boxes, image):
    """Returns whether each box lies within the image: (boxes,) or (batch, boxes)."""
    height, width = (ops.cast(size, "float32") for size in ops.shape(image)[1:3])
    left, top, right, bottom = ops.unstack(boxes, 4, axis=-1)
    inside = ops.logical_and(left >= 0, top >= 0)
    return ops.logical_and(inside, ops.logical_and(right <= width, bottom <= height))


def _part_within(boxes, objects):
    """Returns the largest part of each box's area within one object: (batch, boxes)."""
    left, top, right, bottom = (ops.expand_dims(x, -2) for x in ops.unstack(boxes, 4, axis=-1))
    sides = [ops.expand_dims(x, -1) for x in ops.unstack(objects, 4, axis=-1)]
    width = ops.minimum(right, sides[2]) - ops.maximum(left, sides[0])
    height = ops.minimum(bottom, sides[3]) - ops.maximum(top, sides[1])
    common = ops.max(ops.maximum(width, 0.0) * ops.maximum(height, 0.0), axis=1)
    area = ops.squeeze((right - left) * (bottom - top), -2)
    return common / ops.maximum(area, 1e-7)
