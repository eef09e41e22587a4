"""A version answers with its LiteRT file what its SavedModel answers, and publishing checks it."""

import dataclasses
import io
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlrecipes.data.faces import Size, fitted
from dlrecipes.data.image_resizing import resize_array
from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import Exports, publish
from dlrecipes.export.image_signatures import image_processing, image_signatures
from dlrecipes.export.lite_processing import Prepared
from dlrecipes.export.lite_version import PROCESSING_FILE, LiteVersion
from dlrecipes.export.processing import Processing
from dlrecipes.export.processing_check import (
    check_processing,
    check_stretched,
    matched_tensors,
)
from dlrecipes.export.signatures import Signature
from dlrecipes.export.version import EXTRAS, ModelVersion, RejectedInput

SIZE, NAMES = Size(8, crop=0.5), ("cat", "ü")
# A signature that `double.tflite` answers.
DOUBLE = Processing(
    {"kind": "numbers", "names": ["x"]}, {"kind": "same"}, lambda x: {"x": x}, "double.tflite"
)
RNG = np.random.default_rng(0)
EXAMPLES = RNG.integers(0, 256, (3, 20, 14, 3)).astype("uint8")


def fit(image):
    return fitted(image, SIZE)


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def exports_in(precision):
    keras.utils.set_random_seed(0)
    scores = keras.layers.Dense(2, dtype=precision)
    softmax = keras.layers.Activation("softmax", dtype="float32")
    layers = [keras.Input(SIZE.shape), keras.layers.Flatten(), scores, softmax]
    model = keras.Sequential(layers)

    def classify(images):
        probabilities = model(images)
        names = tf.constant(NAMES)
        label = tf.gather(names, tf.argmax(probabilities, axis=1))
        classes = tf.tile(names[None], [tf.shape(images)[0], 1])
        return {"label": label, "probabilities": probabilities, "classes": classes}

    signatures, litert = image_signatures(
        classify,
        lambda images: {"probabilities": model(images)},
        EXAMPLES,
        fit=fit,
        shape=SIZE.shape,
    )
    # The LiteRT file takes prepared images.
    small = [(RNG.uniform(size=(1, *SIZE.shape)).astype("float32"),)]
    processing = image_processing(
        {"kind": "classes"}, fit=fit, shape=SIZE.shape, by="scale", crop=SIZE.crop
    )
    files = {"labels.txt": "cat\nü\n"}
    litert = dataclasses.replace(litert, examples=small)
    if precision == "float32":
        processing = dataclasses.replace(processing, others={"double": DOUBLE})
        signatures["double"] = doubled = Signature(
            lambda x: {"y": 2 * x}, [tf.TensorSpec([None, 3], name="x")], [(np.ones((2, 3)),)]
        )
        parts = {"double": doubled}
        return model, Exports(signatures, litert, files, processing=processing, litert_parts=parts)
    return model, Exports(signatures, litert, files, processing=processing)


@pytest.fixture(scope="module")
def exports():
    return exports_in("float32")


@pytest.fixture(scope="module")
def folder(exports, tmp_path_factory):
    model, every = exports
    return publish(model, tmp_path_factory.mktemp("lite") / "net", every)


def test_answers_are_those_of_the_savedmodel(folder):
    images = [RNG.integers(0, 256, size).astype("uint8") for size in ((9, 30, 3), (40, 8))]
    expected = ModelVersion(folder).call(image_bytes=[png(image) for image in images])
    lite = LiteVersion(folder)
    for inputs in (images, [png(image) for image in images]):
        outputs = lite.call(image_bytes=inputs)
        assert outputs.keys() == expected.keys()
        np.testing.assert_allclose(outputs.pop("probabilities"), expected["probabilities"], 1e-4)
        for name, values in outputs.items():
            np.testing.assert_array_equal(values, expected[name])


