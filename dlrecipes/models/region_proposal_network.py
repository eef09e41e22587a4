"""Region proposal networks, which find where in an image there may be an object."""

from collections.abc import Sequence

import keras
from keras import layers, ops

from dlrecipes.layers import AnchorBoxes, RegionProposals
from dlrecipes.models._arguments import check_integers, check_positive_lists
from dlrecipes.models.images import channels_last
from dlrecipes.models.vgg import vgg


@channels_last
def region_proposal_network(
    backbone: keras.Model | str = "vgg16",
    sizes: Sequence[float] = (128, 256, 512),
    ratios: Sequence[float] = (0.5, 1, 2),
    stride: int | Sequence[int] = 16,
    filters: int = 512,
    num_proposals: int = 300,
    max_candidates: int = 6000,
    iou_threshold: float = 0.7,
    min_size: float = 16,
    name: str = "region_proposal_network",
) -> keras.Model:
    """Builds a region proposal network, which finds objects of any class in an image.

    A 3x3 convolution slides over the backbone's feature map. At each position two 1x1
    convolutions predict, for each anchor, whether it contains an object and the deltas that move
    it to that object. The top-scoring boxes are the proposals; gradients do not pass through
    them. Boxes are `(left, top, right, bottom)` in pixels, Keras' `"xyxy"`.

    The paper scores each anchor by a softmax over two logits. Here it is a single logistic unit,
    the alternative that its section 3.1 mentions, with half as many outputs. Anchors that cross
    the image border are part of the output; a training loop ignores them, as the paper does. All
    images of a batch have the same size.

    Args:
        backbone: `"vgg16"`, for a newly initialised VGG-16 up to its 13th convolution, or a
            `keras.Model` from an image to a feature map, or to several, such as `feature_pyramid`,
            channels last. Defaults to `"vgg16"`.
        sizes: Square roots of the anchors' areas, in pixels; one for each feature map if there are
            several. Defaults to `(128, 256, 512)`.
        ratios: Aspect ratios of the anchors, height divided by width. Defaults to `(0.5, 1, 2)`.
        stride: Pixels between neighbouring positions of the feature map, at least 1; a list for
            several maps, finest first. Defaults to 16.
        filters: Channels of the 3x3 convolution, at least 1. Defaults to 512.
        num_proposals: Proposals per image; the paper tests with 300 and trains with 2000.
            Defaults to 300.
        max_candidates: Number of top-scoring anchors that suppression considers; the authors test
            with 6000 and train with 12000. Defaults to 6000.
        iou_threshold: Overlap above which the lower-scoring of two proposals is dropped, in
            [0, 1]. Defaults to 0.7.
        min_size: Minimum side of a proposal, in pixels. Defaults to 16.
        name: Model name. Defaults to `"region_proposal_network"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)`, with the backbone's sizes, `None` for `"vgg16"`.
        Outputs: a dictionary of

        - `objectness`, logits of shape `(batch, anchors)`, with
          `len(sizes) * len(ratios)` anchors at each position of the feature map;
        - `anchor_deltas`, in the format of `BoxCoder`, of shape `(batch, anchors, 4)`;
        - `anchors`, the boxes that the deltas are relative to, of shape `(batch, anchors, 4)`;
        - `proposals`, boxes by decreasing score, of shape `(batch, num_proposals, 4)`;
        - `proposal_scores`, probabilities of shape `(batch, num_proposals)`.

        If an image has fewer proposals, the last two are padded with 0.

    Raises:
        ValueError: If the backbone is unknown, does not output a feature map for each stride, or
            has other strides, or if another argument is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import region_proposal_network
    >>> images = keras.Input((None, None, 3))
    >>> features = keras.layers.Conv2D(4, 3, strides=8, padding="same")(images)
    >>> model = region_proposal_network(
    ...     keras.Model(images, features), sizes=(16, 32), stride=8, filters=4, num_proposals=5
    ... )
    >>> y = model(keras.ops.ones((1, 24, 32, 3)))
    >>> tuple(y["objectness"].shape), tuple(y["proposals"].shape)
    ((1, 72), (1, 5, 4))

    Reference:
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", section 3.1. https://arxiv.org/abs/1506.01497
    """
    images, features, anchors = feature_maps(backbone, stride, sizes, ratios)
    proposals = RegionProposals(
        num_proposals, max_candidates, iou_threshold, min_size, name="proposals"
    )
    return keras.Model(images, propose(images, features, filters, anchors, proposals), name=name)


