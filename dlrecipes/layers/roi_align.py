"""Features of regions of any size, resampled to a fixed size."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer, number, shaped
from dlrecipes.layers._bilinear_bins import bin_averages


@keras.saving.register_keras_serializable(package="dlrecipes")
class RoIAlign(keras.layers.Layer):
    """Resamples each region of a feature map to a small map of fixed size, without rounding.

    A region is divided into `output_size` by `output_size` bins. The feature map is interpolated
    bilinearly at a regular grid of `sampling_ratio` by `sampling_ratio` points in each bin, and the
    bin is their average. With a `sampling_ratio` of 0, the number of points adapts to the region:
    they are at most one position apart. Unlike RoI pooling, the layer never rounds to whole
    positions: a region that moves by a fraction of a position changes its features accordingly.

    Regions are boxes `(left, top, right, bottom)`, Keras' `"xyxy"`, in pixels of the image.
    Position `i` of the feature map corresponds to `(i + 0.5) / spatial_scale` in the image, as in
    `AnchorBoxes`. Points beyond the centres of the outermost positions take the value at the edge.

    The average of regular bilinear samples is a product with one small matrix for the rows and one
    for the columns, and is computed that way: without gathering, and with exact gradients to
    features and regions from two matrix products. Channels are the last axis. Features have the
    layer's compute dtype; coordinates are computed in float32. Training and inference behave the
    same.

    Args:
        output_size: Height and width of the map of each region, at least 1. Defaults to 7.
        sampling_ratio: Points per bin and axis, at least 1. With 0 or `None`, each region has
            `ceil(size / output_size)` of them along each axis, where `size` is its extent in
            positions, and at least 1, as with a `sampling_ratio` of -1 in torchvision. Defaults
            to 2.
        spatial_scale: Positions of the feature map per pixel of the image, above 0: 1 / stride.
            Defaults to 1 / 16.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: Feature maps of shape `(batch, height, width, channels)`; batch, height and width
            may be unknown.
        rois: Boxes of each image, of shape `(batch, rois, 4)`.

    Returns:
        Features of shape `(batch, rois, output_size, output_size, channels)`.

    Raises:
        ValueError: If `output_size` is not an integer of at least 1, `sampling_ratio` is not an
            integer of at least 0, `spatial_scale` is not above 0, or the inputs have other shapes.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import RoIAlign
    >>> features = keras.ops.reshape(keras.ops.arange(16.0), (1, 4, 4, 1))
    >>> layer = RoIAlign(output_size=2, sampling_ratio=1, spatial_scale=1.0)
    >>> y = layer(features, keras.ops.array([[[0.0, 0.0, 4.0, 4.0]]]))
    >>> keras.ops.convert_to_numpy(y)[0, 0, ..., 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]

    Reference:
        He, Gkioxari, Dollár and Girshick, 2017, "Mask R-CNN", section 3, "RoIAlign". The half
        position between a pixel's index and its centre is corrected for, as later implementations
        do. https://arxiv.org/abs/1703.06870
    """

    def __init__(
        self,
        output_size: int = 7,
        sampling_ratio: int | None = 2,
        spatial_scale: float = 1 / 16,
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("output_size", output_size)
        if sampling_ratio is not None:
            integer("sampling_ratio", sampling_ratio, least=0)
        number("spatial_scale", spatial_scale, "above 0", lambda x: x > 0)
        self.output_size = output_size
        self.sampling_ratio = sampling_ratio
        self.spatial_scale = spatial_scale
        # Rounding to bfloat16 would move boxes by pixels.
        self.autocast = False

    def call(self, features, rois):
        _check(features.shape, rois.shape)
        features = ops.cast(features, self.compute_dtype)
        rois = ops.cast(rois, "float32") * self.spatial_scale - 0.5
        return bin_averages(features, rois, self.output_size, self.sampling_ratio)

    def compute_output_shape(self, features_shape, rois_shape):
        _check(features_shape, rois_shape)
        return (*rois_shape[:2], self.output_size, self.output_size, features_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "sampling_ratio": self.sampling_ratio,
            "spatial_scale": self.spatial_scale,
        }


def _check(features_shape, rois_shape):
    shaped("features", features_shape, "batch", "height", "width", "channels")
    shaped("rois", rois_shape, "batch", "rois", 4)
