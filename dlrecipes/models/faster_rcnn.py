"""Detectors that first propose regions of an image and then look at each."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from dlrecipes.layers import AnchorBoxes, BoxCoder, NonMaxSuppression, RegionProposals, RoIAlign
from dlrecipes.layers._arguments import number as check_number
from dlrecipes.models._arguments import integers, rates, several_above_zero
from dlrecipes.models.images import channels_last
from dlrecipes.models.region_proposal_network import feature_map, gaussian, propose


@channels_last
def faster_rcnn(
    backbone: keras.Model | str = "vgg16",
    num_classes: int = 20,
    sizes: Sequence[float] = (128, 256, 512),
    ratios: Sequence[float] = (0.5, 1, 2),
    stride: int = 16,
    filters: int = 512,
    num_proposals: int = 300,
    max_candidates: int = 6000,
    iou_threshold: float = 0.7,
    min_size: float = 16,
    pool_size: int = 7,
    units: int = 4096,
    dropout: float = 0.5,
    seed: int | None = None,
    name: str = "faster_rcnn",
) -> keras.Model:
    """Builds Faster R-CNN: proposals, and for each of them scores of classes and a better box.

    A region proposal network finds regions on the backbone's feature map, as
    `region_proposal_network` does, and their features are read from the same map at a fixed
    size. Two dense layers, `fc6` and `fc7`, and then two linear outputs look at each. With
    VGG-16 and 20 classes there are 137,057,234 parameters. In training dropout acts.

    The outputs are what a training loop compares with its targets: logits and deltas.
    `faster_rcnn_detector` makes boxes of them. Gradients reach the backbone through the
    features, not through where the proposals lie: the paper's approximate joint training.

    Different from the paper: RoIAlign in place of RoI max pooling; one logit of objectness an
    anchor in place of two; no box deltas for the background. Backbone, `fc6` and `fc7` start
    from Glorot's initialisation; the paper takes them from a network that classifies
    ImageNet, whose `fc6` and `fc7` fit these where `pool_size` is 7.

    Args:
        backbone: `"vgg16"`, for VGG-16 up to its 13th convolution, newly initialised; or a
            `keras.Model` from an image to a feature map, channels last.
        num_classes: Number of classes besides the background, at least 1.
        sizes: Square roots of the anchors' areas, in pixels.
        ratios: Height over width of the anchors.
        stride: Pixels from one position of the feature map to the next, at least 1.
        filters: Channels of the region proposal network, at least 1.
        num_proposals: Proposals for each image; the paper tests with 300 and trains with
            2000. No weight depends on it: a network built for training lends its weights to
            one built for testing.
        max_candidates: Anchors with the highest scores that suppression considers.
        iou_threshold: Overlap above which the lower of two proposals is dropped, in [0, 1].
        min_size: Shortest side of a proposal, in pixels.
        pool_size: Height and width of a region's features, at least 1.
        units: Size of `fc6` and of `fc7`, at least 1.
        dropout: Share of their units left out in training, in [0, 1).
        seed: Seed of the dropout.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)`, with the backbone's sizes, `None` for `"vgg16"`.
        Outputs: the dictionary of `region_proposal_network` and, for each proposal,

        - `class_logits`, of shape `(batch, num_proposals, num_classes + 1)`, the background
          first;
        - `box_deltas`, relative to the proposal, of shape
          `(batch, num_proposals, num_classes, 4)`, in units of the deviations that the
          training loop encodes its boxes with.

        What they say behind the last proposal, where its score is 0, means nothing.

    Raises:
        ValueError: If the backbone is unknown, gives no feature map or one of another stride,
            or another argument is out of its bounds.

    Example:

    >>> images = keras.Input((None, None, 3))
    >>> features = keras.layers.Conv2D(4, 3, strides=8, padding="same")(images)
    >>> model = faster_rcnn(
    ...     keras.Model(images, features), num_classes=2, sizes=(16, 32), stride=8, filters=4,
    ...     num_proposals=5, pool_size=2, units=8,
    ... )
    >>> y = model(keras.ops.ones((1, 24, 32, 3)))
    >>> tuple(y["class_logits"].shape), tuple(y["box_deltas"].shape)
    ((1, 5, 3), (1, 5, 2, 4))

    Reference:
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", sections 3.1 to 3.3.
        Girshick, 2015, "Fast R-CNN", section 2, for what looks at the proposals.
    """
    integers(num_classes=num_classes, units=units)
    rates(dropout=dropout)
    several_above_zero(sizes=sizes, ratios=ratios)
    images, features = feature_map(backbone, stride)
    anchors = AnchorBoxes(sizes, ratios, stride, name="anchors")
    pick = RegionProposals(num_proposals, max_candidates, iou_threshold, min_size, name="proposals")
    outputs = propose(images, features, filters, anchors, pick)
    align = RoIAlign(pool_size, spatial_scale=1 / stride, name="roi_align")
    x = align(features, outputs["proposals"])
    x = layers.Reshape((num_proposals, pool_size**2 * features.shape[-1]), name="flatten")(x)
    for index, layer in enumerate(("fc6", "fc7")):
        x = layers.Dense(units, "relu", name=layer)(x)
        own = None if seed is None else seed + index
        x = layers.Dropout(dropout, seed=own, name=f"{layer}_dropout")(x)
    logits = layers.Dense(num_classes + 1, kernel_initializer=gaussian(0.01), name="class_logits")
    deltas = layers.Dense(4 * num_classes, kernel_initializer=gaussian(0.001), name="box_deltas")
    by_class = layers.Reshape((num_proposals, num_classes, 4), name="by_class")
    outputs |= {"class_logits": logits(x), "box_deltas": by_class(deltas(x))}
    return keras.Model(images, outputs, name=name)


@channels_last
def faster_rcnn_detector(
    network: keras.Model,
    max_detections: int = 100,
    iou_threshold: float = 0.3,
    score_threshold: float = 0.05,
    deviations: Sequence[float] = (0.1, 0.1, 0.2, 0.2),
    name: str = "faster_rcnn_detector",
) -> keras.Model:
    """Builds what answers with boxes and classes, from a network that `faster_rcnn` built.

    The weights are the network's own. Each proposal is bent towards each class by that class's
    deltas, scored by the softmax over the logits and cut off at the image's edges; then
    non-maximum suppression keeps the best of each class. The suppression is part of the
    graph: the model exports as a whole.

    Args:
        network: A model from `faster_rcnn`.
        max_detections: Boxes returned for each image, at least 1.
        iou_threshold: Overlap above which the lower of two boxes of a class is dropped, in
            [0, 1].
        score_threshold: Probability that a box needs more than, in [0, 1].
        deviations: What the training loop divided its box deltas by, as in `BoxCoder`.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `images`, as the network's. Outputs: a dictionary
        of `boxes`, `(left, top, right, bottom)` in pixels (Keras' `"xyxy"`), of shape
        `(batch, max_detections, 4)`; `scores`, probabilities of shape
        `(batch, max_detections)`; `classes`, int32 of that shape, from 0, the first after the
        background; `count`, int32 of shape `(batch,)`, the number of boxes. They are ordered
        by falling score; behind the last, boxes and scores are 0 and classes -1.

    Raises:
        ValueError: If the network does not give what `faster_rcnn` gives, or another argument
            is out of its bounds.

    Example:

    >>> images = keras.Input((None, None, 3))
    >>> features = keras.layers.Conv2D(4, 3, strides=8, padding="same")(images)
    >>> network = faster_rcnn(
    ...     keras.Model(images, features), num_classes=2, sizes=(16, 32), stride=8, filters=4,
    ...     num_proposals=5, pool_size=2, units=8,
    ... )
    >>> y = faster_rcnn_detector(network, max_detections=3)(keras.ops.ones((1, 24, 32, 3)))
    >>> tuple(y["boxes"].shape), tuple(y["classes"].shape)
    ((1, 3, 4), (1, 3))

    Reference:
        Girshick, 2015, "Fast R-CNN", section 2.3 for the deltas, section 3 for detection.
    """
    if not isinstance(network, keras.Model):
        raise ValueError(f"network must be one that faster_rcnn built, not {network!r}.")
    given = network.output if isinstance(network.output, dict) else {}
    if missing := {"proposals", "class_logits", "box_deltas"} - set(given):
        raise ValueError(
            f"network must be one that faster_rcnn built; it lacks {', '.join(sorted(missing))}."
        )
    check_number(
        "score_threshold", score_threshold, "a number in [0, 1]", lambda least: 0 <= least <= 1
    )
    images = keras.Input(network.input.shape[1:], name="images")
    y = network(images)
    number, num_classes = y["box_deltas"].shape[1:3]
    proposals = ops.expand_dims(y["proposals"], 2)
    boxes = BoxCoder(deviations, name="decode")(y["box_deltas"], proposals, images)
    scores = ops.softmax(ops.cast(y["class_logits"], "float32"), axis=-1)[..., 1:]
    real = ops.cast(ops.expand_dims(y["proposal_scores"] > 0, -1), "float32")
    scores = ops.reshape(scores * real, (-1, number * num_classes))
    classes = ops.zeros_like(scores, "int32") + np.tile(
        np.arange(num_classes, dtype="int32"), number
    )
    suppress = NonMaxSuppression(max_detections, iou_threshold, score_threshold, name="suppress")
    found = suppress(ops.reshape(boxes, (-1, number * num_classes, 4)), scores, classes)
    names = ("boxes", "scores", "classes", "count")
    return keras.Model(images, {each: found[each] for each in names}, name=name)
