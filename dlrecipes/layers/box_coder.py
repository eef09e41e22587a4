"""Conversion between boxes and their deltas from anchors."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops
from keras.utils import bounding_boxes

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class BoxCoder(keras.layers.Layer):
    """Converts the deltas that a detector predicts into boxes, and boxes into deltas.

    With `x, y` the centre and `w, h` the size of a box, and `x_a, y_a, w_a, h_a` those of its
    anchor, the deltas are

        t_x = (x - x_a) / w_a / d_x    t_w = log(w / w_a) / d_w
        t_y = (y - y_a) / h_a / d_y    t_h = log(h / h_a) / d_h

    Calling the layer decodes deltas; `encode` computes the deltas of boxes. The arithmetic is
    Keras' own (`keras.utils.bounding_boxes`). The layer keeps the deviations in one place, bounds
    the box sizes, which an untrained network could make infinite, clips boxes to the image and
    computes in float32 under any dtype policy.

    Boxes are `(left, top, right, bottom)` in pixels, Keras' `"xyxy"`. Leading axes of anchors and
    deltas are broadcast. Training and inference behave the same.

    Args:
        deviations: Divisors `d_x, d_y, d_w, d_h` of the deltas, each above 0: their standard
            deviations, so that the network's targets have deviation 1. Fast R-CNN's last stage uses
            `(0.1, 0.1, 0.2, 0.2)`. Defaults to `(1.0, 1.0, 1.0, 1.0)`.
        max_ratio: Largest width or height of a decoded box divided by its anchor's, above 0.
            Defaults to 62.5.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        deltas: Offsets `t_x, t_y, t_w, t_h` of shape `(..., 4)`.
        anchors: Boxes of shape `(..., 4)` that the deltas are relative to.
        image: Tensor of shape `(batch, height, width, channels)` to whose size boxes are clipped,
            or `None` not to clip. Its values are not read. Defaults to `None`.

    Returns:
        Boxes of shape `(..., 4)`, float32.

    Raises:
        ValueError: If `deviations` are not four numbers above 0, or `max_ratio` is not above 0.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import BoxCoder
    >>> coder, anchor = BoxCoder(), keras.ops.array([[0.0, 0.0, 10.0, 20.0]])
    >>> box = coder(keras.ops.array([[0.5, 0.0, 0.0, 0.0]]), anchor)
    >>> keras.ops.convert_to_numpy(box).tolist()
    [[5.0, 0.0, 15.0, 20.0]]
    >>> keras.ops.convert_to_numpy(coder.encode(box, anchor)).tolist()
    [[0.5, 0.0, 0.0, 0.0]]

    Reference:
        Girshick, Donahue, Darrell and Malik, 2014, "Rich feature hierarchies for accurate object
        detection and semantic segmentation", appendix C. https://arxiv.org/abs/1311.2524
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", equation 2. https://arxiv.org/abs/1506.01497
    """

    def __init__(
        self,
        deviations: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        max_ratio: float = 1000 / 16,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if np.shape(deviations) != (4,):
            raise ValueError(f"deviations must be four numbers above 0, not {deviations!r}.")
        for deviation in deviations:
            number("deviations", deviation, "four numbers above 0", lambda x: x > 0)
        number("max_ratio", max_ratio, "above 0", lambda x: x > 0)
        self.deviations = deviations
        self.max_ratio = max_ratio
        self.autocast = False

    def call(self, deltas, anchors, image=None):
        scaled = ops.cast(deltas, "float32") * np.asarray(self.deviations, "float32")
        bound = np.array([math.inf, math.inf, *2 * [math.log(self.max_ratio)]], "float32")
        boxes = bounding_boxes.decode_deltas_to_boxes(
            ops.cast(anchors, "float32"),
            ops.minimum(scaled, bound),
            anchor_format="xyxy",
            box_format="xyxy",
            encoded_format="center_xywh",
        )
        if image is None:
            return boxes
        height, width = ops.shape(image)[1:3]
        # Before Keras 3.14, its own clip_to_image_size also requires labels.
        ends = ops.cast(ops.stack([width, height, width, height]), "float32")
        return ops.minimum(ops.maximum(boxes, 0.0), ends)

    def encode(self, boxes, anchors):
        """Computes the deltas of boxes from their anchors.

        Args:
            boxes: Boxes of shape `(..., 4)`; shorter sides than 1e-7 are computed as 1e-7.
            anchors: Boxes of shape `(..., 4)`, with the same lower bound.

        Returns:
            Offsets of shape `(..., 4)`, float32.
        """
        return bounding_boxes.encode_box_to_deltas(
            ops.cast(anchors, "float32"),
            ops.cast(boxes, "float32"),
            anchor_format="xyxy",
            box_format="xyxy",
            encoding_format="center_xywh",
            variance=self.deviations,
        )

    def compute_output_spec(self, deltas, anchors, image=None):
        shape = self.compute_output_shape(deltas.shape, anchors.shape)
        return keras.KerasTensor(shape, "float32")

    def compute_output_shape(self, deltas_shape, anchors_shape, image_shape=None):
        deltas, anchors = keras.KerasTensor(deltas_shape), keras.KerasTensor(anchors_shape)
        return tuple(ops.add(deltas, anchors).shape)

    def get_config(self):
        return {
            **super().get_config(),
            "deviations": self.deviations,
            "max_ratio": self.max_ratio,
        }
