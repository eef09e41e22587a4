"""Losses of two-stage detectors: whether a region is an object, of which class, and where."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number
from dlrecipes.losses._arguments import at_least_0, sizes_of


def region_proposal_loss(
    labels, deltas, objectness, anchor_deltas, box_weight: float = 1.0, beta: float = 1.0
):
    """Computes the loss of a region proposal network for each image.

    With `p` the probability given by an anchor's logit, the sum is over the `N` anchors that are
    not ignored, and

        loss = (sum cross_entropy(label, p) + box_weight * sum_positive smooth_l1(deltas)) / N

    where `smooth_l1` is, summed over the four deltas, `d * d / (2 * beta)` for a difference `d`
    between `-beta` and `beta`, and `|d| - beta / 2` otherwise. The paper uses 256 sampled anchors
    per image, at most half of them positive: a training step labels the others -1. The paper
    divides the second sum by about 2400 positions and multiplies by 10, "roughly equally weighted"
    with the first one's 1 / 256; here both are divided by `N`.

    Args:
        labels: Labels of shape `(batch, anchors)`: 1 (object), 0 (background) or -1 (ignored, such
            as padding).
        deltas: True deltas, of shape `(batch, anchors, 4)`, finite; used where the label is 1.
        objectness: Logits of shape `(batch, anchors)`.
        anchor_deltas: Predicted deltas, of shape `(batch, anchors, 4)`.
        box_weight: Weight of the deltas' term, at least 0. Defaults to 1.
        beta: Difference above which `smooth_l1` is linear, above 0. The authors' code uses 1 / 9,
            because the deltas of anchors are not divided by their deviations. Defaults to 1.

    Returns:
        The loss of each image, of shape `(batch,)`, in float32 at least; 0 if all anchors are
        ignored.

    Raises:
        ValueError: If `box_weight` is not a number of at least 0, `beta` is not above 0, or the
            shapes differ from those above.

    Example:

    >>> from dlrecipes.losses import region_proposal_loss
    >>> nothing = [[[0.0, 0.0, 0.0, 0.0]] * 3]
    >>> loss = region_proposal_loss([[1, 0, -1]], nothing, [[0.0, 0.0, 9.0]], nothing)
    >>> round(float(loss[0]), 4)
    0.6931

    Reference:
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", equation 1 and section 3.1.2. https://arxiv.org/abs/1506.01497
        Girshick, 2015, "Fast R-CNN", equations 2 and 3, for `smooth_l1`.
        https://arxiv.org/abs/1504.08083
    """
    at_least_0("box_weight", box_weight)
    objectness_loss, box_loss = region_proposal_terms(
        labels, deltas, objectness, anchor_deltas, beta
    )
    return objectness_loss + box_weight * box_loss


def region_proposal_terms(labels, deltas, objectness, anchor_deltas, beta: float = 1.0):
    """Returns the two terms of `region_proposal_loss`, without weights, each `(batch,)`.

    Args:
        labels: As in `region_proposal_loss`, like the other arguments.
        deltas: True deltas.
        objectness: Logits.
        anchor_deltas: Predicted deltas.
        beta: Difference above which `smooth_l1` is linear. Defaults to 1.
    """
    number("beta", beta, "above 0", lambda x: x > 0)
    objectness, anchor_deltas = _exact(objectness), _exact(anchor_deltas)
    labels, deltas = ops.convert_to_tensor(labels), ops.convert_to_tensor(deltas)
    sizes_of(
        objectness=(objectness, "batch anchors"),
        anchor_deltas=(anchor_deltas, "batch anchors 4"),
        labels=(labels, "batch anchors"),
        deltas=(deltas, "batch anchors 4"),
    )
    positive = ops.cast(ops.equal(labels, 1), objectness.dtype)
    class_costs = ops.binary_crossentropy(positive, objectness, from_logits=True)
    box_costs = positive * _smooth_l1(deltas, anchor_deltas, beta)
    counted = ops.greater_equal(labels, 0)
    return _mean(class_costs, counted), _mean(box_costs, counted)


def detection_loss(
    labels, deltas, class_logits, box_deltas, box_weight: float = 1.0, beta: float = 1.0
):
    """Computes the loss of a detector's last stage for each image.

    The sum is over the `N` proposals that are not ignored, and

        loss = (sum cross_entropy(label, logits) + box_weight * sum_object smooth_l1(deltas)) / N

    where the deltas are the prediction for the proposal's true class, and `smooth_l1` is defined as
    for `region_proposal_loss`. The paper uses 64 sampled proposals per image, a quarter of them
    objects: a training step labels the others -1. It must also label padded proposals (of zero
    area) -1, since `BoxMatcher` would label them as background.

    Args:
        labels: Class of each proposal, of shape `(batch, proposals)`: 0 for the background and -1
            for proposals to ignore, including padding.
        deltas: True deltas, of shape `(batch, proposals, 4)`, finite, divided by the deviations
            that detection multiplies by; used where the label is above 0.
        class_logits: Logits of shape `(batch, proposals, classes + 1)`, the background first.
        box_deltas: Predicted deltas, of shape `(batch, proposals, classes, 4)`.
        box_weight: Weight of the deltas' term, at least 0. Defaults to 1.
        beta: Difference above which `smooth_l1` is linear, above 0. Defaults to 1.

    Returns:
        The loss of each image, of shape `(batch,)`, in float32 at least; 0 if all proposals are
        ignored.

    Raises:
        ValueError: If `box_weight` is not a number of at least 0, `beta` is not above 0, or the
            shapes differ from those above.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import BoxCoder, BoxMatcher
    >>> from dlrecipes.losses import detection_loss
    >>> true, predicted = [[[1.0, 0.0, 0.0, 0.0]]], [[[[0.0] * 4, [1.0, 0.0, 0.0, 2.0]]]]
    >>> loss = detection_loss([[2]], true, [[[0.0, 0.0, 99.0]]], predicted)
    >>> float(loss[0])
    1.5

    In a training step, with one object of class 2 and three proposals, the last of them padding:

    >>> objects, classes = keras.ops.array([[[0.0, 0.0, 8.0, 8.0]]]), keras.ops.array([[2]])
    >>> proposals = keras.ops.array([[[0.0, 0.0, 8.0, 6.0], [8.0, 8.0, 9.0, 9.0], [0.0] * 4]])
    >>> matched = BoxMatcher(0.5, 0.5, match_every_object=False)(proposals, objects)
    >>> own = keras.ops.take_along_axis(classes, matched["indices"], axis=1)
    >>> labels = keras.ops.where(matched["labels"] == 1, own, matched["labels"])
    >>> padded = keras.ops.all(proposals[..., :2] == proposals[..., 2:], axis=-1)
    >>> labels = keras.ops.where(padded, -1, labels)
    >>> keras.ops.convert_to_numpy(labels).tolist()
    [[2, 0, -1]]
    >>> true = BoxCoder((0.1, 0.1, 0.2, 0.2)).encode(matched["boxes"], proposals)
    >>> true = keras.ops.where(keras.ops.expand_dims(labels > 0, -1), true, 0.0)
    >>> logits, deltas = keras.ops.zeros((1, 3, 3)), keras.ops.zeros((1, 3, 2, 4))
    >>> round(float(detection_loss(labels, true, logits, deltas)[0]), 4)
    2.1512

    This is log 3 from the logits, and (1 / 0.6 - 1/2 + log(8 / 6) / 0.2 - 1/2) / 2 from the deltas.

    Reference:
        Girshick, 2015, "Fast R-CNN", equations 1 to 3 and "Mini-batch sampling".
        https://arxiv.org/abs/1504.08083
    """
    at_least_0("box_weight", box_weight)
    class_loss, box_loss = detection_terms(labels, deltas, class_logits, box_deltas, beta)
    return class_loss + box_weight * box_loss


def detection_terms(labels, deltas, class_logits, box_deltas, beta: float = 1.0):
    """Returns the two terms of `detection_loss`, without weights, each of shape `(batch,)`.

    Args:
        labels: As in `detection_loss`, like the other arguments.
        deltas: True deltas.
        class_logits: Logits.
        box_deltas: Predicted deltas.
        beta: Difference above which `smooth_l1` is linear. Defaults to 1.
    """
    number("beta", beta, "above 0", lambda x: x > 0)
    class_logits, box_deltas = _exact(class_logits), _exact(box_deltas)
    labels, deltas = ops.cast(labels, "int32"), ops.convert_to_tensor(deltas)
    sizes = sizes_of(
        box_deltas=(box_deltas, "batch proposals classes 4"),
        class_logits=(class_logits, "batch proposals logits"),
        labels=(labels, "batch proposals"),
        deltas=(deltas, "batch proposals 4"),
    )
    if None not in sizes.values() and sizes["logits"] != sizes["classes"] + 1:
        raise ValueError(
            f"class_logits must hold classes + 1 logits, here {sizes['classes'] + 1}, "
            f"not {sizes['logits']}."
        )
    class_costs = ops.sparse_categorical_crossentropy(
        ops.maximum(labels, 0), class_logits, from_logits=True
    )
    # one_hot of a negative number is all zeros, for the background and for ignored proposals.
    own = ops.one_hot(labels - 1, box_deltas.shape[2], dtype=box_deltas.dtype)
    predicted = ops.sum(ops.expand_dims(own, -1) * box_deltas, axis=2)
    is_object = ops.cast(ops.greater(labels, 0), predicted.dtype)
    box_costs = is_object * _smooth_l1(deltas, predicted, beta)
    counted = ops.greater_equal(labels, 0)
    return _mean(class_costs, counted), _mean(box_costs, counted)


def _exact(x):
    x = ops.convert_to_tensor(x)
    return x if keras.backend.standardize_dtype(x.dtype) == "float64" else ops.cast(x, "float32")


def _smooth_l1(true, predicted, beta):
    # Keras averages over the four deltas, and its slope is beta.
    return 4 / beta * keras.losses.huber(ops.cast(true, predicted.dtype), predicted, delta=beta)


def _mean(costs, counted):
    counted = ops.cast(counted, costs.dtype)
    return ops.sum(counted * costs, axis=-1) / ops.maximum(ops.sum(counted, axis=-1), 1)
