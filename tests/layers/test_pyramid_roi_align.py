import keras
import numpy as np
import pytest
from contract import gradients

from dlrecipes.layers import PyramidRoIAlign, RoIAlign, pyramid_roi_align
from dlrecipes.layers._bilinear_bins import bin_averages

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


@pytest.mark.parametrize(
    ("sizes", "ratio"),
    [
        ([(128, 128), (64, 64), (32, 32), (16, 16)], 2),
        # The coarser levels together are wider, or not as high, as they are as a rule.
        ([(9, 5), (5, 3), (3, 2), (2, 1)], 0),
        ([(3, 8), (7, 20), (1, 1), (2, 9)], 2),
    ],
)
def test_features_and_gradients_equal_those_of_roi_align_on_the_level(sizes, ratio):
    rng = np.random.default_rng(0)
    maps, rois = [rng.normal(size=(1, *size, 2)).astype("float32") for size in sizes], regions()
    pyramid = PyramidRoIAlign(STRIDES, 3, ratio)
    aligns = [RoIAlign(3, ratio, 1 / stride) for stride in STRIDES]
    own = [
        (levels(rois) == number)[..., None, None, None].astype("float32") for number in range(2, 6)
    ]

    def by_level(*tensors):
        triples = zip(aligns, tensors[:-1], own, strict=True)
        return sum(align(x, tensors[-1]) * mask for align, x, mask in triples)

    def at_once(*tensors):
        return pyramid(list(tensors[:-1]), tensors[-1])

    expected, actual = (keras.ops.convert_to_numpy(f(*maps, rois)) for f in (by_level, at_once))
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    upstream = rng.normal(size=actual.shape).astype("float32")
    expected, actual = (
        gradients(lambda *x, f=f: keras.ops.sum(f(*x) * upstream), *maps, rois)
        for f in (by_level, at_once)
    )
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_maps_of_unknown_size_have_the_features_of_maps_of_known_size():
    features, rois = maps(), regions()
    inputs = [keras.Input((None, None, 2)) for _ in STRIDES], keras.Input((None, 4))
    model = keras.Model(inputs, PyramidRoIAlign(STRIDES, 2)(*inputs))
    expected = keras.ops.convert_to_numpy(PyramidRoIAlign(STRIDES, 2)(features, rois))
    actual = model.predict((features, rois), verbose=0)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_a_pyramid_of_one_level_equals_roi_align():
    features, rois = maps()[1], regions()
    expected = keras.ops.convert_to_numpy(RoIAlign(2, 2, 1 / 8)(features, rois))
    actual = keras.ops.convert_to_numpy(PyramidRoIAlign((8,), 2)([features], rois))
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_no_level_is_resampled_for_regions_of_the_others():
    """The map that is resampled is half as large again as the finest level, not larger."""
    rows = []

    def recorded(features, *args):
        rows.append(tuple(features.shape))
        return bin_averages(features, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid_roi_align, "bin_averages", recorded)
        PyramidRoIAlign(STRIDES, 2)(maps(), regions())
    assert rows == [(1, 128 + 64, 128, 2)]


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


@pytest.mark.parametrize(("name", "value"), [("output_size", 0), ("sampling_ratio", -1)])
def test_invalid_arguments_raise(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        PyramidRoIAlign(**{name: value})
