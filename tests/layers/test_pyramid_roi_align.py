import keras
import numpy as np
import pytest

from dlrecipes.layers import PyramidRoIAlign, RoIAlign

STRIDES = (4, 8, 16, 32)


def maps(values=None, channels=2):
    rng = np.random.default_rng(0)
    shapes = [(1, 512 // stride, 512 // stride, channels) for stride in STRIDES]
    if values is None:
        return [rng.normal(size=shape).astype("float32") for shape in shapes]
    return [np.full(shape, value, "float32") for shape, value in zip(shapes, values, strict=True)]


def regions():
    rng = np.random.default_rng(1)
    corner, side = rng.uniform(0, 100, (1, 60, 2)), 2 ** rng.uniform(4, 10, (1, 60, 2))
    return np.concatenate([corner, corner + side], axis=-1).astype("float32")


def levels(rois):
    """Equation 1 with k0 = 4, which is the level of stride 16, and the levels that exist."""
    size = np.sqrt((rois[..., 2] - rois[..., 0]) * (rois[..., 3] - rois[..., 1]))
    return np.clip(np.floor(4 + np.log2(size / 224)), 2, 5).astype(int)


def test_each_region_takes_the_level_of_equation_1():
    rois = regions()
    expected = levels(rois)
    assert set(expected.ravel()) == {2, 3, 4, 5}
    y = PyramidRoIAlign(STRIDES, 1)(maps([2, 3, 4, 5]), rois)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(y)[..., 0, 0, 0], expected, rtol=1e-6)


def test_features_equal_those_of_roi_align_on_the_level():
    features, rois = maps(), regions()
    y = keras.ops.convert_to_numpy(PyramidRoIAlign(STRIDES, 3, 2)(features, rois))
    for number, stride in enumerate(STRIDES):
        own = levels(rois)[0] == number + 2
        expected = keras.ops.convert_to_numpy(RoIAlign(3, 2, 1 / stride)(features[number], rois))
        np.testing.assert_allclose(y[0, own], expected[0, own], atol=1e-5)


def test_canonical_size_moves_regions_to_coarser_levels():
    rois = np.array([[[0, 0, 56, 56]]], "float32")
    for size, level in {224: 2, 112: 3, 56: 4, 28: 5}.items():
        y = PyramidRoIAlign(STRIDES, 1, canonical_size=size)(maps([2, 3, 4, 5]), rois)
        assert float(keras.ops.max(y)) == level


@pytest.mark.parametrize("strides", [(), 8, (8, 4), (0, 8), (8, 8)])
def test_strides_must_increase(strides):
    with pytest.raises(ValueError, match=r"strides must be .*numbers above 0"):
        PyramidRoIAlign(strides)


def test_there_must_be_a_map_for_each_stride():
    with pytest.raises(ValueError, match="features must be 4 maps, one for each stride, not 1"):
        PyramidRoIAlign(STRIDES)(maps()[:1], regions())
