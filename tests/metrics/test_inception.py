"""Features of Inception v3: shapes, and the error for missing weights."""

import socket

import keras
import numpy as np
import pytest

from dlrecipes.errors import DataError
from dlrecipes.metrics.inception import FEATURES, inception_features, weights_file


@pytest.mark.slow
def test_grey_images_give_the_features_of_equal_colour_images():
    grey = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 1), "uint8")
    features = []
    for images in (grey, np.repeat(grey, 3, axis=-1)):
        keras.utils.set_random_seed(0)
        features.append(inception_features(images, None))
    assert features[0].shape == (2, FEATURES)
    np.testing.assert_array_equal(*features)
    assert (features[0][0] != features[0][1]).any()


def test_missing_weights_are_reported_with_their_path(monkeypatch):
    timeouts = []

    def refuse(*args, **kwargs):
        timeouts.append(socket.getdefaulttimeout())
        raise Exception("URL fetch failure on https://example.org: None -- unreachable")

    monkeypatch.setattr(keras.applications, "InceptionV3", refuse)
    with pytest.raises(DataError) as error:
        inception_features(np.zeros((1, 8, 8, 3), "uint8"))
    assert "URL fetch failure" in str(error.value)
    assert str(weights_file()) in str(error.value)
    # A server that does not answer ends the download.
    assert 0 < timeouts[0] <= 30
    assert socket.getdefaulttimeout() is None


def test_other_shapes_are_rejected():
    with pytest.raises(ValueError, match="1 or 3"):
        inception_features(np.zeros((1, 8, 8, 4), "uint8"), None)
