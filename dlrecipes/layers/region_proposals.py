"""Boxes in which a region proposal network detects an object."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer, number
from dlrecipes.layers.box_coder import BoxCoder
from dlrecipes.layers.non_max_suppression import NonMaxSuppression


@keras.saving.register_keras_serializable(package="dlrecipes")
class RegionProposals(keras.layers.Layer):
    """Selects the best boxes of a region proposal network.

    The deltas are decoded relative to their anchors and the boxes are clipped to the image. Boxes
    with a side shorter than `min_size` are dropped. Non-maximum suppression is applied to the
    `max_candidates` boxes with the highest scores, and the first `num_proposals` of the remaining
    boxes are returned.

    Proposals carry no gradient: nothing is learned through their coordinates, as in the paper's
    approximate joint training. Everything is computed in float32 under any dtype policy. Training
    and inference behave the same; the paper trains with `max_candidates=12000, num_proposals=2000`.

    Args:
        num_proposals: Number of boxes returned for each image, at least 1. Defaults to 300.
        max_candidates: Number of boxes that the suppression considers, at least 1. Defaults to
            6000.
        iou_threshold: Overlap above which the box with the lower score is removed, in [0, 1].
            Defaults to 0.7.
        min_size: Shortest side of a proposal, in pixels, at least 0. Defaults to 16.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        objectness: Logits of shape `(batch, anchors)`; batch and anchors may be unknown.
        deltas: Deltas relative to the anchors, of shape `(batch, anchors, 4)`, in the format of
            `BoxCoder`.
        anchors: Boxes of shape `(anchors, 4)` or `(batch, anchors, 4)`.
        image: Tensor of shape `(batch, height, width, channels)`, of which only the size is read.

    Returns:
        A dictionary, in descending order of score: `boxes`, `(left, top, right, bottom)` in pixels
        (Keras' `"xyxy"`), float32 of shape `(batch, num_proposals, 4)`, and `scores`, probabilities
        of an object, float32 of shape `(batch, num_proposals)`; both are padded with 0.

    Raises:
        ValueError: If `num_proposals` or `max_candidates` is not an integer of at least 1,
            `iou_threshold` is not in [0, 1], or `min_size` is below 0.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import RegionProposals
    >>> anchors = keras.ops.array([[0.0, 0.0, 20.0, 20.0], [10.0, 10.0, 40.0, 30.0]])
    >>> layer = RegionProposals(num_proposals=1)
    >>> objectness, deltas = keras.ops.array([[-1.0, 0.0]]), keras.ops.zeros((1, 2, 4))
    >>> proposals = layer(objectness, deltas, anchors, keras.ops.zeros((1, 32, 32, 3)))
    >>> keras.ops.convert_to_numpy(proposals["boxes"]).tolist(), float(proposals["scores"][0, 0])
    ([[[10.0, 10.0, 32.0, 30.0]]], 0.5)

    Reference:
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", section 3.3. https://arxiv.org/abs/1506.01497
    """

    def __init__(
        self,
        num_proposals: int = 300,
        max_candidates: int = 6000,
        iou_threshold: float = 0.7,
        min_size: float = 16,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in {
            "num_proposals": num_proposals,
            "max_candidates": max_candidates,
        }.items():
            integer(name, value)
        number("min_size", min_size, "at least 0", lambda x: x >= 0)
        self.num_proposals = num_proposals
        self.max_candidates = max_candidates
        self.iou_threshold = iou_threshold
        self.min_size = min_size
        self.autocast = False
        self._coder = BoxCoder()
        self._suppression = NonMaxSuppression(
            num_proposals, iou_threshold, max_candidates=max_candidates
        )

    def build(self, objectness_shape, deltas_shape, anchors_shape, image_shape):
        # Neither layer has weights; building marks them as built.
        self._coder.build(deltas_shape)
        self._suppression.build(deltas_shape)

    def call(self, objectness, deltas, anchors, image):
        # Ranked by logits, since probabilities near 1 all round to the same number.
        logits = ops.stop_gradient(ops.cast(objectness, "float32"))
        boxes = self._coder(ops.stop_gradient(deltas), anchors, image)
        left, top, right, bottom = ops.unstack(boxes, 4, axis=-1)
        shortest = ops.minimum(right - left, bottom - top)
        logits = ops.where(shortest >= self.min_size, logits, float("-inf"))
        kept = self._suppression(boxes, logits)
        valid = ops.greater_equal(kept["indices"], 0)
        scores = ops.where(valid, ops.sigmoid(kept["scores"]), 0.0)
        return {"boxes": kept["boxes"], "scores": scores}

    def compute_output_spec(self, objectness, deltas, anchors, image):
        shapes = self.compute_output_shape(objectness.shape)
        return {name: keras.KerasTensor(shape, "float32") for name, shape in shapes.items()}

    def compute_output_shape(self, objectness_shape, *other_shapes, **named_shapes):
        each = (objectness_shape[0], self.num_proposals)
        return {"boxes": (*each, 4), "scores": each}

    def get_config(self):
        return {
            **super().get_config(),
            "num_proposals": self.num_proposals,
            "max_candidates": self.max_candidates,
            "iou_threshold": self.iou_threshold,
            "min_size": self.min_size,
        }
