"""Features of regions of any size, from the level of a feature pyramid that suits the size."""

import functools
from collections.abc import Sequence

import keras
from keras import ops

from dlrecipes.layers._arguments import integer, number, shaped
from dlrecipes.layers._bilinear_bins import bin_averages


@keras.saving.register_keras_serializable(package="dlrecipes")
class PyramidRoIAlign(keras.layers.Layer):
    """Resamples each region of a feature pyramid to a small map, from one level.

    A region of width `w` and height `h` takes its features from the coarsest level whose stride is
    at most `16 * sqrt(w * h) / canonical_size`, and from the finest level if there is none. With
    strides of powers of two this is equation 1 of the paper, which assigns a region of 224 pixels
    to the level of stride 16. It is resampled as by `RoIAlign`.

    All levels are put next to each other in one map, so that each region is resampled once, with
    static shapes. Features have the layer's compute dtype; coordinates are computed in float32.
    Training and inference behave the same.

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
        integer("output_size", output_size)
        if sampling_ratio is not None:
            integer("sampling_ratio", sampling_ratio, least=0)
        number("canonical_size", canonical_size, "above 0", lambda x: x > 0)
        self.strides = strides
        self.output_size = output_size
        self.sampling_ratio = sampling_ratio
        self.canonical_size = canonical_size
        # Rounding to bfloat16 would move boxes by pixels.
        self.autocast = False

    def call(self, features, rois):
        self._check([x.shape for x in features], rois.shape)
        rois = ops.cast(rois, "float32")
        features, parts = _side_by_side([ops.cast(x, self.compute_dtype) for x in features])
        levels = self._levels(rois)
        scales = ops.convert_to_tensor([[1 / stride] for stride in self.strides], "float32")
        rois = rois * ops.take(scales, levels, axis=0) - 0.5
        parts = ops.take(parts, levels, axis=0)
        return bin_averages(features, rois, self.output_size, self.sampling_ratio, parts)

    def _levels(self, rois):
        """Returns the number of each region's level, from 0: (batch, rois)."""
        left, top, right, bottom = ops.unstack(rois, 4, axis=-1)
        size = ops.sqrt(ops.maximum(right - left, 0.0) * ops.maximum(bottom - top, 0.0))
        stride = 16.0 / self.canonical_size * size
        levels = ops.zeros_like(stride, "int32")
        for coarser in self.strides[1:]:
            levels += ops.cast(stride >= coarser, "int32")
        return levels

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


def _side_by_side(features):
    """Returns one map that holds all levels, and the part of the map that each level takes.

    The finest level is above the others, which stand in a row, as in a mipmap: with twice the
    stride from level to level, that is half as large again as the finest level.

    Args:
        features: Feature maps of shape `(batch, height, width, channels)`, finest first.

    Returns:
        A map of shape `(batch, rows, columns, channels)`, 0 between the levels, and
        `(left, top, width, height)` of each level, float32 of shape `(levels, 4)`.
    """
    (height, width), *coarser = [ops.shape(x)[1:3] for x in features]
    parts, below = [(0, 0, width, height)], 0
    for rows, columns in coarser:
        parts.append((below, height, columns, rows))
        below += columns
    width = _larger(width, below)
    levels = [_padded(features[0], height, width)]
    if coarser:
        rows = functools.reduce(_larger, [rows for rows, _ in coarser])
        lower = zip(features[1:], coarser, strict=True)
        lower = [_padded(x, rows, columns) for x, (_, columns) in lower]
        levels.append(_padded(ops.concatenate(lower, axis=2), rows, width))
    parts = ops.stack([ops.stack([ops.cast(n, "float32") for n in part]) for part in parts])
    return ops.concatenate(levels, axis=1), parts


def _larger(a, b):
    """Returns the larger of two sizes, each a number, or a tensor where it is unknown."""
    return max(a, b) if isinstance(a, int) and isinstance(b, int) else ops.maximum(a, b)


def _padded(x, height, width):
    """Returns a map with zeros below and to its right."""
    below, right = height - ops.shape(x)[1], width - ops.shape(x)[2]
    if isinstance(below, int) and isinstance(right, int) and not below + right:
        return x
    return ops.pad(x, [[0, 0], [0, below], [0, right], [0, 0]])
