"""Reference boxes of several sizes and shapes at each position of a feature map."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class AnchorBoxes(keras.layers.Layer):
    """Returns the anchor boxes of a detector: several at each position of a feature map.

    A box is `(left, top, right, bottom)` in pixels of the image, Keras' `"xyxy"`, and pixel `i`
    extends from `i` to `i + 1`. The anchors of row `i` and column `j` are centred on
    `((j + 0.5) * stride, (i + 0.5) * stride)`. An anchor of size `s` and ratio `r` is `s / sqrt(r)`
    wide and `s * sqrt(r)` high, so that each covers `s * s` pixels. Anchors are ordered by row,
    then column, then size, then ratio. They may extend beyond the image.

    Only the height and width of the feature map are read, never its values. Boxes are float32 under
    any dtype policy, since bfloat16 cannot represent both 1000 and 1001. Training and inference
    behave the same.

    Args:
        sizes: Square roots of the anchors' areas, in pixels, each above 0. Defaults to
            `(128, 256, 512)`.
        ratios: Height divided by width of the anchors, each above 0. Defaults to `(0.5, 1, 2)`.
        stride: Distance between neighbouring positions, in pixels of the image, above 0. Defaults
            to 16.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: Feature map of shape `(batch, height, width, channels)`; any size may be unknown.

    Returns:
        Boxes of shape `(height * width * len(sizes) * len(ratios), 4)`, without a batch axis, since
        they are the same for each image.

    Raises:
        ValueError: If `sizes` or `ratios` is empty, or a value is not above 0.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import AnchorBoxes
    >>> layer = AnchorBoxes(sizes=(16,), ratios=(0.25, 1), stride=8)
    >>> keras.ops.convert_to_numpy(layer(keras.ops.zeros((1, 1, 1, 3)))).tolist()
    [[-12.0, 0.0, 20.0, 8.0], [-4.0, -4.0, 12.0, 12.0]]

    Reference:
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", section 3.1.1; sizes and ratios of section 3.3.
        https://arxiv.org/abs/1506.01497
    """

    def __init__(
        self,
        sizes: Sequence[float] = (128, 256, 512),
        ratios: Sequence[float] = (0.5, 1, 2),
        stride: float = 16,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, values in {"sizes": sizes, "ratios": ratios, "stride": [stride]}.items():
            if len(np.shape(values)) != 1 or not len(values):
                raise ValueError(f"{name} must be one or more numbers above 0, not {values!r}.")
            for value in values:
                number(name, value, "above 0", lambda x: 0 < x < float("inf"))
        self.sizes = sizes
        self.ratios = ratios
        self.stride = stride
        self.autocast = False

    def call(self, features):
        height, width = ops.shape(features)[1:3]
        x = (ops.arange(width, dtype="float32") + 0.5) * self.stride
        y = (ops.arange(height, dtype="float32") + 0.5) * self.stride
        x, y = ops.meshgrid(x, y)
        centres = ops.stack([x, y, x, y], axis=-1)
        boxes = ops.expand_dims(centres, 2) + self._around_the_origin()
        return ops.reshape(boxes, (-1, 4))

    def compute_output_spec(self, features):
        return keras.KerasTensor(self.compute_output_shape(features.shape), "float32")

    def compute_output_shape(self, input_shape):
        height, width = input_shape[1:3]
        known = height is not None and width is not None
        per_position = len(self.sizes) * len(self.ratios)
        return (height * width * per_position if known else None, 4)

    def get_config(self):
        return {
            **super().get_config(),
            "sizes": self.sizes,
            "ratios": self.ratios,
            "stride": self.stride,
        }

    def _around_the_origin(self):
        sizes, roots = np.asarray(self.sizes, float)[:, None], np.sqrt(self.ratios)
        half = np.stack([sizes / roots, sizes * roots], axis=-1).reshape(-1, 2) / 2
        return np.concatenate([-half, half], axis=-1).astype("float32")
