"""Boxes as deltas from anchors, and back."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops
from keras.utils import bounding_boxes

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class BoxCoder(keras.layers.Layer):
    """Turns the deltas that a detector predicts into boxes, and boxes into deltas.

    With `x, y` the centre and `w, h` the size of a box, and `x_a, y_a, w_a, h_a` those of
    its anchor, the deltas are

        t_x = (x - x_a) / w_a / d_x    t_w = log(w / w_a) / d_w
        t_y = (y - y_a) / h_a / d_y    t_h = log(h / h_a) / d_h

    Calling the layer decodes deltas; `encode` computes those of given boxes. The arithmetic
    is Keras' own (`keras.utils.bounding_boxes`); the layer keeps the deviations in one place,
    bounds what an untrained network would blow up to infinity, cuts boxes off at the
    image's edges and computes in float32 whatever the dtype policy.

    Boxes are `(left, top, right, bottom)` in pixels, Keras' `"xyxy"`. Leading axes of anchors
    and deltas are broadcast. Training and inference do the same.

    Args:
        deviations: The `d_x, d_y, d_w, d_h` that deltas are divided by, each above 0: their
            standard deviations, so that those that the network predicts have deviation 1. Fast
            R-CNN's last stage uses `(0.1, 0.1, 0.2, 0.2)`.
        max_ratio: How many times as wide or high as its anchor a decoded box can be, above 0.

    Call arguments:
        deltas: Offsets `t_x, t_y, t_w, t_h` of shape `(..., 4)`.
        anchors: Boxes of shape `(..., 4)` that the deltas are relative to.
        image: A tensor of shape `(batch, height, width, channels)`, or `None`: boxes are cut
            off at `height` and `width`. Its values are not read.

    Returns:
        Boxes of shape `(..., 4)`, float32.

    Raises:
        ValueError: If `deviations` are not four numbers above 0, or `max_ratio` is not above 0.

    Example:

    >>> coder, anchor = BoxCoder(), keras.ops.array([[0.0, 0.0, 10.0, 20.0]])
    >>> box = coder(keras.ops.array([[0.5, 0.0, 0.0, 0.0]]), anchor)
    >>> keras.ops.convert_to_numpy(box).tolist()
    [[5.0, 0.0, 15.0, 20.0]]
    >>> keras.ops.convert_to_numpy(coder.encode(box, anchor)).tolist()
    [[0.5, 0.0, 0.0, 0.0]]

    Reference:
        Girshick, Donahue, Darrell and Malik, 2014, "Rich feature hierarchies for accurate
        object detection and semantic segmentation", appendix C.
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", equation 2.
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
        """Returns the boxes that the deltas stand for."""
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
        # Keras' own clip_to_image_size asks for labels too before Keras 3.14.
        ends = ops.cast(ops.stack([width, height, width, height]), "float32")
        return ops.minimum(ops.maximum(boxes, 0.0), ends)

    def encode(self, boxes, anchors):
        """Computes the deltas of boxes from their anchors.

        Args:
            boxes: Boxes of shape `(..., 4)`; sides below 1e-7 count as that long.
            anchors: Boxes of shape `(..., 4)`, likewise.

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
        """Returns the boxes' shape and dtype."""
        shape = self.compute_output_shape(deltas.shape, anchors.shape)
        return keras.KerasTensor(shape, "float32")

    def compute_output_shape(self, deltas_shape, anchors_shape, image_shape=None):
        """Returns the shape that deltas and anchors broadcast to."""
        one, other = keras.KerasTensor(deltas_shape), keras.KerasTensor(anchors_shape)
        return tuple(ops.add(one, other).shape)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "deviations": self.deviations,
            "max_ratio": self.max_ratio,
        }