def feature_maps(
    backbone: keras.Model | str,
    stride: int | Sequence[int],
    sizes: Sequence[float],
    ratios: Sequence[float],
):
    """Returns the symbolic input `images`, the backbone's feature maps and their anchor layers.

    Args:
        backbone: `"vgg16"`, or a `keras.Model` from an image to one feature map, or to several.
        stride: Pixels between neighbouring positions of the feature map; of each map if there are
            several.
        sizes: Square roots of the anchors' areas; one for each map if there are several.
        ratios: Aspect ratios of the anchors.

    Returns:
        A symbolic tensor, a list of symbolic tensors and a list of `AnchorBoxes`.

    Raises:
        ValueError: If the backbone is unknown, does not output as many feature maps as there are
            strides, or has other strides, or if an argument is out of bounds.
    """
    check_positive_lists(sizes=sizes, ratios=ratios)
    strides = list(stride) if isinstance(stride, tuple | list) else [stride]
    for each in strides:
        check_integers(stride=each)
    if isinstance(backbone, str) and backbone == "vgg16":
        backbone = _vgg16()
    if not isinstance(backbone, keras.Model):
        raise ValueError(f"backbone must be 'vgg16' or a keras.Model, not {backbone!r}.")
    if len(getattr(backbone, "inputs", None) or ()) != 1:
        raise ValueError("backbone must be built and have one input, the images.")
    images = keras.Input(backbone.inputs[0].shape[1:], name="images")
    features = keras.tree.flatten(backbone(images))
    if len(features) != len(strides) or any(len(x.shape) != 4 for x in features):
        number = "one feature map" if len(strides) == 1 else f"{len(strides)} feature maps"
        hint = "" if len(features) < 2 else f", not {len(features)} outputs: give a stride for each"
        raise ValueError(f"backbone must output {number}, (batch, height, width, channels){hint}.")
    _check_strides(backbone, images.shape[1:], strides)
    if len(strides) == 1:
        return images, features, [AnchorBoxes(sizes, ratios, strides[0], name="anchors")]
    if len(sizes) != len(strides):
        raise ValueError(
            f"sizes must hold one size for each of the {len(strides)} feature maps, not {sizes!r}."
        )
    pairs = enumerate(zip(sizes, strides, strict=True), 1)
    anchors = [AnchorBoxes((size,), ratios, step, name=f"anchors{n}") for n, (size, step) in pairs]
    return images, features, anchors


def _check_strides(backbone: keras.Model, shape: tuple, strides: Sequence[int]) -> None:
    """Raises an error if the backbone's feature maps have other strides."""
    # If the image size is not fixed, measure the stride on a large one.
    height, width, channels = shape
    height, width = height or 64 * max(strides), width or 64 * max(strides)
    features = backbone.compute_output_spec(keras.KerasTensor((1, height, width, channels)))
    for stride, feature in zip(strides, keras.tree.flatten(features), strict=True):
        rows = feature.shape[1]
        # Convolutions without padding give a few positions fewer.
        if abs(rows - height / stride) > max(1, height / stride / 8):
            raise ValueError(
                f"stride must be the backbone's, about {height / rows:.0f} pixels, not {stride}."
            )


def propose(images, features, filters: int, anchors, proposals) -> dict:
    """Returns the outputs of a region proposal network on feature maps.

    Args:
        images: Symbolic images; only their size is used.
        features: List of symbolic feature maps of the images, all with the same channels.
        filters: Channels of the 3x3 convolution.
        anchors: List of the maps' `AnchorBoxes` layers.
        proposals: The `RegionProposals` layer.

    Returns:
        Symbolic outputs by name, as `region_proposal_network` returns them.

    Raises:
        ValueError: If `filters` is not an integer of at least 1.
    """
    check_integers(filters=filters)
    anchors_per_position = len(anchors[0].sizes) * len(anchors[0].ratios)
    convolution = layers.Conv2D(
        filters, 3, padding="same", activation="relu", kernel_initializer=gaussian(0.01), name="rpn"
    )
    score_map = layers.Conv2D(
        anchors_per_position, 1, kernel_initializer=gaussian(0.01), name="objectness"
    )
    delta_map = layers.Conv2D(
        4 * anchors_per_position, 1, kernel_initializer=gaussian(0.01), name="anchor_deltas"
    )
    scores, deltas, boxes = [], [], []
    for level, (feature, layer) in enumerate(zip(features, anchors, strict=True), 1):
        suffix = "" if len(features) == 1 else str(level)
        x = convolution(feature)
        by_anchor = layers.Reshape((-1,), name=f"objectness_by_anchor{suffix}")
        scores.append(by_anchor(score_map(x)))
        by_anchor = layers.Reshape((-1, 4), name=f"deltas_by_anchor{suffix}")
        deltas.append(by_anchor(delta_map(x)))
        boxes.append(layer(feature))
    scores, deltas, boxes = _joined(scores, 1), _joined(deltas, 1), _joined(boxes, 0)
    selected = proposals(scores, deltas, boxes, images)
    return {
        "objectness": scores,
        "anchor_deltas": deltas,
        # With a batch axis, so that the outputs of several batches can be concatenated.
        "anchors": ops.zeros_like(deltas, "float32") + boxes,
        "proposals": selected["boxes"],
        "proposal_scores": selected["scores"],
    }


def _joined(parts: list, axis: int):
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=axis)


def gaussian(deviation: float) -> keras.initializers.Initializer:
    """Returns the paper's initializer of new layers, a normal distribution with mean 0.

    Args:
        deviation: Standard deviation.

    Returns:
        A new initializer.
    """
    return keras.initializers.RandomNormal(stddev=deviation)


def _vgg16() -> keras.Model:
    """Builds VGG-16's convolutions, without the last pooling, for images of any size."""
    model = vgg(16, input_shape=(None, None, 3), include_top=False)
    return keras.Model(model.input, model.get_layer("relu5_3").output, name="vgg16")
