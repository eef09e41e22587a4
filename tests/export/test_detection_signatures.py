"""Signatures of detectors: boxes in pixels of each image, labels, drawings, and LiteRT's form."""

import functools
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_detector import NAMES, SCORE, SIZE, exports, small_detector, smooth_images

from dlrecipes.data.image_resizing import fit
from dlrecipes.export import publish
from dlrecipes.export.detection_litert import load_detector
from dlrecipes.export.detection_signatures import detection_signatures
from dlrecipes.export.litert import concrete_function
from dlrecipes.export.reference_outputs import NOT_COMPARED
from dlrecipes.export.verification import check
from dlrecipes.export.version import ModelVersion
from dlrecipes.figures import box_colours

# As a square of 8 pixels sees it.
BOX = (2.0, 1.0, 6.0, 4.0)


def detect(images):
    """Finds a dog in each image, and in light images a cat as well."""
    light = tf.reduce_mean(images, axis=[1, 2, 3]) > 0.5
    count = tf.where(light, 2, 1)
    rows = tf.range(3) < count[:, None]
    boxes = tf.where(rows[..., None], tf.constant([BOX, (0.0, 0.0, 8.0, 8.0), BOX]), 0.0)
    classes = tf.where(rows, tf.constant([1, 0, 0]), -1)
    scores = tf.where(rows, tf.constant([0.9, 0.25, 0.0]), 0.0)
    return {"boxes": boxes, "scores": scores, "classes": classes, "count": count}


def made():
    return detection_signatures(
        detect,
        ["cat", "dog"],
        [np.zeros((16, 24, 3), "uint8")],
        size=8,
        iou_threshold=0.5,
        score_threshold=SCORE,
    )


def png(height, width, value, **options):
    file = io.BytesIO()
    Image.new("RGB", (width, height), (value,) * 3).save(file, "PNG", **options)
    return file.getvalue()


@functools.lru_cache
def traced(name):
    signatures, litert = made()
    return concrete_function(litert if name == "litert" else signatures[name])


def call(name, *inputs):
    outputs = traced(name)(*map(tf.constant, inputs))
    return {name: value.numpy() for name, value in outputs.items()}


def test_boxes_are_in_pixels_of_each_file():
    outputs = call("serving_default", [png(16, 24, 0), png(80, 8, 255)])
    # 24 pixels wide is 3 times the network's 8, 16 pixels high is twice.
    assert outputs["boxes"][0].tolist() == [[6, 2, 18, 8], [0] * 4, [0] * 4]
    assert outputs["boxes"][1].tolist() == [[2, 10, 6, 40], [0, 0, 8, 80], [0] * 4]
    assert outputs["labels"].tolist() == [[b"dog", b"", b""], [b"dog", b"cat", b""]]
    assert outputs["count"].tolist() == [1, 2]
    np.testing.assert_allclose(outputs["scores"], [[0.9, 0, 0], [0.9, 0.25, 0]])


def test_boxes_belong_to_the_upright_image():
    exif = Image.Exif()
    exif[274] = 6  # To be rotated by 90 degrees.
    outputs = call("serving_default", [png(16, 24, 0, exif=exif)])
    # Upright, the image is 16 wide and 24 high.
    assert outputs["boxes"][0, 0].tolist() == [4, 3, 12, 12]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_arrays_of_any_size_and_channels_are_served(channels):
    images = np.full((2, 16, 24, channels), 255, "uint8")
    outputs = call("images", images)
    assert outputs["boxes"][:, 1].tolist() == [[0, 0, 24, 16]] * 2
    assert outputs["labels"][1].tolist() == [b"dog", b"cat", b""]


def test_the_litert_function_returns_what_mediapipe_expects():
    outputs = call("litert", np.ones((1, 8, 8, 3), "float32"))
    assert {value.dtype.name for value in outputs.values()} == {"float32"}
    # Top, left, bottom, right; a row without a detection has no inside.
    expected = [[1 / 8, 2 / 8, 4 / 8, 6 / 8], [0, 0, 1, 1], [0, 0, -1, -1]]
    np.testing.assert_allclose(outputs["locations"][0], expected)
    assert outputs["classes"].tolist() == [[1, 0, -1]]
    np.testing.assert_allclose(outputs["scores"], [[0.9, 0.25, 0]])
    # Not the number of detections: MediaPipe divides the number of rows by it.
    assert outputs["count"].tolist() == [3]


def test_the_drawing_has_the_boxes_above_the_threshold():
    contents = [png(160, 240, 255), png(80, 80, 0)]
    drawn = call("draw", contents)["image_bytes"]
    images = [np.asarray(Image.open(io.BytesIO(content))) for content in drawn]
    assert [image.shape for image in images] == [(160, 240, 3), (80, 80, 3)]
    colours = box_colours(["cat", "dog"])
    cat, dog = (tuple(bytes.fromhex(colours[name][1:])) for name in ("cat", "dog"))
    # The dog is from 60 to 180 and from 20 to 80; the cat's score is too low.
    assert tuple(images[0][50, 60]) == tuple(images[0][79, 120]) == dog
    assert tuple(images[1][25, 20]) == dog
    assert not (images[0] == cat).all(axis=-1).any()


def test_a_large_image_is_drawn_smaller():
    (content,) = call("draw", [png(20, 4096, 0)])["image_bytes"]
    assert Image.open(io.BytesIO(content)).size == (2048, 10)


def test_examples_of_large_photos_are_small():
    parts, litert = detection_signatures(
        detect,
        ["cat", "dog"],
        [np.zeros((1000, 2000, 3), "uint8"), np.zeros((30, 20, 3), "uint8")],
        size=8,
        iou_threshold=0.5,
        score_threshold=SCORE,
    )
    ((files,),) = parts["serving_default"].examples
    assert [Image.open(io.BytesIO(file)).size for file in files] == [(640, 320), (20, 30)]
    assert [x.shape for (x,) in parts["images"].examples] == [(2, 8, 8, 3), (1, 320, 640, 3)]
    assert [x.shape for (x,) in litert.examples] == [(1, 8, 8, 3)] * 2


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    model, images = small_detector(), smooth_images(20)
    directory = tmp_path_factory.mktemp("models") / "objects"
    version = publish(
        model, directory, exports(model, images), rebuild=lambda copy: exports(copy, images)
    )
    return model, images, version


@pytest.mark.slow
def test_all_files_of_a_version_find_the_same_boxes(published):
    model, images, version = published
    lines = list(check(version))
    assert any("model.tflite: matches" in line and "3 labels" in line for line in lines)
    # The order of the network's own proposals depends on rounding.
    uncompared = [line.split(":")[0] for line in lines if NOT_COMPARED in line]
    assert uncompared == ["model.keras"]
    saved = ModelVersion(version)
    files = [tf.io.encode_png(image).numpy() for image in images]
    served, lite = saved.call(image_bytes=files), load_detector(saved, NAMES)
    assert served["count"].min() > 3
    assert set(served["labels"].ravel()) - {b""} == {name.encode() for name in NAMES}
    own = model(tf.stack([fit(tf.constant(image) / 255, SIZE) for image in images]))
    np.testing.assert_array_equal(served["count"], own["count"])
    for row, image in enumerate(images):
        objects = lite.predict(image)
        number = served["count"][row]
        assert [x["label"].encode() for x in objects] == served["labels"][row, :number].tolist()
        boxes = [x["box"] for x in objects]
        np.testing.assert_allclose(boxes, served["boxes"][row, :number], atol=0.5)
        scores = [x["score"] for x in objects]
        np.testing.assert_allclose(scores, served["scores"][row, :number], atol=1e-3)
