"""A LiteRT file's detections, read without TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from small_detector import DETECTIONS, NAMES, SIZE, exports, small_detector, smooth_images

from dlrecipes.data.image_resizing import fit_array
from dlrecipes.errors import PublishError
from dlrecipes.export.detection_accuracy import measure_map50
from dlrecipes.export.detection_litert import LiteRTDetector, detections
from dlrecipes.export.litert import convert
from dlrecipes.export.signatures import Signature

# Where the image's parts are, as top, left, bottom, right; then padding.
LOCATIONS = [[0.5, 0.25, 1, 0.75], [0, 0, 0.5, 0.5], [0, 0, -1, -1]]


def two_boxes(images):
    assert images.shape == (1, 8, 8, 3)
    assert images.dtype == np.float32
    assert images.max() <= 1
    outputs = {"locations": LOCATIONS, "classes": [1.0, 0.0, -1.0], "scores": [0.9, 0.4, 0.0]}
    return {name: np.array([values], "float32") for name, values in outputs.items()}


@pytest.mark.parametrize("shape", [(40, 80, 3), (40, 80)])
def test_locations_become_pixels_of_the_image(shape):
    outputs = detections(two_boxes, np.full(shape, 255, "uint8"), 8)
    assert outputs["boxes"].tolist() == [[20, 20, 60, 40], [0, 0, 40, 20]]
    assert outputs["classes"].tolist() == [1, 0]
    np.testing.assert_allclose(outputs["scores"], [0.9, 0.4])


def test_the_metric_of_a_file_is_map50():
    images = [np.zeros((40, 80, 3), "uint8")] * 2
    found = {"boxes": np.array([[20.0, 20, 60, 40]]), "classes": np.array([1])}
    missed = {"boxes": np.array([[70.0, 0, 80, 5]]), "classes": np.array([1])}
    for truths, expected in (([found, found], 1.0), ([missed, missed], 0.0)):
        assert measure_map50(images.__getitem__, truths, ["cat", "dog"], 8)(two_boxes) == expected


def test_images_are_read_once_for_all_files_and_prepared_as_for_a_single_one():
    images, read, seen = smooth_images(2), [], []

    def image(k):
        read.append(k)
        return images[k]

    def detect(images):
        seen.append(images[0])
        return two_boxes(np.zeros((1, 8, 8, 3), "float32"))

    nothing = {"boxes": np.zeros((0, 4)), "classes": np.zeros(0, int)}
    measure = measure_map50(image, [nothing] * 2, ["cat", "dog"], SIZE)
    measure(detect)
    measure(detect)
    assert read == [0, 1]
    for prepared, own in zip(seen, [*images, *images], strict=True):
        np.testing.assert_array_equal(prepared, fit_array(own, SIZE))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("litert") / "model.tflite"
    path.write_bytes(convert(exports(small_detector(), smooth_images(1)).litert))
    return path


def test_a_prediction_loads_no_tensorflow(file, tmp_path):
    (image,) = smooth_images(1, seed=1)
    Image.fromarray(image).save(tmp_path / "image.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    code = f"""
import sys
from dlrecipes.export.detection_litert import LiteRTDetector
from dlrecipes.recipe.box_inputs import detect_files
detector = LiteRTDetector({str(file)!r}, {NAMES!r})
whole, broken, = detect_files(detector, ["image.png", "broken.png"], 0.1)
assert set(whole) == {{"file", "width", "height", "objects"}}, whole
assert (whole["file"], whole["height"], whole["width"]) == ("image.png", *{image.shape[:2]}), whole
assert whole["objects"], whole
assert all(x["score"] >= 0.1 and x["label"] in {NAMES!r} for x in whole["objects"]), whole
assert "not an image" in str(broken.error), broken
print([name for name in ("tensorflow", "keras", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "[]"
    # LiteRT writes a line about its delegate, once in a process.
    assert done.stderr == ""


def test_boxes_are_data_by_decreasing_score(file):
    (image,) = smooth_images(1, seed=1)
    detector = LiteRTDetector(file, NAMES)
    assert detector.size == SIZE
    objects = detector.predict(image)
    assert 3 < len(objects) <= DETECTIONS
    scores = [x["score"] for x in objects]
    assert scores == sorted(scores, reverse=True)
    height, width = image.shape[:2]
    for left, top, right, bottom in (x["box"] for x in objects):
        assert 0 <= left <= right <= width + 1e-3
        assert 0 <= top <= bottom <= height + 1e-3
    few = detector.predict(image, threshold=scores[1])
    assert few == objects[:2]


def test_another_file_is_refused(tmp_path):
    import tensorflow as tf

    path = tmp_path / "model.tflite"
    path.write_bytes(b"no model")
    with pytest.raises(PublishError, match="LiteRT cannot load it"):
        LiteRTDetector(path, NAMES)
    spec = tf.TensorSpec([1, 4, 4, 3], tf.float32, name="images")
    path.write_bytes(convert(Signature(lambda images: {"y": 2 * images}, [spec], [])))
    with pytest.raises(PublishError, match=r"it has the outputs \['y'\], not a detector's"):
        LiteRTDetector(path, NAMES)
