import keras
import numpy as np
import pytest

from dlrecipes.layers import ElasticDistortion

STILL = {"alpha": 0, "shift": 0, "rotation": 0, "scale": 0, "shear": 0}


def distorted(images, **options):
    layer = ElasticDistortion(**{**STILL, **options}, seed=3)
    return keras.ops.convert_to_numpy(layer(images, training=True))


def blob(size=29, row=14.0, column=14.0, deviation=2.0):
    y, x = np.mgrid[:size, :size]
    heights = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * deviation**2))
    return heights[None, :, :, None].astype("float32")


def centre(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(y * image).sum(), (x * image).sum()]) / image.sum()


def test_zero_settings_change_nothing():
    images = np.random.default_rng(0).random((3, 7, 9, 2)).astype("float32")
    np.testing.assert_allclose(distorted(images), images, atol=1e-6)


def test_shifts_are_uniform_up_to_the_largest():
    moved = distorted(np.repeat(blob(), 400, axis=0), shift=3)
    shifts = np.array([centre(image[..., 0]) for image in moved]) - 14
    assert np.abs(shifts).max() < 3.05
    # Uniform in [-3, 3]: standard deviation 3 / sqrt(3), mean 0 with error 0.09.
    np.testing.assert_allclose(shifts.std(axis=0), np.sqrt(3), atol=0.15)
    np.testing.assert_allclose(shifts.mean(axis=0), 0, atol=0.35)


def test_images_rotate_about_their_centre():
    moved = distorted(np.repeat(blob(41, 20, 32), 300, axis=0), rotation=30)
    centres = np.array([centre(image[..., 0]) for image in moved]) - 20
    np.testing.assert_allclose(np.hypot(*centres.T), 12, atol=0.1)
    angles = np.degrees(np.arctan2(centres[:, 0], centres[:, 1]))
    assert 28 < np.abs(angles).max() < 30.1
    assert angles.min() < -28


def test_heights_and_widths_change_independently_and_within_the_bound():
    moved = distorted(np.repeat(blob(41, 30, 30), 300, axis=0), scale=0.25)
    factors = (np.array([centre(image[..., 0]) for image in moved]) - 20) / 10
    # The factor is at most 1.25 and at least its inverse.
    assert factors.max() < 1.26
    assert factors.min() > 0.79
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.2


def test_zoom_keeps_proportions():
    moved = distorted(np.repeat(blob(41, 30, 26), 300, axis=0), zoom=0.25)
    factors = (np.array([centre(image[..., 0]) for image in moved]) - 20) / [10, 6]
    assert 1.2 < factors.max() < 1.26
    assert 0.79 < factors.min() < 0.83
    np.testing.assert_allclose(factors[:, 0], factors[:, 1], atol=0.01)


def test_shear_moves_rows_by_their_distance_from_the_middle():
    above = distorted(np.repeat(blob(41, 10, 20), 200, axis=0), shear=0.3)
    shifts = np.array([centre(image[..., 0]) for image in above]) - [10, 20]
    np.testing.assert_allclose(shifts[:, 0], 0, atol=0.05)
    assert 2.7 < np.abs(shifts[:, 1]).max() < 3.1


def test_elastic_field_has_the_defined_strength_and_smoothness():
    size, alpha, sigma = 65, 30.0, 3.0
    layer = ElasticDistortion(alpha, sigma, seed=1)
    layer.build((None, size, size, 1))
    field = keras.ops.convert_to_numpy(layer._field(50, size, size))[:, :, 16:-16, 16:-16]
    # A sum of independent uniform numbers with variance alpha^2 / 3 with Gaussian weights.
    offsets = np.arange(-9, 10)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    weights /= weights.sum()
    expected = alpha / np.sqrt(3) * (weights**2).sum()
    np.testing.assert_allclose(field.std(), expected, rtol=0.1)
    neighbours = np.corrcoef(field[..., 1:].ravel(), field[..., :-1].ravel())[0, 1]
    overlap = (weights[1:] * weights[:-1]).sum() / (weights**2).sum()
    np.testing.assert_allclose(neighbours, overlap, atol=0.02)


def test_interpolation_is_bilinear_and_zero_outside():
    from dlrecipes.layers.elastic_distortion import read_at

    image = np.array([[[[1.0], [2.0]], [[3.0], [5.0]]]], "float32")
    y = np.array([[[0.5, 0.0, -0.5, 1.0, -2.0, 9.0]]], "float32")
    x = np.array([[[0.5, 1.0, 0.0, 1.25, 0.0, 9.0]]], "float32")
    values = keras.ops.convert_to_numpy(read_at(keras.ops.array(image), y, x))[0, 0, :, 0]
    # (1+2+3+5)/4; exact; half of 1 and half of 0 outside; three quarters of 5; outside twice.
    np.testing.assert_allclose(values, [2.75, 2, 0.5, 3.75, 0, 0])


def test_images_are_distorted_differently_and_their_channels_equally():
    image = np.random.default_rng(1).random((1, 12, 12, 1)).astype("float32")
    moved = distorted(np.tile(image, (2, 1, 1, 2)), alpha=20, shift=1)
    np.testing.assert_array_equal(moved[..., 0], moved[..., 1])
    assert np.abs(moved[0] - moved[1]).max() > 0.1


def test_inference_changes_nothing():
    images = keras.ops.array(blob())
    layer = ElasticDistortion(seed=0)
    np.testing.assert_array_equal(layer(images, training=False), images)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"alpha": -1}, "alpha must be"),
        ({"sigma": 0}, "sigma must be"),
        ({"scale": 1}, r"scale must be a number in \[0, 1\)"),
        ({"zoom": -0.1}, r"zoom must be a number in \[0, 1\)"),
        ({"rotation": float("nan")}, "rotation must be"),
        ({"shift": "1"}, "shift must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_invalid_arguments_raise(options, message):
    with pytest.raises(ValueError, match=message):
        ElasticDistortion(**options)


def test_images_of_unknown_size_raise():
    with pytest.raises(ValueError, match="known height and width"):
        ElasticDistortion()(keras.Input((None, 28, 1)))
