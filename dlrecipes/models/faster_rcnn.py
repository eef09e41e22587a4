"""Two-stage object detectors: region proposals, then a classifier and box regressor for each."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from dlrecipes.layers import (
    BoxCoder,
    NonMaxSuppression,
    PyramidRoIAlign,
    RegionProposals,
    RoIAlign,
)
from dlrecipes.layers._arguments import number as check_number
from dlrecipes.models._arguments import check_integers, check_rates
from dlrecipes.models.images import channels_last, nth_seed
from dlrecipes.models.region_proposal_network import feature_maps, gaussian, propose


@channels_last
def faster_rcnn(
    backbone: keras.Model | str = "vgg16",
    num_classes: int = 20,
    sizes: Sequence[float] = (128, 256, 512),
    ratios: Sequence[float] = (0.5, 1, 2),
    stride: int | Sequence[int] = 16,
    filters: int = 512,
    num_proposals: int = 300,
    max_candidates: int = 6000,
    iou_threshold: float = 0.7,
    min_size: float = 16,
    pool_size: int = 7,
    units: int = 4096,
    dropout: float = 0.5,
    canonical_size: float = 224,
    seed: int | None = None,
    name: str = "faster_rcnn",
) -> keras.Model:
    """Builds Faster R-CNN: region proposals, each with class scores and a refined box.

    A region proposal network finds regions on the backbone's feature map, as in
    `region_proposal_network`. Their features are pooled from the same map to a fixed size. Two
    dense layers, `fc6` and `fc7`, and two linear outputs process each region. With VGG-16 and 20
    classes there are 137,057,234 parameters. Dropout is active in training only.

    The outputs are the logits and box deltas that a training loop compares with its targets;
    `faster_rcnn_detector` turns them into boxes. Gradients reach the backbone through the
    features but not through the proposals' coordinates: the paper's approximate joint training.

    If the backbone outputs several feature maps, such as `feature_pyramid` (Lin et al., 2017), give
    one stride and one anchor size for each, finest first. The proposal network is the same on all
    maps, and a region's features come from the map that suits its size.

    Differences from the paper: RoIAlign instead of RoI max pooling; one objectness logit per
    anchor instead of two; no box deltas for the background. The backbone, `fc6` and `fc7` start
    from Glorot's initialisation. The paper takes them from an ImageNet classifier, whose `fc6`
    and `fc7` fit here if `pool_size` is 7.

    Args:
        backbone: `"vgg16"`, for a newly initialised VGG-16 up to its 13th convolution, or a
            `keras.Model` from an image to a feature map, or to several, channels last. Defaults to
            `"vgg16"`.
        num_classes: Number of classes without the background, at least 1. Defaults to 20.
        sizes: Square roots of the anchors' areas, in pixels; one for each feature map if there are
            several. Defaults to `(128, 256, 512)`.
        ratios: Aspect ratios of the anchors, height divided by width. Defaults to `(0.5, 1, 2)`.
        stride: Pixels between neighbouring positions of the feature map, at least 1; a list for
            several maps. Defaults to 16.
        filters: Channels of the region proposal network, at least 1. Defaults to 512.
        num_proposals: Proposals per image; the paper tests with 300 and trains with 2000. No
            weight depends on it, so that a network built for training can pass its weights to one
            built for testing. Defaults to 300.
        max_candidates: Number of top-scoring anchors that suppression considers. Defaults to
            6000.
        iou_threshold: Overlap above which the lower-scoring of two proposals is dropped, in
            [0, 1]. Defaults to 0.7.
        min_size: Minimum side of a proposal, in pixels. Defaults to 16.
        pool_size: Height and width of a region's features, at least 1. Defaults to 7.
        units: Size of `fc6` and of `fc7`, at least 1. Defaults to 4096.
        dropout: Dropout rate of `fc6` and `fc7`, in [0, 1). Defaults to 0.5.
        canonical_size: With a feature pyramid, the size of the regions whose features come from the
            map of stride 16, as in `PyramidRoIAlign`. Defaults to 224.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"faster_rcnn"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)`, with the backbone's sizes, `None` for `"vgg16"`.
        Outputs: the dictionary of `region_proposal_network` and, for each proposal,

        - `class_logits`, of shape `(batch, num_proposals, num_classes + 1)`, the background
          first;
        - `box_deltas`, relative to the proposal, of shape
          `(batch, num_proposals, num_classes, 4)`, in units of the deviations that the
          training loop encodes its boxes with.

        If an image has fewer proposals, the remaining entries have score 0 and are meaningless.

    Raises:
        ValueError: If the backbone is unknown, does not output a feature map for each stride, or
            has other strides, or if another argument is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import faster_rcnn
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
        region proposal networks", sections 3.1 to 3.3. https://arxiv.org/abs/1506.01497
        Girshick, 2015, "Fast R-CNN", section 2, for the classifier and box regressor.
        https://arxiv.org/abs/1504.08083
        Lin, Dollár, Girshick, He, Hariharan and Belongie, 2017, "Feature pyramid networks for
        object detection", section 4. https://arxiv.org/abs/1612.03144
    """
    check_integers(num_classes=num_classes, units=units)
    check_rates(dropout=dropout)
    images, features, anchors = feature_maps(backbone, stride, sizes, ratios)
    proposals = RegionProposals(
        num_proposals, max_candidates, iou_threshold, min_size, name="proposals"
    )
    outputs = propose(images, features, filters, anchors, proposals)
    head = {"roi_align": _roi_align(pool_size, stride, canonical_size)}
    for index, layer in enumerate(("fc6", "fc7")):
        head[layer] = layers.Dense(units, "relu", name=layer)
        dropped = f"{layer}_dropout"
        head[dropped] = layers.Dropout(dropout, seed=nth_seed(seed, index), name=dropped)
    logits = layers.Dense(num_classes + 1, kernel_initializer=gaussian(0.01), name="class_logits")
    deltas = layers.Dense(4 * num_classes, kernel_initializer=gaussian(0.001), name="box_deltas")
    head |= {"class_logits": logits, "box_deltas": deltas}
    outputs |= _classify(head, features, outputs["proposals"])
    return keras.Model(images, outputs, name=name)


@channels_last
def faster_rcnn_stages(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Builds the two stages of a network of `faster_rcnn`, which share its weights.

    The second stage classifies any regions, in any number: those that a training step samples, or
    more or fewer proposals than the network itself has.

    Args:
        network: A model from `faster_rcnn`.

    Returns:
        Two functional models.

        - From `images` to a dictionary of `objectness`, `anchor_deltas` and `anchors`, as in
          `region_proposal_network`, and `features`, the list of feature maps.
        - From a dictionary of `features` and `regions`, boxes of shape `(batch, regions, 4)`, to
          `class_logits` and `box_deltas`, as in `faster_rcnn`.

    Raises:
        ValueError: If the network lacks an output that `faster_rcnn` has.

    Example:

    >>> import keras
    >>> from dlrecipes.models.faster_rcnn import faster_rcnn, faster_rcnn_stages
    >>> images = keras.Input((None, None, 3))
    >>> features = keras.layers.Conv2D(4, 3, strides=8, padding="same")(images)
    >>> network = faster_rcnn(
    ...     keras.Model(images, features), num_classes=2, sizes=(16, 32), stride=8, filters=4,
    ...     num_proposals=5, pool_size=2, units=8,
    ... )
    >>> proposer, classifier = faster_rcnn_stages(network)
    >>> first = proposer(keras.ops.ones((1, 24, 32, 3)))
    >>> y = classifier({"features": first["features"], "regions": first["anchors"][:, :7]})
    >>> tuple(y["class_logits"].shape)
    (1, 7, 3)

    Reference:
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", section 3.2. https://arxiv.org/abs/1506.01497
    """
    _check_network(network)
    *features, _ = network.get_layer("roi_align").input
    first = {name: network.output[name] for name in ("objectness", "anchor_deltas", "anchors")}
    proposer = keras.Model(network.input, {"features": features, **first}, name="proposer")
    inputs = {
        "features": [
            keras.Input((None, None, x.shape[-1]), name=f"features{n}", dtype=x.dtype)
            for n, x in enumerate(features, 1)
        ],
        "regions": keras.Input((None, 4), name="regions"),
    }
    head = {name: network.get_layer(name) for name in _HEAD}
    outputs = _classify(head, inputs["features"], inputs["regions"])
    return proposer, keras.Model(inputs, outputs, name="region_classifier")


@channels_last
def faster_rcnn_detector(
    network: keras.Model,
    max_detections: int = 100,
    iou_threshold: float = 0.3,
    score_threshold: float = 0.05,
    deviations: Sequence[float] = (0.1, 0.1, 0.2, 0.2),
    num_proposals: int | None = None,
    name: str = "faster_rcnn_detector",
) -> keras.Model:
    """Builds a detector that outputs boxes and classes, from a network of `faster_rcnn`.

    The weights are shared with the network. Each proposal is refined for each class by that
    class's deltas, scored by the softmax over the logits and clipped to the image. Non-maximum
    suppression then keeps the best boxes of each class. Suppression is part of the graph, so that
    the model can be exported as a whole.

    Args:
        network: A model from `faster_rcnn`.
        max_detections: Maximum number of boxes per image, at least 1. Defaults to 100.
        iou_threshold: Overlap above which the lower-scoring of two boxes of a class is dropped,
            in [0, 1]. Defaults to 0.3.
        score_threshold: Probability that a box must exceed, in [0, 1]. Defaults to 0.05.
        deviations: Standard deviations that the training loop divided its box deltas by, as in
            `BoxCoder`. Defaults to `(0.1, 0.1, 0.2, 0.2)`.
        num_proposals: Proposals per image, at least 1, or `None` for as many as the network has.
            Defaults to `None`.
        name: Model name. Defaults to `"faster_rcnn_detector"`.

    Returns:
        A functional `keras.Model`. Input: `images`, like the network's. Outputs: a dictionary
        of `boxes`, `(left, top, right, bottom)` in pixels (Keras' `"xyxy"`), of shape
        `(batch, max_detections, 4)`; `scores`, probabilities of shape
        `(batch, max_detections)`; `classes`, int32 of the same shape, counted from 0 without the
        background; and `count`, the number of boxes, int32 of shape `(batch,)`. Boxes are ordered
        by decreasing score. After the last box, boxes and scores are 0 and classes are -1.

    Raises:
        ValueError: If the network lacks an output that `faster_rcnn` has, or another argument is
            out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import faster_rcnn, faster_rcnn_detector
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
        Girshick, 2015, "Fast R-CNN", section 2.3 for the deltas and section 3 for detection.
        https://arxiv.org/abs/1504.08083
    """
    _check_network(network)
    check_number(
        "score_threshold", score_threshold, "a number in [0, 1]", lambda least: 0 <= least <= 1
    )
    images = keras.Input(network.input.shape[1:], name="images")
    y = (
        network(images)
        if num_proposals is None
        else _with_proposals(network, images, num_proposals)
    )
    number, num_classes = y["box_deltas"].shape[1:3]
    proposals = ops.expand_dims(y["proposals"], 2)
    boxes = BoxCoder(deviations, name="decode")(y["box_deltas"], proposals, images)
    scores = ops.softmax(ops.cast(y["class_logits"], "float32"), axis=-1)[..., 1:]
    real = ops.cast(ops.expand_dims(y["proposal_scores"] > 0, -1), "float32")
    scores = ops.reshape(scores * real, (-1, number * num_classes))
    classes = ops.zeros_like(scores, "int32") + np.tile(
        np.arange(num_classes, dtype="int32"), number
    )
    suppress = NonMaxSuppression(
        max_detections, iou_threshold, score_threshold, num_classes=num_classes, name="suppress"
    )
    detections = suppress(ops.reshape(boxes, (-1, number * num_classes, 4)), scores, classes)
    keys = ("boxes", "scores", "classes", "count")
    return keras.Model(images, {key: detections[key] for key in keys}, name=name)


# The layers of the second stage that have weights or settings, by name.
_HEAD = ("roi_align", "fc6", "fc6_dropout", "fc7", "fc7_dropout", "class_logits", "box_deltas")


def _roi_align(
    pool_size: int, stride: int | Sequence[int], canonical_size: float
) -> keras.layers.Layer:
    strides = stride if isinstance(stride, tuple | list) else [stride]
    if len(strides) == 1:
        return RoIAlign(pool_size, spatial_scale=1 / strides[0], name="roi_align")
    return PyramidRoIAlign(
        tuple(strides), pool_size, canonical_size=canonical_size, name="roi_align"
    )


def _classify(head: dict[str, keras.layers.Layer], features: list, regions) -> dict:
    """Returns the symbolic outputs of the second stage for regions of any number."""
    x = head["roi_align"](features if len(features) > 1 else features[0], regions)
    x = layers.Reshape((-1, math.prod(x.shape[2:])), name="flatten")(x)
    for name in ("fc6", "fc6_dropout", "fc7", "fc7_dropout"):
        x = head[name](x)
    num_classes = head["class_logits"].units - 1
    by_class = layers.Reshape((-1, num_classes, 4), name="by_class")
    logits, deltas = head["class_logits"](x), by_class(head["box_deltas"](x))
    return {"class_logits": logits, "box_deltas": deltas}


def _with_proposals(network: keras.Model, images, num_proposals: int) -> dict:
    """Returns symbolic outputs of a network for another number of proposals than its own."""
    proposer, classifier = faster_rcnn_stages(network)
    settings = network.get_layer("proposals").get_config()
    layer = RegionProposals.from_config({**settings, "num_proposals": num_proposals})
    y = proposer(images)
    selected = layer(y["objectness"], y["anchor_deltas"], y["anchors"], images)
    outputs = classifier({"features": y["features"], "regions": selected["boxes"]})
    return {"proposals": selected["boxes"], "proposal_scores": selected["scores"], **outputs}


def _check_network(network: keras.Model) -> None:
    """Raises an error unless a network has the outputs of `faster_rcnn`."""
    if not isinstance(network, keras.Model):
        raise ValueError(f"network must be a model from faster_rcnn, not {network!r}.")
    outputs = getattr(network, "output", None)
    outputs = outputs if isinstance(outputs, dict) else {}
    if missing := {"proposals", "class_logits", "box_deltas"} - set(outputs):
        raise ValueError(
            f"network must be a model from faster_rcnn; it lacks {', '.join(sorted(missing))}."
        )
