"""LiteRT files in MediaPipe Tasks, which is installed into an environment of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from small_detector import NAMES as DETECTOR_NAMES
from small_detector import SIZE, exports, small_detector, smooth_images

from dlrecipes import runner
from dlrecipes.data.image_resizing import resize
from dlrecipes.export import Quantized, publish
from dlrecipes.export.detection_litert import LiteRTDetector
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.litert_metadata import ImageInput, classifier
from dlrecipes.recipe import registry
from dlrecipes.runner import run_folder

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parent / "mediapipe_outputs.py"
INSTALL_SECONDS, CALL_SECONDS = 180, 60
COUNT = 50
SMALL_DIGITS = {"width": 0.25, "ensemble_size": 1, "epochs": 2, "min_steps_per_epoch": 10}
SMALL_FACES = {"people": 92, "size": 32, "width": 0.25, "epochs": 1, "min_steps_per_epoch": 1}
SMALL_PHOTOS = {"images": 200, "size": 32, "width": 0.25, "epochs": 2}
FORMATS = ["model.tflite", "model.float16.tflite"]


@pytest.fixture(scope="session")
def mediapipe_python(tmp_path_factory):
    """A Python with `mediapipe`, which needs other versions of packages than TensorFlow."""
    folder = tmp_path_factory.mktemp("mediapipe")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    options = ["--quiet", "--only-binary=:all:", "--retries=1", "--timeout=20"]
    command = [python, "-m", "pip", "install", *options, "mediapipe>=1.2,<2"]
    try:
        installed = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"mediapipe was not installed within {INSTALL_SECONDS} s")
    if installed.returncode:
        reason = installed.stderr.strip().splitlines() or ["pip failed"]
        pytest.skip(f"mediapipe cannot be installed: {reason[-1]}")
    libraries = (
        "import ctypes\nfor n in ('GL.so.1', 'EGL.so.1', 'GLESv2.so.2'): ctypes.CDLL('lib' + n)"
    )
    loaded = subprocess.run([python, "-c", libraries], capture_output=True, text=True)
    if sys.platform == "linux" and loaded.returncode:
        pytest.skip(
            f"mediapipe needs libgl1, libegl1 and libgles2: {loaded.stderr.splitlines()[-1]}"
        )
    return python


@pytest.fixture
def in_mediapipe(mediapipe_python, tmp_path):
    """Returns MediaPipe's outputs of a file for images, uint8 of any sizes, RGB."""

    def call(path, images, task):
        arrays, outputs = tmp_path / "images.npz", tmp_path / "outputs.json"
        np.savez(arrays, *images)
        command = [mediapipe_python, SCRIPT, path, arrays, outputs, task]
        done = subprocess.run(command, capture_output=True, text=True, timeout=CALL_SECONDS)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(outputs.read_text())

    return call


def run(name, settings, folder):
    source = registry.find(name)
    task = source.recipe()(source.config().parse(settings), source.name)
    result = runner.run(task, run_folder.new_folder(folder / "runs", None), folder / "models")
    return result.version.folder, task.load_data().test


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return run("digit_recognition", SMALL_DIGITS, tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return run("facenet", SMALL_FACES, tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return run("image_classification", SMALL_PHOTOS, tmp_path_factory.mktemp("photos"))


def assert_same_scores(results, names, expected):
    """Compares labels and scores with probabilities of shape `(images, classes)`."""
    assert len(results) == len(expected) == COUNT
    for categories, row in zip(results, expected, strict=True):
        assert categories[0][0] == names[int(row.argmax())]
        scores = dict(categories)
        np.testing.assert_allclose([scores[name] for name in names], row, atol=1e-4)


def one_by_one(path, images):
    lite = LiteRTModel(path)
    (rows,) = zip(*(lite(images=image[None]).values() for image in images), strict=True)
    return np.concatenate(rows)


@pytest.mark.parametrize("file", FORMATS)
def test_digit_recognition_is_an_image_classifier(digits, in_mediapipe, file):
    folder, examples = digits
    images = examples.images[:COUNT, ..., None]
    names = (folder / "assets.extra" / "labels.txt").read_text().splitlines()
    results = in_mediapipe(folder / file, images.repeat(3, axis=3), "ImageClassifier")
    expected = one_by_one(folder / file, images / np.float32(255))
    assert len(set(expected.argmax(axis=1))) > 3
    assert_same_scores(results, names, expected)


@pytest.mark.parametrize("file", FORMATS)
def test_image_classification_is_an_image_classifier(photos, in_mediapipe, file):
    folder, examples = photos
    images = np.stack([examples.image(k) for k in range(COUNT)])
    names = (folder / "assets.extra" / "labels.txt").read_text().splitlines()
    results = in_mediapipe(folder / file, images, "ImageClassifier")
    expected = one_by_one(folder / file, images / np.float32(255))
    assert set(expected.argmax(axis=1)) == {0, 1}
    assert_same_scores(results, names, expected)


@pytest.mark.parametrize("file", FORMATS)
def test_facenet_is_an_image_embedder(faces, in_mediapipe, file):
    folder, examples = faces
    images = examples.images[:COUNT]
    results = in_mediapipe(folder / file, images.repeat(3, axis=3), "ImageEmbedder")
    expected = one_by_one(folder / file, images / np.float32(255))
    np.testing.assert_allclose(results, expected, atol=1e-4)


def colour_network():
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Conv2D(8, 5, strides=3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(4, "softmax"),
    ]
    return keras.Sequential([keras.Input((24, 20, 3), name="images"), *layers])


PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, 24, 20, 3), "uint8")
NAMES = ["ant", "bee", "größer", "two words"]