def test_other_signatures_are_answered_by_the_savedmodel(folder):
    outputs, expected = (
        kind(folder).call("images", images=EXAMPLES) for kind in (LiteVersion, ModelVersion)
    )
    np.testing.assert_array_equal(outputs["probabilities"], expected["probabilities"])


def test_a_signature_is_answered_by_its_own_litert_file(folder, monkeypatch):
    monkeypatch.setattr(ModelVersion, "function", None)
    version = LiteVersion(folder)
    assert set(version.steps()) == {"serving_default", "double"}
    outputs = version.call("double", x=[[1, 2, 3], [0, 0, 0.5]])
    np.testing.assert_array_equal(outputs["y"], [[2, 4, 6], [0, 0, 1]])
    with pytest.raises(UsageError, match="the signature double has the inputs x, got code"):
        version.call("double", code=[[1]])


def test_a_version_without_processing_is_answered_by_its_savedmodel(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "net" / "1")
    (copy / EXTRAS / PROCESSING_FILE).unlink()
    version = LiteVersion(copy)
    assert not version.answers
    outputs = version.call(image_bytes=[EXAMPLES[0]])
    np.testing.assert_allclose(
        outputs["probabilities"],
        LiteVersion(folder).call(image_bytes=[EXAMPLES[0]])["probabilities"],
        1e-4,
    )


def test_a_model_in_half_precision_is_answered_by_its_savedmodel(tmp_path):
    model, every = exports_in("mixed_bfloat16")
    folder = publish(model, tmp_path / "net", every)
    # The LiteRT file is there, and computes in float32.
    assert (folder / "model.tflite").is_file() and not (folder / EXTRAS / PROCESSING_FILE).exists()
    version = LiteVersion(folder)
    assert not version.answers
    outputs, expected = (
        kind.call(image_bytes=[png(EXAMPLES[0])]) for kind in (version, ModelVersion(folder))
    )
    np.testing.assert_array_equal(outputs["probabilities"], expected["probabilities"])


def test_the_answer_loads_no_tensorflow(folder):
    code = (
        "import sys, numpy as np, pathlib\n"
        "from dlrecipes.export.lite_version import LiteVersion\n"
        f"version = LiteVersion(pathlib.Path({str(folder)!r}))\n"
        "version.call(image_bytes=[np.zeros((9, 9, 3), 'uint8')])\n"
        "print({'tensorflow', 'keras', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("name", ["model.tflite", f"{EXTRAS}/labels.txt"])
@pytest.mark.parametrize("content", [None, b"", b"cat"])
def test_a_damaged_file_is_named_not_replaced(folder, tmp_path, name, content):
    copy = shutil.copytree(folder, tmp_path / "net" / "1")
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    with pytest.raises(PublishError) as caught:
        LiteVersion(copy).call(image_bytes=[EXAMPLES[0]])
    assert caught.value.message.startswith(f"{copy}: ")
    assert caught.value.hint.startswith("Delete its folder")


def test_wrong_requests_are_reported_in_one_line(folder):
    version = LiteVersion(folder)
    with pytest.raises(UsageError, match="has the inputs image_bytes, got images"):
        version.call(images=EXAMPLES)
    with pytest.raises(RejectedInput, match="not an image"):
        version.call(image_bytes=[b"text"])


@pytest.mark.parametrize(
    "stored",
    [
        "no JSON",
        json.dumps({"before": {"kind": "smells"}, "after": {"kind": "classes"}}),
        json.dumps({"before": {"kind": "images", "fit": "scale"}, "after": {"kind": "classes"}}),
    ],
)
def test_a_file_of_a_newer_release_is_refused(folder, tmp_path, stored):
    (tmp_path / EXTRAS).mkdir()
    (tmp_path / EXTRAS / PROCESSING_FILE).write_text(stored)
    (tmp_path / "model.tflite").write_bytes((folder / "model.tflite").read_bytes())
    with pytest.raises(PublishError, match="this version of dlrecipes cannot read it"):
        LiteVersion(tmp_path).call(image_bytes=[EXAMPLES[0]])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"crop": 1.0}, {}, "more than a grey level"),
        ({"channels": 3}, {}, "images, prepared without TensorFlow, has shape"),
        ({}, {"kind": "same"}, "model.tflite, signature serving_default.*outputs"),
    ],
)
def test_processing_that_differs_from_the_graph_is_refused(
    exports, folder, tmp_path, before, after, message
):
    """Each would publish a model that predicts something else on a device."""
    every = exports[1]
    own = every.processing
    copy = shutil.copytree(folder, tmp_path / "1")
    wrong = Processing({**own.before, **before}, {**own.after, **after}, own.tensors)
    specs = {
        name: (signature.inputs, signature.traced.structured_outputs)
        for name, signature in every.signatures.items()
    }
    (copy / EXTRAS / PROCESSING_FILE).write_text(wrong.text(specs))
    with pytest.raises(PublishError, match=message):
        check_processing(copy, wrong, every.signatures)


