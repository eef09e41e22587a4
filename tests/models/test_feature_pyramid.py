import keras
import numpy as np
import pytest

from dlrecipes.models import feature_pyramid


def backbone():
    images = keras.Input((None, None, 1), name="images")
    fine = keras.layers.AveragePooling2D(2, padding="same", name="fine")(images)
    coarse = keras.layers.AveragePooling2D(2, padding="same", name="coarse")(fine)
    return keras.Model(images, coarse)


def copying_pyramid(**options):
    """Returns a pyramid whose convolutions copy their input."""
    model = feature_pyramid(backbone(), ["fine", "coarse"], filters=1, **options)
    for layer in model.layers:
        if layer.weights:
            kernel = np.zeros(layer.kernel.shape, "float32")
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
            layer.kernel.assign(kernel)
    return model


def test_coarse_maps_are_doubled_and_added_to_finer_ones():
    # 10 pixels give 5 fine and 3 coarse positions, of which the last is half outside.
    images = np.random.default_rng(0).normal(size=(2, 10, 10, 1)).astype("float32")
    levels = [keras.ops.convert_to_numpy(y) for y in copying_pyramid(extra_levels=1)(images)]
    fine = images.reshape(2, 5, 2, 5, 2, 1).mean(axis=(2, 4))
    coarse = keras.ops.convert_to_numpy(keras.layers.AveragePooling2D(2, padding="same")(fine))
    expected = fine.copy()
    for row in range(5):
        for column in range(5):
            expected[:, row, column] += coarse[:, row // 2, column // 2]
    np.testing.assert_allclose(levels[0], expected, atol=1e-5)
    np.testing.assert_allclose(levels[1], coarse, atol=1e-5)
    np.testing.assert_allclose(levels[2], coarse[:, ::2, ::2], atol=1e-5)


def test_all_levels_share_the_number_of_channels():
    model = feature_pyramid(backbone(), ["fine", "coarse"], filters=7, extra_levels=2)
    assert [y.shape[-1] for y in model.output] == [7, 7, 7, 7]


def test_invalid_backbones_are_refused():
    with pytest.raises(ValueError, match="has no layer 'medium'"):
        feature_pyramid(backbone(), ["fine", "medium"])
    with pytest.raises(ValueError, match=r"two feature maps or more.*name its layers in outputs"):
        feature_pyramid(backbone())
    with pytest.raises(ValueError, match=r"backbone must be a keras\.Model with one input"):
        feature_pyramid("vgg16")
    with pytest.raises(ValueError, match="extra_levels must be an integer of at least 0"):
        feature_pyramid(backbone(), ["fine", "coarse"], extra_levels=-1)
