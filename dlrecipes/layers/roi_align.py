"""Features of regions of any size, at a fixed size."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer, number, shaped


@keras.saving.register_keras_serializable(package="dlrecipes")
class RoIAlign(keras.layers.Layer):
    """Reads each region of a feature map into a small map of fixed size, without rounding.

    A region is divided into `output_size` by `output_size` bins. The feature map is
    interpolated bilinearly at `sampling_ratio` by `sampling_ratio` regular points of each
    bin, and the bin is their average. Nothing is rounded to whole positions, as it is in RoI
    pooling: a region that is moved by a fraction of a position changes its features
    accordingly.

    Regions are boxes `(left, top, right, bottom)`, Keras' `"xyxy"`, in pixels of the image.
    Position `i` of the feature map stands for the image around `(i + 0.5) / spatial_scale`,
    as in `AnchorBoxes`. Points outside the centres of the outermost positions take the
    value at the edge.

    The average of regular bilinear samples is a product with one small matrix for the rows and
    one for the columns, and is computed as such: no gathering, and exact gradients
    to features and regions by two matrix products. channels_last only. Features have the
    layer's compute dtype; places are computed in float32. Training and inference do the same.

    Args:
        output_size: Height and width of what is read from a region, at least 1.
        sampling_ratio: Points a bin and axis, at least 1.
        spatial_scale: Positions of the feature map a pixel of the image, above 0: 1 / stride.

    Call arguments:
        features: Feature maps of shape `(batch, height, width, channels)`; batch, height and
            width may be unknown.
        rois: Boxes of shape `(batch, rois, 4)`, those of each image of the batch.

    Returns:
        Features of shape `(batch, rois, output_size, output_size, channels)`.

    Raises:
        ValueError: If `output_size` or `sampling_ratio` is not an integer of at least 1, or
            `spatial_scale` is not above 0, or the inputs have other shapes.

    Example:

    >>> features = keras.ops.reshape(keras.ops.arange(16.0), (1, 4, 4, 1))
    >>> layer = RoIAlign(output_size=2, sampling_ratio=1, spatial_scale=1.0)
    >>> y = layer(features, keras.ops.array([[[0.0, 0.0, 4.0, 4.0]]]))
    >>> keras.ops.convert_to_numpy(y)[0, 0, ..., 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]

    Reference:
        He, Gkioxari, Dollár and Girshick, 2017, "Mask R-CNN", section 3, "RoIAlign". The
        half position between a pixel's index and its centre is corrected for, as later
        implementations do.
    """

    def __init__(
        self,
        output_size: int = 7,
        sampling_ratio: int = 2,
        spatial_scale: float = 1 / 16,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in {"output_size": output_size, "sampling_ratio": sampling_ratio}.items():
            integer(name, value)
        number("spatial_scale", spatial_scale, "above 0", lambda x: x > 0)
        self.output_size = output_size
        self.sampling_ratio = sampling_ratio
        self.spatial_scale = spatial_scale
        # Rounded to bfloat16, boxes would move by pixels.
        self.autocast = False

    def call(self, features, rois):
        """Returns the features of each region."""
        _check(features.shape, rois.shape)
        features = ops.cast(features, self.compute_dtype)
        rois = ops.cast(rois, "float32") * self.spatial_scale - 0.5
        batch, height, width, _ = ops.shape(features)
        regions, channels, size = ops.shape(rois)[1], features.shape[-1], self.output_size
        left, top, right, bottom = ops.split(rois, 4, axis=-1)
        rows = ops.reshape(self._weights(top, bottom, height), (batch, regions * size, height))
        columns = ops.reshape(self._weights(left, right, width), (batch * regions, 1, size, width))
        x = ops.matmul(rows, ops.reshape(features, (batch, height, width * channels)))
        x = ops.matmul(columns, ops.reshape(x, (batch * regions, size, width, channels)))
        return ops.reshape(x, (batch, regions, size, size, channels))

    def compute_output_shape(self, features_shape, rois_shape):
        """Returns a small map's shape for each region."""
        _check(features_shape, rois_shape)
        return (*rois_shape[:2], self.output_size, self.output_size, features_shape[-1])

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "sampling_ratio": self.sampling_ratio,
            "spatial_scale": self.spatial_scale,
        }

    def _weights(self, start, end, size):
        """Returns how much each position counts in each bin: (batch, rois, output_size, size)."""
        position = ops.arange(size, dtype="float32")
        bins = ops.arange(self.output_size, dtype="float32")
        total = 0.0
        for sample in range(self.sampling_ratio):
            part = (bins + (sample + 0.5) / self.sampling_ratio) / self.output_size
            point = ops.maximum(start + (end - start) * part, 0.0)
            point = ops.minimum(point, ops.cast(size - 1, "float32"))
            distance = ops.abs(ops.expand_dims(point, -1) - position)
            total += ops.maximum(1.0 - distance, 0.0)
        return ops.cast(total / self.sampling_ratio, self.compute_dtype)


def _check(features_shape, rois_shape):
    shaped("features", features_shape, "batch", "height", "width", "channels")
    shaped("rois", rois_shape, "batch", "rois", 4)
