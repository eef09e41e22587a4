"""Boxes in which a region proposal network sees an object."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer, number
from dlrecipes.layers.box_coder import BoxCoder
from dlrecipes.layers.non_max_suppression import NonMaxSuppression


@keras.saving.register_keras_serializable(package="dlrecipes")
class RegionProposals(keras.layers.Layer):
    """Picks the boxes that a region proposal network believes in most.

    The deltas are decoded relative to their anchors and the boxes cut off at the edges of the
    image. Boxes narrower or lower than `min_size` are dropped. Of the `max_candidates`
    with the highest scores, those are kept that non-maximum suppression leaves, and of these
    the first `num_proposals`.

    Proposals are constants to the gradient: nothing is learnt through where they lie, as in
    the paper's approximate joint training. Everything is computed in float32 whatever the
    dtype policy. Training and inference do the same; the paper trains with
    `max_candidates=12000, num_proposals=2000`.

    Args:
        num_proposals: Number of boxes returned for each image, at least 1.
        max_candidates: Number of boxes that the suppression considers, at least 1.
        iou_threshold: Overlap above which the lower score is removed, in [0, 1].
        min_size: Shortest side of a proposal, in pixels, at least 0.

    Call arguments:
        objectness: Logits of shape `(batch, anchors)`; batch and anchors may be unknown.
        deltas: Deltas relative to the anchors, of shape `(batch, anchors, 4)`, as
            `BoxCoder` decodes them.
        anchors: Boxes of shape `(anchors, 4)` or `(batch, anchors, 4)`.
        image: A tensor of shape `(batch, height, width, channels)`, whose size alone is read.

    Returns:
        A dictionary, ordered by falling score: `boxes`, `(left, top, right, bottom)` in
        pixels (Keras' `"xyxy"`), float32 of shape `(batch, num_proposals, 4)`, and `scores`,
        probabilities of an object, float32 of shape `(batch, num_proposals)`; both 0 behind
        the last proposal.

    Raises:
        ValueError: If `num_proposals` or `max_candidates` is not an integer of at least 1,
            `iou_threshold` is not in [0, 1], or `min_size` is below 0.

    Example:

    >>> anchors = keras.ops.array([[0.0, 0.0, 20.0, 20.0], [10.0, 10.0, 40.0, 30.0]])
    >>> layer = RegionProposals(num_proposals=1)
    >>> objectness, deltas = keras.ops.array([[-1.0, 0.0]]), keras.ops.zeros((1, 2, 4))
    >>> found = layer(objectness, deltas, anchors, keras.ops.zeros((1, 32, 32, 3)))
    >>> keras.ops.convert_to_numpy(found["boxes"]).tolist(), float(found["scores"][0, 0])
    ([[[10.0, 10.0, 32.0, 30.0]]], 0.5)

    Reference:
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", section 3.3.
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
        """Marks the layers inside as built: none has weights."""
        self._coder.build(deltas_shape)
        self._suppression.build(deltas_shape)

    def call(self, objectness, deltas, anchors, image):
        """Returns the proposals and their scores."""
        # Ranked by logits: probabilities near 1 are all the same number.
        logits = ops.stop_gradient(ops.cast(objectness, "float32"))
        boxes = self._coder(ops.stop_gradient(deltas), anchors, image)
        left, top, right, bottom = ops.unstack(boxes, 4, axis=-1)
        shortest = ops.minimum(right - left, bottom - top)
        logits = ops.where(shortest >= self.min_size, logits, float("-inf"))
        kept = self._suppression(boxes, logits)
        found = ops.greater_equal(kept["indices"], 0)
        scores = ops.where(found, ops.sigmoid(kept["scores"]), 0.0)
        return {"boxes": kept["boxes"], "scores": scores}

    def compute_output_spec(self, objectness, deltas, anchors, image):
        """Returns the proposals' shapes and dtypes."""
        shapes = self.compute_output_shape(objectness.shape)
        return {name: keras.KerasTensor(shape, "float32") for name, shape in shapes.items()}

    def compute_output_shape(self, objectness_shape, *other_shapes, **named_shapes):
        """Returns the proposals' shapes, by name."""
        each = (objectness_shape[0], self.num_proposals)
        return {"boxes": (*each, 4), "scores": each}

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_proposals": self.num_proposals,
            "max_candidates": self.max_candidates,
            "iou_threshold": self.iou_threshold,
            "min_size": self.min_size,
        }
