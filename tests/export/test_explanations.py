"""The signature `explain` returns heat maps over images of any sizes, as PNG files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.export import Exports, publish
from dlrecipes.export.explanations import LARGEST, explain_signature
from dlrecipes.export.image_signatures import image_signatures
from dlrecipes.training import GradCAM, ImageClassifier
from dlrecipes.training.grad_cam import overlay

SHAPE = (12, 12, 3)
NAMES = ["cat", "dog"]


def fit(image):
    return tf.image.resize(image, SHAPE[:2])


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    x = images = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return ImageClassifier(keras.Model(images, keras.layers.Dense(2)(x)), NAMES)


def images(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), "uint8") for size in sizes]


def files(arrays):
    return tf.constant([tf.io.encode_png(array).numpy() for array in arrays])


def test_images_of_different_sizes_are_explained_in_one_batch(model):
    batch = images((30, 20), (9, 50), (12, 12))
    signature = explain_signature(model, batch, fit=fit, shape=SHAPE)
    outputs = tf.function(signature.function)(files(batch))
    prepared = tf.stack([fit(image / 255) for image in batch])
    expected = model.classify(prepared)
    np.testing.assert_array_equal(outputs["label"], expected["label"])
    largest = np.max(expected["probabilities"], axis=1)
    np.testing.assert_allclose(outputs["probability"], largest, atol=1e-6)
    maps = GradCAM(model)(prepared)
    for image, heat, file in zip(batch, maps, outputs["explanation_bytes"], strict=True):
        drawn = np.asarray(tf.io.decode_png(file), int)
        assert drawn.shape == image.shape
        assert np.abs(drawn - np.asarray(overlay(image[None], heat[None])[0], int)).max() <= 1


def test_a_heat_map_can_be_placed_on_the_part_that_was_cropped(model):
    def crop(image):
        return image[4:16, :12]

    def place(heat, size):
        return tf.image.pad_to_bounding_box(heat, 4, 0, size[0], size[1])

    (image,) = images((20, 30))
    signature = explain_signature(model, [image], fit=crop, shape=SHAPE, place=place)
    (file,) = signature.function(files([image]))["explanation_bytes"]
    drawn = np.asarray(tf.io.decode_png(file))
    grey = np.asarray(overlay(image[None], np.zeros((1, 2, 2)))[0])
    np.testing.assert_array_equal(drawn[:, 12:], grey[:, 12:])
    np.testing.assert_array_equal(drawn[:4], grey[:4])
    assert np.any(drawn[4:16, :12] != grey[4:16, :12])


def test_the_class_of_a_function_of_ones_own_is_explained(model):
    (image,) = images((12, 12))
    prepared = fit(image / 255)[None]
    own = int(np.argmax(model.classify(prepared)["probabilities"]))
    other = {"label": tf.constant(["other"]), "probabilities": tf.one_hot([1 - own], 2) * 0.75}
    signature = explain_signature(
        model, [image], fit=fit, shape=SHAPE, classify=lambda images: other
    )
    outputs = signature.function(files([image]))
    assert outputs["label"].numpy().tolist() == [b"other"]
    assert outputs["probability"].numpy().tolist() == [0.75]
    expected = overlay(prepared, GradCAM(model)(prepared, 1 - own))[0]
    drawn = tf.io.decode_png(outputs["explanation_bytes"][0])
    assert np.abs(np.asarray(drawn, int) - np.asarray(expected, int)).max() <= 1


def test_a_large_image_is_explained_at_a_smaller_size(model):
    image = np.zeros((LARGEST * 2, 10, 3), "uint8")
    signature = explain_signature(model, [image], fit=fit, shape=SHAPE)
    (file,) = signature.function(files([image]))["explanation_bytes"]
    assert tf.io.decode_png(file).shape == (LARGEST, 5, 3)


def test_grey_networks_explain_colour_files():
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(2, 3),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    batch = images((10, 10))
    signature = explain_signature(
        network,
        batch,
        fit=lambda image: tf.image.resize(image, (8, 8)),
        shape=(8, 8, 1),
        class_names=NAMES,
    )
    outputs = signature.function(files(batch))
    assert tf.io.decode_png(outputs["explanation_bytes"][0]).shape == (10, 10, 3)
    # The network's own softmax is not applied twice.
    grey = tf.image.rgb_to_grayscale(batch[0] / 255)
    expected = network(tf.image.resize(grey, (8, 8))[None])
    assert float(outputs["probability"][0]) == pytest.approx(np.max(expected), abs=1e-3)


def test_as_many_names_as_classes_are_required(model):
    with pytest.raises(ValueError, match="2 classes, but class_names has 1"):
        explain_signature(model, [], fit=fit, shape=SHAPE, class_names=["cat"])


@pytest.mark.slow
def test_the_signature_is_published_with_the_others(model, tmp_path):
    batch = np.stack(images((12, 12), (12, 12)))
    signatures, litert = image_signatures(
        model.classify,
        lambda images: {"probabilities": model.classify(images)["probabilities"]},
        batch,
        fit=fit,
        shape=SHAPE,
    )
    explain = explain_signature(model, list(batch), fit=fit, shape=SHAPE)
    publish(model, tmp_path, Exports({**signatures, "explain": explain}, litert))
    (folder,) = [path for path in tmp_path.iterdir() if path.name.isdigit()]
    loaded = tf.saved_model.load(str(folder)).signatures["explain"]
    outputs = loaded(image_bytes=files(batch))
    expected = explain.function(files(batch))
    assert set(outputs) == {"explanation_bytes", "label", "probability"}
    np.testing.assert_array_equal(outputs["explanation_bytes"], expected["explanation_bytes"])
