"""Fast selection of proposals in a training step, with TensorFlow's non-maximum suppression."""

import tensorflow as tf


def proposals(
    logits: tf.Tensor,
    boxes: tf.Tensor,
    num_proposals: int,
    max_candidates: int,
    iou_threshold: float,
    min_size: float,
) -> tf.Tensor:
    """Returns the boxes that `layers.RegionProposals` selects, without its scores.

    The layer suppresses the boxes of one image after the other, with an operation that LiteRT has
    as well. This operation processes the images of a batch in parallel.

    Args:
        logits: Scores of shape `(batch, anchors)`.
        boxes: Decoded boxes of shape `(batch, anchors, 4)`, clipped to the image.
        num_proposals: Number of boxes returned for each image.
        max_candidates: Number of best-scored boxes that the suppression considers.
        iou_threshold: Overlap above which the box with the lower score is removed.
        min_size: Shortest side of a proposal, in pixels.

    Returns:
        Boxes by decreasing score, padded with 0, float32 of shape `(batch, num_proposals, 4)`.
    """
    sides = boxes[..., 2:] - boxes[..., :2]
    large = tf.reduce_min(sides, axis=-1) >= min_size
    ranked = tf.where(large, tf.cast(logits, tf.float32), float("-inf"))
    count = boxes.shape[1] if boxes.shape[1] is not None else tf.shape(boxes)[1]
    smaller = min if isinstance(count, int) else tf.minimum
    count = smaller(count, max_candidates)
    ranked, order = tf.math.top_k(ranked, count)
    candidates = tf.gather(boxes, order, axis=1, batch_dims=1)
    # Ranks in place of scores: among equal scores, the operation takes any box first.
    ranks = tf.cast(tf.range(count, 0, -1), tf.float32)
    selected = tf.raw_ops.CombinedNonMaxSuppression(
        boxes=candidates[:, :, None],
        scores=tf.where(ranked > float("-inf"), ranks, 0.0)[..., None],
        max_output_size_per_class=num_proposals,
        max_total_size=num_proposals,
        iou_threshold=float(iou_threshold),
        score_threshold=0.0,
        clip_boxes=False,
    )
    return tf.stop_gradient(selected.nmsed_boxes)
