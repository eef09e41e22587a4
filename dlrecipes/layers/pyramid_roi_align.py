"""Features of regions of any size, from the level of a feature pyramid that suits the size."""

from collections.abc import Sequence

import keras
from keras import ops

from dlrecipes.layers._arguments import number, shaped
from dlrecipes.layers.roi_align import RoIAlign


@keras.saving.register_keras_serializable(package="dlrecipes")
class PyramidRoIAlign(keras.layers.Layer):
    """Resamples each region of a feature pyramid to a small map, from one level.

    A region of width `w` and height `h` takes its features from the coarsest level whose stride is
    at most `16 * sqrt(w * h) / canonical_size`, and from the finest level if there is none. With
    strides of powers of two this is equation 1 of the paper, which assigns a region of 224 pixels
    to the level of stride 16. `RoIAlign` resamples it.

    All levels are computed for all regions, because shapes are static: the finest level takes most
    of the time. Coordinates are computed in float32 under any dtype policy. Training and inference
    behave the same.

    Args:
        strides: Pixels between neighbouring positions of each level, finest first. Defaults to
            `(4, 8, 16, 32)`.
        output_size: Height and width of the map of each region, at least 1. Defaults to 7.
        sampling_ratio: Points per bin and axis, as in `RoIAlign`. Defaults to 2.
        canonical_size: Size of the regions that belong to the stride of 16, in pixels, above 0.
            Defaults to 224.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: List of feature maps of shape `(batch, height, width, channels)`, in the order of
            the strides, all with the same channels.
        rois: Boxes `(left, top, right, bottom)` in pixels of the image, of shape
            `(batch, rois, 4)`.

    Returns:
        Features of shape `(batch, rois, output_size, output_size, channels)`.

    Raises:
        ValueError: If `strides` are not increasing numbers above 0, or another argument is out of
            bounds, or the inputs have other shapes.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import PyramidRoIAlign
    >>> features = [keras.ops.ones((1, 8, 8, 1)), keras.ops.zeros((1, 4, 4, 1))]
    >>> layer = PyramidRoIAlign(strides=(8, 16), output_size=1)
    >>> y = layer(features, keras.ops.array([[[0.0, 0.0, 60.0, 60.0], [-99.0, 0.0, 200.0, 200.0]]]))
    >>> keras.ops.convert_to_numpy(y).ravel().tolist()
    [1.0, 0.0]

    Reference:
        Lin, Dollár, Girshick, He, Hariharan and Belongie, 2017, "Feature pyramid networks for
        object detection", equation 1. https://arxiv.org/abs/1612.03144
    """

    def __init__(
        self,
        strides: Sequence[int] = (4, 8, 16, 32),
        output_size: int = 7,
        sampling_ratio: int | None = 2,
        canonical_size: float = 224,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(strides, tuple | list) or not strides:
            raise ValueError(f"strides must be one or more numbers above 0, not {strides!r}.")
        for before, stride in zip((0, *strides), strides, strict=False):
            expected = "increasing numbers above 0, finest first"
            number("strides", stride, expected, lambda x, least=before: x > least)
        number("canonical_size", canonical_size, "above 0", lambda x: x > 0)
        self.strides = strides
        self.output_size = output_size
        self.sampling_ratio = sampling_ratio
        self.canonical_size = canonical_size
        self.autocast = False
        self._aligns = [
            RoIAlign(output_size, sampling_ratio, 1 / stride, dtype=self.dtype_policy)
            for stride in strides
        ]

    def build(self, features_shape, rois_shape):
        self._check(features_shape, rois_shape)
        # No layer has weights; building marks them as built.
        for align, shape in zip(self._aligns, features_shape, strict=True):
            align.build(shape)

    def call(self, features, rois):
        self._check([x.shape for x in features], rois.shape)
        rois = ops.cast(rois, "float32")
        left, top, right, bottom = ops.unstack(rois, 4, axis=-1)
        size = ops.sqrt(ops.maximum(right - left, 0.0) * ops.maximum(bottom - top, 0.0))
        stride = 16.0 / self.canonical_size * size
        outputs = 0.0
        for level, (align, x) in enumerate(zip(self._aligns, features, strict=True)):
            own = stride >= 0 if level == 0 else stride >= self.strides[level]
            if level + 1 < len(features):
                own = ops.logical_and(own, stride < self.strides[level + 1])
            own = ops.cast(own, self.compute_dtype)[..., None, None, None]
            outputs += own * align(x, rois)
        return outputs

    def compute_output_shape(self, features_shape, rois_shape):
        self._check(features_shape, rois_shape)
        return (*rois_shape[:2], self.output_size, self.output_size, features_shape[0][-1])

    def get_config(self):
        return {
            **super().get_config(),
            "strides": self.strides,
            "output_size": self.output_size,
            "sampling_ratio": self.sampling_ratio,
            "canonical_size": self.canonical_size,
        }

    def _check(self, features_shape, rois_shape):
        if len(features_shape) != len(self.strides):
            raise ValueError(
                f"features must be {len(self.strides)} maps, one for each stride, "
                f"not {len(features_shape)}."
            )
        for shape in features_shape:
            shaped("features", shape, "batch", "height", "width", features_shape[0][-1])
        shaped("rois", rois_shape, "batch", "rois", 4)
