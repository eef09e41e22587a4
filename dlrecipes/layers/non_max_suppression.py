"""The best of overlapping boxes."""

import keras
from keras import ops
from keras.utils import bounding_boxes

from dlrecipes.layers._arguments import integer, number, shaped


@keras.saving.register_keras_serializable(package="dlrecipes")
class NonMaxSuppression(keras.layers.Layer):
    """Keeps, of boxes that overlap, the one with the highest score.

    The greedy algorithm, exactly: the box with the highest score is kept, all that overlap it
    with an intersection over union above `iou_threshold` are removed, and so on with those
    that remain; of equal scores the first goes first. With classes, a box removes those of its
    own class only, as if each class had its own suppression and the best of all were
    returned. Boxes without area overlap nothing and remove nothing. A score of minus
    infinity or NaN is never kept.

    The output has a fixed size, padded behind the last box that was kept. It is made of
    `keras.ops` alone, so it runs inside a compiled or exported model on every backend: sorting
    once and then `max_detections` steps of a loop, each over all candidates. The choice is not
    differentiable; gradients flow to the boxes and scores that were chosen. Overlaps
    are computed in float32 by `keras.utils.bounding_boxes.compute_iou`, boxes and scores
    are float32 whatever the dtype policy. Training and inference do the same.

    Args:
        max_detections: Number of boxes returned for each image, at least 1.
        iou_threshold: Overlap above which the lower score is removed, in [0, 1].
        score_threshold: Boxes need a score above it; `None` asks for none.
        max_candidates: Only so many boxes with the highest scores are considered, at least 1;
            `None` considers all.

    Call arguments:
        boxes: Boxes `(left, top, right, bottom)`, Keras' `"xyxy"`, of shape `(batch, boxes, 4)`;
            batch and boxes may be unknown, and there is at least one box.
        scores: Scores of any real value, of shape `(batch, boxes)`.
        classes: Integer class of each box, of shape `(batch, boxes)`, or `None`: one class.

    Returns:
        A dictionary, ordered by falling score: `boxes` of shape
        `(batch, max_detections, 4)`, 0 behind the last; `scores` of shape
        `(batch, max_detections)`, 0 behind the last; `indices`, int32, of that shape, where each
        was among the inputs, -1 behind the last; with classes `classes`, int32, of that
        shape, -1 behind the last; `count`, int32 of shape `(batch,)`, the number kept.

    Raises:
        ValueError: If `max_detections` or `max_candidates` is not an integer of at least 1, or
            `iou_threshold` is not in [0, 1], or the inputs have other shapes.

    Example:

    >>> boxes = [[[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0], [5.0, 5.0, 6.0, 6.0]]]
    >>> kept = NonMaxSuppression(2)(keras.ops.array(boxes), keras.ops.array([[0.7, 0.9, 0.8]]))
    >>> keras.ops.convert_to_numpy(kept["indices"]).tolist()
    [[1, 2]]

    Reference:
        Girshick, Donahue, Darrell and Malik, 2014, "Rich feature hierarchies for accurate
        object detection and semantic segmentation", section 2.2.
    """

    def __init__(
        self,
        max_detections: int = 100,
        iou_threshold: float = 0.5,
        score_threshold: float | None = None,
        max_candidates: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        counts = {"max_detections": max_detections, "max_candidates": max_candidates}
        for name, value in counts.items():
            if name == "max_candidates" and value is None:
                continue
            integer(name, value)
        if score_threshold is not None:
            number("score_threshold", score_threshold, "None or a number", lambda x: x == x)
        number("iou_threshold", iou_threshold, "in [0, 1]", lambda x: 0 <= x <= 1)
        self.max_detections = max_detections
        self.iou_threshold = iou_threshold
        self.score_threshold = score_threshold
        self.max_candidates = max_candidates
        self.autocast = False

    def call(self, boxes, scores, classes=None):
        """Returns the boxes that are kept."""
        _check(boxes.shape, scores.shape, None if classes is None else classes.shape)
        boxes, scores = ops.cast(boxes, "float32"), ops.cast(scores, "float32")
        floor = float("-inf") if self.score_threshold is None else self.score_threshold
        eligible = ops.greater(scores, floor)
        ranked = ops.where(eligible, scores, float("-inf"))
        ranked, order = ops.top_k(ops.stop_gradient(ranked), self._candidates(scores))
        order = ops.cast(order, "int32")
        rivals = None if classes is None else _rows(ops.cast(classes, "int32"), order)
        eligible = ops.greater(ranked, float("-inf"))
        kept = self._greedy(ops.stop_gradient(_rows(boxes, order)), eligible, rivals)
        found = ops.greater_equal(kept, 0)
        indices = _rows(order, ops.maximum(kept, 0))

        def chosen(x, padding):
            real = ops.expand_dims(found, -1) if len(x.shape) == 3 else found
            rows = _rows(x, indices)
            return ops.where(real, rows, ops.full_like(rows, padding))

        result = {"boxes": chosen(boxes, 0), "scores": chosen(scores, 0)}
        if classes is not None:
            result["classes"] = chosen(ops.cast(classes, "int32"), -1)
        result["indices"] = ops.where(found, indices, -1)
        result["count"] = ops.sum(ops.cast(found, "int32"), axis=-1)
        return result

    def compute_output_spec(self, boxes, scores, classes=None):
        """Returns the shapes and dtypes of what is kept."""
        shapes = self.compute_output_shape(
            boxes.shape, scores.shape, None if classes is None else classes.shape
        )
        dtypes = {"boxes": "float32", "scores": "float32"}
        return {
            name: keras.KerasTensor(shape, dtypes.get(name, "int32"))
            for name, shape in shapes.items()
        }

    def compute_output_shape(self, boxes_shape, scores_shape, classes_shape=None):
        """Returns the shapes of what is kept, by name."""
        _check(boxes_shape, scores_shape, classes_shape)
        each = (boxes_shape[0], self.max_detections)
        shapes = {"boxes": (*each, 4), "scores": each}
        if classes_shape is not None:
            shapes["classes"] = each
        return {**shapes, "indices": each, "count": each[:1]}

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "max_detections": self.max_detections,
            "iou_threshold": self.iou_threshold,
            "score_threshold": self.score_threshold,
            "max_candidates": self.max_candidates,
        }

    def _candidates(self, scores):
        number = ops.shape(scores)[1]
        if self.max_candidates is None:
            return number
        # Where sizes are known, top_k must be given a number and not a tensor.
        smaller = min if isinstance(number, int) else ops.minimum
        return smaller(number, self.max_candidates)

    def _greedy(self, boxes, eligible, classes):
        """Returns the ranks of the boxes kept, -1 behind the last: (batch, max_detections)."""
        slots = ops.arange(self.max_detections, dtype="int32")
        ranks = ops.expand_dims(ops.arange(ops.shape(boxes)[1], dtype="int32"), 0)

        def step(slot, state):
            alive, kept = state
            # Candidates are sorted: the best that remains is the first.
            best = ops.cast(ops.argmax(alive, axis=-1, keepdims=True), "int32")
            overlap = bounding_boxes.compute_iou(_rows(boxes, best), boxes, "xyxy")
            removed = ops.greater(ops.squeeze(overlap, 1), self.iou_threshold)
            if classes is not None:
                removed = ops.logical_and(removed, ops.equal(classes, _rows(classes, best)))
            removed = ops.logical_or(removed, ops.equal(ranks, best))
            rank = ops.where(ops.max(alive, axis=-1, keepdims=True) > 0, best, -1)
            kept = ops.where(ops.equal(slots, slot), rank, kept)
            return ops.where(removed, ops.zeros_like(alive), alive), kept

        alive = ops.cast(eligible, "int32")
        kept = ops.zeros_like(alive[:, :1]) - ops.ones_like(slots)
        return ops.fori_loop(0, self.max_detections, step, (alive, kept))[1]


def _check(boxes_shape, scores_shape, classes_shape):
    shaped("boxes", boxes_shape, "batch", "boxes", 4)
    shaped("scores", scores_shape, "batch", "boxes")
    if classes_shape is not None:
        shaped("classes", classes_shape, "batch", "boxes")


def _rows(x, indices):
    """Returns `x[b, indices[b]]` of each example b, by one gather over rows."""
    batch, number = ops.shape(x)[:2]
    first = ops.expand_dims(ops.arange(batch, dtype="int32") * number, 1)
    return ops.take(ops.reshape(x, (-1, *x.shape[2:])), first + indices, axis=0)