def test_steps_for_a_signature_that_the_model_lacks_are_refused(exports):
    every = exports[1]
    specs = {"serving_default": (every.signatures["serving_default"].inputs, {})}
    wrong = dataclasses.replace(every.processing, others={"duoble": DOUBLE})
    with pytest.raises(PublishError, match="steps for duoble, which is not a signature"):
        wrong.text(specs)


def test_another_signature_that_differs_from_the_graph_is_refused(exports, folder, tmp_path):
    every = exports[1]
    copy = shutil.copytree(folder, tmp_path / "1")
    halved = dataclasses.replace(DOUBLE, tensors=lambda x: {"x": x / 2})
    wrong = dataclasses.replace(every.processing, others={"double": halved})
    with pytest.raises(PublishError, match=r"x, prepared without TensorFlow, differs by 0\.5"):
        check_processing(copy, wrong, every.signatures)


def test_the_graph_that_prepares_requests_is_traced_once(exports, folder):
    every, traces = exports[1], []
    own, serving = every.processing, every.signatures["serving_default"]

    def tensors(*inputs):
        traces.append(inputs)
        return own.tensors(*inputs)

    # Three requests, each with an image.
    requests = [tuple(array[k : k + 1] for array in serving.examples[0]) for k in range(3)]
    several = {"serving_default": dataclasses.replace(serving, examples=requests)}
    check_processing(folder, Processing(own.before, own.after, tensors), several)
    assert len(traces) == 1


def test_prepared_images_may_differ_by_a_grey_level_and_no_more(exports, folder):
    processing = exports[1].processing
    prepared = LiteVersion(folder).prepare(image_bytes=list(EXAMPLES))
    own = processing.tensors(tf.constant([png(image) for image in EXAMPLES]))["images"].numpy()
    (matched, *_) = matched_tensors(prepared, {"images": own + np.float32(0.9 / 255)})
    # The answers are compared for the graph's own images.
    np.testing.assert_array_equal(matched.tensors["images"][0], own[0] + np.float32(0.9 / 255))
    with pytest.raises(PublishError, match="more than a grey level"):
        matched_tensors(prepared, {"images": own + np.float32(1.1 / 255)})


def test_prepared_words_must_be_equal():
    ids = np.array([[4, 2]], "int32")
    padded = np.array([[4, 2, 0]], "int32")
    matched_tensors([Prepared({"words": ids})], {"words": padded})
    for other in ([[4, 3, 0]], [[4, 2, 1]]):
        with pytest.raises(PublishError, match="words, prepared without TensorFlow, is not equal"):
            matched_tensors([Prepared({"words": ids})], {"words": np.array(other, "int32")})


def test_images_that_are_stretched_otherwise_are_refused(monkeypatch):
    check_stretched(EXAMPLES, 8)

    def other(image, size):
        return resize_array(image[..., ::-1], size, size) / np.float32(255)

    monkeypatch.setattr("dlrecipes.export.processing_check.fit_array", other)
    with pytest.raises(PublishError, match="more than a grey level"):
        check_stretched(EXAMPLES, 8)
