"""A classifier's features distinguish real images, noise and copies."""

import numpy as np
import pytest

from dlrecipes.data.digits import builtin_digits
from dlrecipes.metrics.feature_classifier import FeatureClassifier


@pytest.fixture(scope="module")
def digits():
    train, _, _ = builtin_digits(seed=0)
    return train.images[..., None], train.labels


def test_features_and_probabilities_have_one_row_per_image(digits):
    images, labels = digits[0][:210], digits[1][:210]
    classifier = FeatureClassifier.fit(images, labels, num_classes=10, steps=1)
    features, probabilities = classifier.features(images)
    assert (features.shape, probabilities.shape) == ((210, 64), (210, 10))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert classifier.compare(images, images[:50])["classes_drawn"] <= 10


@pytest.mark.parametrize(
    ("probabilities", "sure", "classes"),
    [
        ([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.2, 0.5, 0.3]], 0, 0),
        ([[0.95, 0.05, 0], [0.1, 0.9, 0], [0.9, 0.1, 0], [0.2, 0, 0.8]], 0.75, 2),
    ],
)
def test_only_classes_of_sure_images_are_counted(probabilities, sure, classes, monkeypatch):
    rows = np.asarray(probabilities)
    features = np.random.default_rng(0).normal(size=(5, 2))
    compared = iter([(features, rows), (features, rows)])
    monkeypatch.setattr(FeatureClassifier, "features", lambda *_: next(compared))
    scores = FeatureClassifier(None, has_classes=True).compare(None, None)
    assert (scores["sure"], scores["classes_drawn"]) == (sure, classes)


def test_without_classes_it_learns_rotations(digits):
    images, labels = digits
    classifier = FeatureClassifier.fit(images, np.zeros_like(labels), num_classes=1, steps=1)
    assert not classifier.has_classes
    assert classifier.features(images[:3])[1].shape == (3, 4)
    assert set(classifier.compare(images[:40], images[40:80])) == {
        "fid",
        "precision",
        "recall",
        "diversity",
    }


@pytest.mark.slow
def test_real_images_resemble_each_other_and_noise_does_not(digits):
    images, labels = digits
    classifier = FeatureClassifier.fit(images[:200], labels[:200], 10, seed=0, steps=100)
    real, other = images[:150], images[150:300]
    noise = np.random.default_rng(0).integers(0, 256, real.shape, dtype="uint8")
    close, far = (classifier.compare(real, generated) for generated in (other, noise))
    assert close["fid"] < far["fid"]
    assert close["precision"] > far["precision"]
    assert close["classes_drawn"] == 10
    assert far["recall"] < 0.1 < close["recall"]
    copies = np.repeat(real[:1], 150, axis=0)
    assert classifier.compare(real, copies)["diversity"] < 0.01
