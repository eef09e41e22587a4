"""Non-maximum suppression: the best of overlapping boxes."""

import keras
from keras import ops
from keras.utils import bounding_boxes

from dlrecipes.layers._arguments import integer, number, shaped


@keras.saving.register_keras_serializable(package="dlrecipes")
class NonMaxSuppression(keras.layers.Layer):
    """Keeps the box with the highest score among boxes that overlap.

    The algorithm is exactly the greedy one: the box with the highest score is kept, all boxes that
    overlap it with an intersection over union above `iou_threshold` are removed, and the rest are
    treated the same way; among equal scores the first box comes first. With classes, a box removes
    only boxes of its own class, as if each class were suppressed separately and the best of all
    were returned. Boxes without area overlap nothing and remove nothing. A score of minus infinity
    or NaN is never kept.

    The output has a fixed size, padded after the last kept box. The layer runs inside a compiled or
    exported model on every backend: it sorts once and then runs `max_detections` steps of a loop,
    each over all candidates. On TensorFlow its own operation takes the place of the loop, if the
    classes are known by number or there are none. The selection is not differentiable;
    gradients flow to the boxes and scores that were selected. Overlaps are computed in float32 by
    `keras.utils.bounding_boxes.compute_iou`, and boxes and scores are float32 under any dtype
    policy. Training and inference behave the same.

    Args:
        max_detections: Number of boxes returned for each image, at least 1. Defaults to 100.
        iou_threshold: Overlap above which the box with the lower score is removed, in [0, 1].
            Defaults to 0.5.
        score_threshold: Score that boxes must exceed, or `None` for no bound. Defaults to `None`.
        max_candidates: Number of boxes with the highest scores to consider, at least 1, or `None`
            for all. Defaults to `None`.
        num_classes: Number of classes, at least 1: `classes` are then from 0 to `num_classes - 1`,
            and other boxes are not kept. With it, TensorFlow needs no loop. Defaults to `None`:
            classes are any integers.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        boxes: Boxes `(left, top, right, bottom)`, Keras' `"xyxy"`, of shape `(batch, boxes, 4)`;
            batch and boxes may be unknown, and there is at least one box.
        scores: Scores of any real value, of shape `(batch, boxes)`.
        classes: Integer class of each box, of shape `(batch, boxes)`, or `None` for a single class.
            Defaults to `None`.

    Returns:
        A dictionary, in descending order of score: `boxes` of shape `(batch, max_detections, 4)`,
        padded with 0; `scores` of shape `(batch, max_detections)`, padded with 0; `indices`, the
        boxes' positions among the inputs, int32 of the same shape, padded with -1; with classes
        `classes`, int32 of the same shape, padded with -1; `count`, the number of kept boxes, int32
        of shape `(batch,)`.

    Raises:
        ValueError: If `max_detections`, `max_candidates` or `num_classes` is not an integer of at
            least 1, `iou_threshold` is not in [0, 1], or the inputs have other shapes.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import NonMaxSuppression
    >>> boxes = [[[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0], [5.0, 5.0, 6.0, 6.0]]]
    >>> kept = NonMaxSuppression(2)(keras.ops.array(boxes), keras.ops.array([[0.7, 0.9, 0.8]]))
    >>> keras.ops.convert_to_numpy(kept["indices"]).tolist()
    [[1, 2]]

    Reference:
        Girshick, Donahue, Darrell and Malik, 2014, "Rich feature hierarchies for accurate object
        detection and semantic segmentation", section 2.2. https://arxiv.org/abs/1311.2524
    """

    def __init__(
        self,
        max_detections: int = 100,
        iou_threshold: float = 0.5,
        score_threshold: float | None = None,
        max_candidates: int | None = None,
        num_classes: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("max_detections", max_detections)
        for name, value in {"max_candidates": max_candidates, "num_classes": num_classes}.items():
            if value is not None:
                integer(name, value)
        if score_threshold is not None:
            number("score_threshold", score_threshold, "None or a number", lambda x: x == x)
        number("iou_threshold", iou_threshold, "in [0, 1]", lambda x: 0 <= x <= 1)
        self.max_detections = max_detections
        self.iou_threshold = iou_threshold
        self.score_threshold = score_threshold
        self.max_candidates = max_candidates
        self.num_classes = num_classes
        self.autocast = False

    def call(self, boxes, scores, classes=None):
        _check(boxes.shape, scores.shape, None if classes is None else classes.shape)
        boxes, scores = ops.cast(boxes, "float32"), ops.cast(scores, "float32")
        floor = float("-inf") if self.score_threshold is None else self.score_threshold
        eligible = ops.greater(scores, floor)
        ranked = ops.where(eligible, scores, float("-inf"))
        ranked, order = ops.top_k(ops.stop_gradient(ranked), self._candidates(scores))
        order = ops.cast(order, "int32")
        rivals = None if classes is None else _rows(ops.cast(classes, "int32"), order)
        eligible = ops.greater(ranked, float("-inf"))
        if rivals is not None and self.num_classes is not None:
            known = ops.logical_and(rivals >= 0, rivals < self.num_classes)
            eligible = ops.logical_and(eligible, known)
        kept = self._kept(ops.stop_gradient(_rows(boxes, order)), eligible, rivals)
        valid = ops.greater_equal(kept, 0)
        indices = _rows(order, ops.maximum(kept, 0))

        def select(x, padding):
            mask = ops.expand_dims(valid, -1) if len(x.shape) == 3 else valid
            rows = _rows(x, indices)
            return ops.where(mask, rows, ops.full_like(rows, padding))

        result = {"boxes": select(boxes, 0), "scores": select(scores, 0)}
        if classes is not None:
            result["classes"] = select(ops.cast(classes, "int32"), -1)
        result["indices"] = ops.where(valid, indices, -1)
        result["count"] = ops.sum(ops.cast(valid, "int32"), axis=-1)
        return result

    def compute_output_spec(self, boxes, scores, classes=None):
        shapes = self.compute_output_shape(
            boxes.shape, scores.shape, None if classes is None else classes.shape
        )
        dtypes = {"boxes": "float32", "scores": "float32"}
        return {
            name: keras.KerasTensor(shape, dtypes.get(name, "int32"))
            for name, shape in shapes.items()
        }

    def compute_output_shape(self, boxes_shape, scores_shape, classes_shape=None):
        _check(boxes_shape, scores_shape, classes_shape)
        each = (boxes_shape[0], self.max_detections)
        shapes = {"boxes": (*each, 4), "scores": each}
        if classes_shape is not None:
            shapes["classes"] = each
        return {**shapes, "indices": each, "count": each[:1]}

    def get_config(self):
        return {
            **super().get_config(),
            "max_detections": self.max_detections,
            "iou_threshold": self.iou_threshold,
            "score_threshold": self.score_threshold,
            "max_candidates": self.max_candidates,
            "num_classes": self.num_classes,
        }

    def _candidates(self, scores):
        num_boxes = ops.shape(scores)[1]
        if self.max_candidates is None:
            return num_boxes
        # If the size is known, top_k requires a number and not a tensor.
        smaller = min if isinstance(num_boxes, int) else ops.minimum
        return smaller(num_boxes, self.max_candidates)

    def _kept(self, boxes, eligible, classes):
        """Returns the ranks of the kept boxes, padded with -1: (batch, max_detections)."""
        is_listed = classes is None or self.num_classes is not None
        # A threshold of 1 has no next larger one.
        if keras.backend.backend() != "tensorflow" or not is_listed or self.iou_threshold == 1:
            return self._greedy(boxes, eligible, classes)
        from dlrecipes.layers._greedy_suppression import kept_ranks

        return kept_ranks(
            boxes, eligible, classes, self.num_classes, self.iou_threshold, self.max_detections
        )

    def _greedy(self, boxes, eligible, classes):
        """Returns the ranks of the kept boxes, padded with -1: (batch, max_detections)."""
        slots = ops.arange(self.max_detections, dtype="int32")
        ranks = ops.expand_dims(ops.arange(ops.shape(boxes)[1], dtype="int32"), 0)

        def step(slot, state):
            alive, kept = state
            # Candidates are sorted, so that the best remaining one is the first.
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
    """Gathers `x[b, indices[b]]` for each example b, with a single gather over rows."""
    batch, length = ops.shape(x)[:2]
    first = ops.expand_dims(ops.arange(batch, dtype="int32") * length, 1)
    return ops.take(ops.reshape(x, (-1, *x.shape[2:])), first + indices, axis=0)
