"""Networks that say where in an image there is an object."""

from collections.abc import Sequence

import keras
from keras import layers, ops

from dlrecipes.layers import AnchorBoxes, RegionProposals
from dlrecipes.models._arguments import integers, several_above_zero
from dlrecipes.models.images import channels_last
from dlrecipes.models.vgg import vgg


@channels_last
def region_proposal_network(
    backbone: keras.Model | str = "vgg16",
    sizes: Sequence[float] = (128, 256, 512),
    ratios: Sequence[float] = (0.5, 1, 2),
    stride: int = 16,
    filters: int = 512,
    num_proposals: int = 300,
    max_candidates: int = 6000,
    iou_threshold: float = 0.7,
    min_size: float = 16,
    name: str = "region_proposal_network",
) -> keras.Model:
    """Builds a network that says where in an image there is an object, of whatever kind.

    A 3x3 convolution slides over the backbone's feature map. At each position two 1x1
    convolutions tell, for each anchor there, whether it holds an object and how to bend it
    towards that object. The best of the boxes are the proposals; they are constants to the
    gradient. Boxes are `(left, top, right, bottom)` in pixels, Keras' `"xyxy"`.

    The paper scores each anchor by a softmax over two logits; here a logistic unit does, the
    alternative that its section 3.1 names, of half the outputs. Anchors that cross the image's
    edge are part of the output: a training loop leaves them out, as the paper does. The
    batch's images have one size.

    Args:
        backbone: `"vgg16"`, for VGG-16 up to its 13th convolution, newly initialised; or a
            `keras.Model` from an image to a feature map, channels last.
        sizes: Square roots of the anchors' areas, in pixels.
        ratios: Height over width of the anchors.
        stride: Pixels from one position of the feature map to the next, at least 1.
        filters: Channels of the 3x3 convolution, at least 1.
        num_proposals: Proposals for each image; the paper tests with 300 and trains with 2000.
        max_candidates: Anchors with the highest scores that suppression considers; the
            authors test with 6000 and train with 12000.
        iou_threshold: Overlap above which the lower of two proposals is dropped, in [0, 1].
        min_size: Shortest side of a proposal, in pixels.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)`, with the backbone's sizes, `None` for `"vgg16"`.
        Outputs: a dictionary of

        - `objectness`, logits of shape `(batch, anchors)`, where there are
          `len(sizes) * len(ratios)` anchors at each position of the feature map;
        - `anchor_deltas`, as `BoxCoder` reads them, of shape `(batch, anchors, 4)`;
        - `anchors`, the boxes that these are relative to, of shape `(batch, anchors, 4)`;
        - `proposals`, boxes by falling score, of shape `(batch, num_proposals, 4)`;
        - `proposal_scores`, probabilities of shape `(batch, num_proposals)`.

        The last two are 0 behind the last proposal.

    Raises:
        ValueError: If the backbone is unknown, gives no feature map or one of another stride,
            or another argument is out of its bounds.

    Example:

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
        region proposal networks", section 3.1.
    """
    several_above_zero(sizes=sizes, ratios=ratios)
    images, features = feature_map(backbone, stride)
    anchors = AnchorBoxes(sizes, ratios, stride, name="anchors")
    pick = RegionProposals(num_proposals, max_candidates, iou_threshold, min_size, name="proposals")
    return keras.Model(images, propose(images, features, filters, anchors, pick), name=name)


def feature_map(backbone: keras.Model | str, stride: int):
    """Returns the symbolic input `images`, and the feature map that a backbone makes of it.

    Args:
        backbone: `"vgg16"`, or a `keras.Model` from an image to a feature map.
        stride: Pixels from one position of the feature map to the next.

    Returns:
        Two symbolic tensors.

    Raises:
        ValueError: If the backbone is unknown, gives no feature map or one of another stride.
    """
    integers(stride=stride)
    if isinstance(backbone, str) and backbone == "vgg16":
        backbone = _vgg16()
    if not isinstance(backbone, keras.Model):
        raise ValueError(f"backbone must be 'vgg16' or a keras.Model, not {backbone!r}.")
    if len(getattr(backbone, "inputs", None) or ()) != 1:
        raise ValueError("backbone must be built, and read images alone.")
    images = keras.Input(backbone.inputs[0].shape[1:], name="images")
    features = backbone(images)
    if len(getattr(features, "shape", ())) != 4:
        raise ValueError("backbone must give one feature map, (batch, height, width, channels).")
    # With a height of its own, or else one large enough to see the stride in.
    height, width, channels = images.shape[1:]
    height, width = height or 64 * stride, width or 64 * stride
    found = backbone.compute_output_shape((1, height, width, channels))[1]
    # Borders that convolutions without padding cut off leave a few positions fewer.
    if abs(found - height / stride) > max(1, height / stride / 8):
        raise ValueError(
            f"stride must be the backbone's, about {height / found:.0f} pixels, not {stride}."
        )
    return images, features


def propose(images, features, filters: int, anchors, pick) -> dict:
    """Returns the outputs of a region proposal network on a feature map.

    Args:
        images: The symbolic images, for their size.
        features: Their symbolic feature map.
        filters: Channels of the 3x3 convolution.
        anchors: The `AnchorBoxes` layer.
        pick: The `RegionProposals` layer.

    Returns:
        Symbolic outputs by name, as `region_proposal_network` returns them.

    Raises:
        ValueError: If `filters` is not an integer of at least 1.
    """
    integers(filters=filters)
    each = len(anchors.sizes) * len(anchors.ratios)
    convolution = layers.Conv2D(
        filters, 3, padding="same", activation="relu", kernel_initializer=gaussian(0.01), name="rpn"
    )
    score = layers.Conv2D(each, 1, kernel_initializer=gaussian(0.01), name="objectness")
    bend = layers.Conv2D(4 * each, 1, kernel_initializer=gaussian(0.01), name="anchor_deltas")
    x = convolution(features)
    scores = layers.Reshape((-1,), name="objectness_by_anchor")(score(x))
    deltas = layers.Reshape((-1, 4), name="deltas_by_anchor")(bend(x))
    boxes = anchors(features)
    found = pick(scores, deltas, boxes, images)
    return {
        "objectness": scores,
        "anchor_deltas": deltas,
        # With a batch axis, so that the outputs of several batches can be joined.
        "anchors": ops.zeros_like(deltas, "float32") + boxes,
        "proposals": found["boxes"],
        "proposal_scores": found["scores"],
    }


def gaussian(deviation: float) -> keras.initializers.Initializer:
    """Returns the paper's initializer of new layers, a Gaussian about zero, drawn anew.

    Args:
        deviation: Its standard deviation.

    Returns:
        The initializer.
    """
    return keras.initializers.RandomNormal(stddev=deviation)


def _vgg16() -> keras.Model:
    """Builds VGG-16's convolutions, without the last pooling, for images of any size."""
    whole = vgg(16, input_shape=(None, None, 3), include_top=False)
    return keras.Model(whole.input, whole.get_layer("relu5_3").output, name="vgg16")
