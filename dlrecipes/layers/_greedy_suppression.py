"""Greedy suppression by TensorFlow's own operations.

A loop over the kept boxes, as other backends need it, takes 50 times as long, and in a LiteRT file
it becomes a second subgraph, which MediaPipe Tasks refuses.

There are two operations. LiteRT and XLA have the one in `kept_ranks` as well, but not the one in
`kept_ranks_of_batch`, which takes less than half of the time.

Both take equal scores in any order, so the score of a box is its rank. Both give a box with swapped
corners an area, and LiteRT returns one without area again and again, so boxes without area are
moved to free places.
"""

import numpy as np
import tensorflow as tf


def kept_ranks(boxes, eligible, classes, num_classes, iou_threshold, max_detections):
    """Returns the ranks of the kept boxes of each image.

    LiteRT's kernel removes a box whose overlap equals the threshold, so the threshold is the next
    larger number.

    Args:
        boxes: float32 of shape `(batch, candidates, 4)`, by decreasing score.
        eligible: Whether a box may be kept, bool of shape `(batch, candidates)`.
        classes: int32 of the same shape, or `None`.
        num_classes: Number of classes; classes are from 0. Used with `classes` only.
        iou_threshold: Overlap above which a box is removed, in [0, 1).
        max_detections: Number of ranks.

    Returns:
        int32 of shape `(batch, max_detections)`, padded with -1.
    """
    boxes, scores, number = _prepared(boxes, eligible)
    threshold = float(np.nextafter(np.float32(iou_threshold), np.float32(1)))

    def kept(boxes, scores):
        ranks, count = tf.raw_ops.NonMaxSuppressionV4(
            boxes=boxes,
            scores=scores,
            max_output_size=max_detections,
            iou_threshold=threshold,
            score_threshold=0.0,
            pad_to_max_output_size=True,
        )
        ranks = tf.ensure_shape(ranks, [max_detections])
        return tf.where(tf.range(max_detections) < count, ranks, -1)

    def kept_of_all(image):
        boxes, scores, *own = image
        if not own:
            return kept(boxes, scores)
        each = [
            kept(boxes, tf.where(tf.equal(own[0], number), scores, 0.0))
            for number in range(num_classes)
        ]
        ranks = tf.concat(each, axis=0)
        ordered = -tf.math.top_k(tf.where(ranks < 0, -number, -ranks), max_detections)[0]
        return tf.where(ordered < number, ordered, -1)

    images = (boxes, scores) if classes is None else (boxes, scores, classes)
    if boxes.shape[0] is None:
        signature = tf.TensorSpec([max_detections], tf.int32)
        return tf.map_fn(kept_of_all, images, fn_output_signature=signature)
    # Without a loop, which LiteRT files hold as a second subgraph.
    return tf.stack([kept_of_all(image) for image in zip(*map(tf.unstack, images), strict=True)])


def kept_ranks_of_batch(boxes, eligible, iou_threshold, max_detections):
    """Returns the ranks of the kept boxes of each image, as `kept_ranks` does without classes.

    Args:
        boxes: float32 of shape `(batch, candidates, 4)`, by decreasing score.
        eligible: Whether a box may be kept, bool of shape `(batch, candidates)`.
        iou_threshold: Overlap above which a box is removed, in [0, 1].
        max_detections: Number of ranks.

    Returns:
        int32 of shape `(batch, max_detections)`, padded with -1.
    """
    boxes, scores, number = _prepared(boxes, eligible)
    kept = tf.raw_ops.CombinedNonMaxSuppression(
        boxes=boxes[:, :, None],
        scores=scores[..., None],
        max_output_size_per_class=max_detections,
        max_total_size=max_detections,
        iou_threshold=float(iou_threshold),
        score_threshold=0.0,
        clip_boxes=False,
    )
    ranks = number - tf.cast(kept.nmsed_scores, tf.int32)
    return tf.where(ranks < number, ranks, -1)


def _prepared(boxes, eligible):
    """Returns boxes with area, their scores, 0 if they are not eligible, and their number."""
    number = tf.shape(boxes)[1] if boxes.shape[1] is None else boxes.shape[1]
    # 0 and less is never kept.
    scores = tf.cast(tf.range(number, 0, -1), tf.float32) * tf.cast(eligible, tf.float32)
    return _with_area(boxes, number), scores, number


def _with_area(boxes, number):
    """Returns boxes in which those without area are squares that overlap no other box."""
    sides = boxes[..., 2:] - boxes[..., :2]
    # NaN has no area either.
    has_area = (sides[..., 0] > 0) & (sides[..., 1] > 0) & (sides[..., 0] * sides[..., 1] > 0)
    free = tf.reduce_max(tf.where(has_area[..., None], boxes, 0.0), axis=[1, 2], keepdims=True) + 1
    left = free + 2 * tf.cast(tf.range(number), tf.float32)[:, None]
    top = tf.zeros_like(left) + free
    squares = tf.concat([left, top, left + 1, top + 1], axis=-1)
    return tf.where(has_area[..., None], boxes, squares)
