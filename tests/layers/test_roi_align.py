import keras
import numpy as np
import pytest
from contract import gradients_of

from dlrecipes.layers import RoIAlign

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, 5, 7, 3)).astype("float32")
# In pixels at a stride of 4: inside, narrow, extending beyond the image, without area.
ROIS = np.array(
    [
        [[2, 3, 17, 12], [9.5, 1, 10.25, 19], [-6, -3, 40, 9], [8, 8, 8, 8]],
        [[0, 0, 28, 20], [5, 6, 7, 8], [20, 15, 60, 50], [3, 16, 22, 17]],
    ],
    "float32",
)


def bilinear(image, y, x):
    """One bilinear sample at a point in units of positions, clipped to the edge."""
    height, width = image.shape[:2]
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    y0, x0 = int(np.floor(y)), int(np.floor(x))
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    upper = image[y0, x0] * (x0 + 1 - x) + image[y0, x1] * (x - x0)
    lower = image[y1, x0] * (x0 + 1 - x) + image[y1, x1] * (x - x0)
    return upper * (y0 + 1 - y) + lower * (y - y0)


def by_hand(features, rois, size, ratio, scale):
    out = np.zeros((*rois.shape[:2], size, size, features.shape[-1]))
    for b, n, row, column in np.ndindex(*out.shape[:4]):
        left, top, right, bottom = rois[b, n].astype("float64") * scale
        high, wide = (bottom - top) / size, (right - left) / size
        # torchvision's rule; a region without area has one point.
        rows, columns = (ratio or max(1, int(np.ceil(bin_size))) for bin_size in (high, wide))
        for i in range(rows):
            for j in range(columns):
                y = top + (row + (i + 0.5) / rows) * high
                x = left + (column + (j + 0.5) / columns) * wide
                # Position 0 has its centre at 0.5.
                out[b, n, row, column] += bilinear(features[b], y - 0.5, x - 0.5) / rows / columns
    return out


@pytest.mark.parametrize(
    "size, sampling", [(1, 1), (2, 3), (7, 2), (1, 0), (2, 0), (3, None), (7, 0)]
)
def test_features_equal_a_loop_over_bins_and_samples(size, sampling):
    y = keras.ops.convert_to_numpy(RoIAlign(size, sampling, 1 / 4)(FEATURES, ROIS))
    np.testing.assert_allclose(y, by_hand(FEATURES, ROIS, size, sampling, 1 / 4), atol=1e-5)


def test_a_region_of_whole_positions_is_copied():
    rois = np.array([[[2, 1, 5, 4]]], "float32")
    y = keras.ops.convert_to_numpy(RoIAlign(3, 1, 1.0)(FEATURES[:1], rois))
    np.testing.assert_allclose(y[0, 0], FEATURES[0, 1:4, 2:5], atol=1e-6)


def test_a_fractional_shift_of_a_region_shifts_its_features():
    # On a ramp of 1 per position, features equal the coordinates.
    slope = np.broadcast_to(np.arange(9, dtype="float32")[:, None, None], (1, 9, 9, 1))
    rois = np.array([[[32, 32, 96, 96], [32, 35.2, 96, 99.2]]], "float32")
    y = keras.ops.convert_to_numpy(RoIAlign(2)(slope, rois))
    np.testing.assert_allclose(y[0, 1] - y[0, 0], np.full((2, 2, 1), 3.2 / 16), atol=1e-5)


def test_the_number_of_points_adapts_to_each_region_and_axis():
    # A region of 6 x 2 positions, in 2 x 2 bins: 3 points per bin along x, 1 along y.
    x = np.arange(8, dtype="float32") ** 2
    features = np.broadcast_to(x[None, None, :, None], (1, 4, 8, 1))
    rois = np.array([[[0, 0, 6, 2], [0, 0, 2, 2]]], "float32")
    y = keras.ops.convert_to_numpy(RoIAlign(2, 0, 1.0)(features, rois))[0, :, 0, :, 0]
    np.testing.assert_allclose(y, [[(0 + 1 + 4) / 3, (9 + 16 + 25) / 3], [0, 1]], atol=1e-5)


class Held(keras.layers.Layer):
    """Holds a feature map as a weight, so that its gradient can be computed."""

    def __init__(self, ratio):
        super().__init__()
        self.align = RoIAlign(2, ratio, 1 / 4)
        self.held = self.add_weight(FEATURES.shape, name="features")
        self.held.assign(FEATURES)

    def call(self, rois):
        return self.align(keras.ops.convert_to_tensor(self.held), rois)


@pytest.mark.parametrize("ratio", [2, 0])
def test_gradient_to_the_feature_map_equals_finite_differences(ratio):
    rois = keras.Input(batch_shape=ROIS.shape, name="rois")
    gradient = gradients_of(keras.Model({"rois": rois}, Held(ratio)(rois)), {"rois": ROIS})[0]
    # gradients_of weights the outputs with these numbers.
    upstream = np.random.default_rng(1).normal(size=(2, 4, 2, 2, 3)).astype("float32")
    layer, numeric = RoIAlign(2, ratio, 1 / 4), np.zeros(FEATURES.shape)
    # All channels and both examples at once, since they are independent.
    for row, column in np.ndindex(FEATURES.shape[1:3]):
        step = np.zeros(FEATURES.shape, "float32")
        step[:, row, column] = 0.5
        sides = [
            keras.ops.convert_to_numpy(layer(FEATURES + sign * step, ROIS)) for sign in (1, -1)
        ]
        numeric[:, row, column] = ((sides[0] - sides[1]) * upstream).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(gradient, numeric, atol=1e-4)


def test_regions_belong_to_their_own_image():
    layer = RoIAlign(2, 2, 1 / 4)
    both = keras.ops.convert_to_numpy(layer(FEATURES, ROIS))
    other = FEATURES.copy()
    other[0] = 0
    changed = keras.ops.convert_to_numpy(layer(other, ROIS))
    np.testing.assert_allclose(changed[1], both[1], atol=1e-6)
    np.testing.assert_allclose(changed[0], 0, atol=1e-6)


@pytest.mark.parametrize(
    "name, value",
    [("output_size", 0), ("output_size", 1.5), ("sampling_ratio", -1), ("spatial_scale", 0)],
)
def test_invalid_arguments_raise(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        RoIAlign(**{name: value})


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        (((1, 8, 8, 2), (5, 4)), "rois"),
        (((1, 8, 8, 2), (1, 5, 3)), "rois"),
        (((8, 8, 2), (1, 5, 4)), "features"),
    ],
)
def test_other_shapes_raise(shapes, name):
    for make in (lambda shape: np.zeros(shape, "float32"), keras.KerasTensor):
        with pytest.raises(ValueError, match=rf"{name} must be of shape \(batch, "):
            RoIAlign()(*(make(shape) for shape in shapes))