@pytest.mark.parametrize("image", [ImageInput(), ImageInput(mean=127.5, std=64)])
def test_a_keras_model_of_colour_images_is_an_image_classifier(tmp_path, in_mediapipe, image):
    inputs = (PIXELS - np.float32(image.mean)) / np.float32(image.std)
    model = colour_network()
    folder = publish(model, tmp_path / "net", examples=inputs, metadata=classifier(NAMES, image))
    results = in_mediapipe(folder / "model.tflite", PIXELS, "ImageClassifier")
    assert_same_scores(results, NAMES, np.asarray(model(inputs)))


def test_scores_below_the_threshold_are_not_reported(tmp_path, in_mediapipe):
    inputs, model = PIXELS / np.float32(255), colour_network()
    scores = np.asarray(model(inputs))
    threshold = float(np.median(scores))
    metadata = classifier(NAMES, threshold=threshold)
    folder = publish(model, tmp_path / "net", examples=inputs, metadata=metadata)
    results = in_mediapipe(folder / "model.tflite", PIXELS, "ImageClassifier")
    reported = [len(categories) for categories in results]
    assert reported == (scores >= threshold).sum(axis=1).tolist()


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """A detector's version in all formats, and images of its input's size."""
    model, photos = small_detector(), smooth_images(COUNT)
    images = [resize(photo, SIZE) for photo in photos]
    calibration = [(image[None] / np.float32(255),) for image in images]
    formats = Quantized(("float16", "dynamic", "int8"), calibration, "one", lambda lite: 1.0, 0)
    parts = exports(model, images, quantized=formats)
    return publish(model, tmp_path_factory.mktemp("objects") / "objects", parts), images


@pytest.mark.parametrize("file", [*FORMATS, "model.dynamic.tflite", "model.int8.tflite"])
def test_a_two_stage_detector_is_an_object_detector(objects, in_mediapipe, file):
    version, images = objects
    own = LiteRTDetector(version / file, DETECTOR_NAMES)
    # MediaPipe has another interpreter, which rounds activations to int8 in other kernels.
    largest = 0.01 if file == "model.dynamic.tflite" else 1e-3
    results = in_mediapipe(version / file, images, "ObjectDetector")
    counts = [len(result) for result in results]
    assert len(results) == COUNT
    assert min(counts) > 3
    for image, result in zip(images, results, strict=True):
        expected = own.predict(image)
        assert [label for label, _, _ in result] == [x["label"] for x in expected]
        scores = [score for _, score, _ in result]
        np.testing.assert_allclose(scores, [x["score"] for x in expected], atol=largest)
        # MediaPipe cuts off the fractions of left, top, width and height, in pixels.
        ours = np.array([x["box"] for x in expected])
        theirs = np.array([box for _, _, box in result]) + 0.5
        np.testing.assert_allclose(theirs[:, :2], ours[:, :2], atol=0.501)
        sides = [boxes[:, 2:] - boxes[:, :2] for boxes in (theirs, ours)]
        np.testing.assert_allclose(sides[0] + 0.5, sides[1], atol=0.501)


def test_an_image_without_objects_has_no_detections(tmp_path, in_mediapipe):
    model = small_detector()
    logits = model.get_layer("faster_rcnn").get_layer("class_logits")
    # All regions are background.
    logits.set_weights([np.zeros_like(logits.kernel), np.array([50.0, 0, 0, 0])])
    images = [resize(photo, SIZE) for photo in smooth_images(3)]
    version = publish(model, tmp_path / "objects", exports(model, images))
    assert in_mediapipe(version / "model.tflite", images, "ObjectDetector") == [[], [], []]


@pytest.mark.parametrize("recipe", ["digits", "faces"])
def test_the_code_in_the_card_runs(recipe, request, mediapipe_python):
    folder, examples = request.getfixturevalue(recipe)
    card = (folder / "README.md").read_text()
    (code,) = re.findall(r"```python\n(import mediapipe.*?)```", card, re.DOTALL)
    Image.fromarray(examples.images[0].squeeze()).save(folder / "image.png")
    done = subprocess.run(
        [mediapipe_python, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()
