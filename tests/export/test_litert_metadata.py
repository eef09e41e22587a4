"""LiteRT metadata: what is written, what is read, and what stays as it was."""

import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.python import schema_py_generated as schema

from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import Exports, Quantized, Signature, publish
from dlrecipes.export._flatbuffers import Table, named_buffers
from dlrecipes.export._litert_schema import (
    BufferField,
    ModelField,
    SubGraphField,
    TensorField,
)
from dlrecipes.export.image_signatures import image_signatures
from dlrecipes.export.litert import LiteRTModel, convert
from dlrecipes.export.litert_metadata import (
    ImageInput,
    add_metadata,
    classifier,
    detector,
    embedder,
    read_metadata,
    summary,
)
from dlrecipes.export.verification import check

LABELS = ["cat", "dög", "a bird"]
FORMATS = ("float16", "dynamic", "int8")
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 8, 6, 1), "uint8")


def network(channels):
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 6, channels), name="images")
    x = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu")(images))
    scores = keras.layers.Dense(3, "softmax", name="scores")(x)
    return keras.Model(images, scores, name="net")


def exports_of(model, metadata):
    def serve(images):
        return {"scores": model(images)}

    signatures, litert = image_signatures(
        serve, serve, IMAGES, fit=lambda image: tf.image.resize(image, (8, 6)), shape=(8, 6, 1)
    )
    calibration = [(image[None].astype("float32") / 255,) for image in IMAGES]
    quantized = Quantized(FORMATS, calibration, "one", lambda lite: 1.0, 0.0)
    return Exports(signatures, litert, quantized=quantized, metadata=metadata)


@pytest.fixture(scope="module")
def model():
    return network(1)


@pytest.fixture(scope="module")
def content(model):
    return convert(exports_of(model, None).litert)


def add(function, shape, metadata):
    """Adds metadata to the file of a function of images."""
    spec = tf.TensorSpec(shape, tf.float32, name="images")
    return add_metadata(convert(Signature(function, [spec], [])), metadata, "pets")


@pytest.fixture(scope="module")
def version(model, tmp_path_factory):
    exports = exports_of(model, classifier(LABELS, ImageInput(0.0, 255.0), threshold=0.25))
    return publish(model, tmp_path_factory.mktemp("models") / "pets", exports)


@pytest.mark.parametrize("kind", ["", ".float16", ".dynamic", ".int8"])
def test_each_litert_file_of_a_version_has_the_metadata(version, kind):
    path = version / f"model{kind}.tflite"
    metadata = read_metadata(path)
    (image,), (scores,) = metadata.pop("inputs"), metadata.pop("outputs")
    assert metadata["name"] == "pets"
    assert metadata["min_parser_version"] == "1.0.0"
    assert (image["width"], image["height"], image["color_space"]) == (6, 8, "RGB")
    assert (image["mean"], image["std"]) == ([0.0], [255.0])
    assert (image["min"], image["max"]) == ([0.0], [1.0])
    assert scores["labels"] == LABELS
    assert scores["threshold"] == 0.25
    with zipfile.ZipFile(path) as archive:
        (file,) = archive.infolist()
        assert archive.read(file).decode() == "cat\ndög\na bird\n"
    # MediaPipe reads the labels in place.
    assert file.compress_type == zipfile.ZIP_STORED
    # The interpreter ignores what follows the model.
    assert LiteRTModel(path)(images=IMAGES[:1] / np.float32(255))["scores"].shape == (1, 3)


def test_verification_and_card_state_the_metadata(version):
    lines = [line for line in check(version) if ".tflite" in line]
    assert len(lines) == 4
    assert all(line.endswith("metadata: RGB images of 6x8 pixels, 3 labels") for line in lines)
    card = (version / "README.md").read_text()
    assert "mp.tasks.vision.ImageClassifier.create_from_model_path" in card
    assert "does not take int8 inputs" in card


def test_a_grey_network_takes_grey_and_colour_images_of_any_batch(version, model):
    lite = LiteRTModel(version / "model.tflite")
    grey = IMAGES / np.float32(255)
    colour = np.random.default_rng(1).random((4, 8, 6, 3), "float32")
    weights = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601.
    luminance = (colour @ weights)[..., None].astype("float32")
    for images, expected in ((grey, grey), (grey.repeat(3, 3), grey), (colour, luminance)):
        outputs = lite(images=images)["scores"]
        np.testing.assert_allclose(outputs, model(expected), atol=1e-6)


def test_the_input_has_three_channels_before_it_is_resized(version):
    # MediaPipe Tasks does not resize inputs, and refuses other shapes.
    for path in version.glob("*.tflite"):
        (details,) = Interpreter(str(path)).get_input_details()
        assert details["shape"].tolist() == [1, 8, 6, 3]
        assert details["shape_signature"].tolist() == [-1, 8, 6, -1]


def test_the_model_itself_is_unchanged(content):
    added = add_metadata(content, classifier(LABELS), "pets")
    # All but the root, and the shape of the input, are the same bytes.
    assert len(added) - len(content) < 1500
    before, after = (schema.ModelT.InitFromPackedBuf(x, 0) for x in (content, added))
    assert after.version == before.version
    assert after.description == before.description
    names = [entry.name for entry in after.metadata]
    assert names == [*(entry.name for entry in before.metadata), b"TFLITE_METADATA"]
    assert after.metadata[-1].buffer == len(before.buffers) == len(after.buffers) - 1
    for old, new in zip(before.buffers, after.buffers, strict=False):
        np.testing.assert_array_equal(old.data, new.data)
    assert before.signatureDefs[0].signatureKey == after.signatureDefs[0].signatureKey
    assert dict(named_buffers(added)).keys() >= dict(named_buffers(content)).keys()


def test_the_interpreter_loads_the_file_from_memory_as_well(content):
    # TensorFlow Serving reads model.tflite into memory.
    added = add_metadata(content, classifier(LABELS), "pets")
    outputs = []
    for file in (content, added):
        run = Interpreter(model_content=file).get_signature_runner("serving_default")
        outputs.append(run(images=IMAGES / np.float32(255))["scores"])
    np.testing.assert_array_equal(*outputs)


def test_buffers_keep_their_alignment(content):
    def alignments(file):
        tables = Table(file).tables(ModelField.BUFFERS)
        positions = [table.position(BufferField.DATA) for table in tables]
        return [None if position is None else (position + 4) % 16 for position in positions]

    added = add_metadata(content, embedder(), "pets")
    assert alignments(added) == [*alignments(content), 0]


def test_equal_models_are_equal_files(content):
    files = [add_metadata(content, classifier(LABELS), "pets") for _ in range(2)]
    assert files[0] == files[1]


def test_an_embedder_has_no_labels(content, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(add_metadata(content, embedder(ImageInput(127.5, 127.5)), "faces"))
    metadata = read_metadata(path)
    assert (metadata["inputs"][0]["min"], metadata["inputs"][0]["max"]) == ([-1.0], [1.0])
    assert "labels" not in metadata["outputs"][0]
    assert not zipfile.is_zipfile(path)
    assert summary(path) == "GRAYSCALE images of 6x8 pixels"


def test_a_file_without_metadata_has_none(content, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    assert read_metadata(path) == {}
    assert summary(path) == ""


def test_damaged_metadata_is_one_line(content, tmp_path):
    added = add_metadata(content, classifier(LABELS), "pets")
    path = tmp_path / "model.tflite"
    path.write_bytes(added.replace(b"M001", b"M999"))
    with pytest.raises(PublishError, match=r"model\.tflite: its LiteRT metadata .*M999"):
        read_metadata(path)
    path.write_bytes(added[: added.rindex(b"PK\x03\x04")])
    with pytest.raises(PublishError, match=r"labels\.txt"):
        read_metadata(path)


@pytest.mark.parametrize("labels", [LABELS[:2], [*LABELS, "fish"]])
def test_labels_that_are_not_as_many_as_the_scores_are_refused(content, labels):
    with pytest.raises(PublishError, match=rf"shape \(1, {len(labels)}\).* \[1, 3\]"):
        add_metadata(content, classifier(labels), "pets")


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ([None, None, None, 3], r"\[-1, -1, -1, 3\]"),
        ([2, 4, 4, 3], r"\[2, 4, 4, 3\]"),
        ([None, 4, 4, 2], r"\[-1, 4, 4, 2\]"),
        ([None, 4], r"\[-1, 4\]"),
    ],
)
def test_inputs_that_mediapipe_cannot_feed_are_refused(shape, shown):
    with pytest.raises(PublishError, match=rf"needs an input of shape .* {shown}"):
        add(lambda x: {"y": 2 * x}, shape, embedder())


def test_a_function_of_several_outputs_is_refused():
    with pytest.raises(PublishError, match="needs one input and one output"):
        add(lambda x: {"a": x[:, 0, 0], "b": x[:, 1, 1]}, [None, 2, 2, 3], embedder())


@pytest.mark.parametrize(
    ("mean", "std"),
    [(0, 0), (0, -1), (0, float("nan")), (float("inf"), 1), ((1, 2, 3), 1), ("0", 1), (None, 1)],
)
def test_a_normalization_that_is_not_possible_is_refused(mean, std):
    with pytest.raises(UsageError, match="mean and std must be"):
        ImageInput(mean, std)


@pytest.mark.parametrize("make", [classifier, detector])
@pytest.mark.parametrize("labels", ["cat", [0, 1], [b"cat"]])
def test_labels_that_are_not_texts_are_refused(make, labels):
    with pytest.raises(UsageError, match=f"{make.__name__}: expected a list of texts as labels"):
        make(labels)


@pytest.mark.parametrize("make", [classifier, detector])
@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_that_is_not_a_score_is_refused(make, threshold):
    with pytest.raises(UsageError, match=f"{make.__name__}: threshold must be from 0 to 1"):
        make(LABELS, threshold=threshold)


def test_metadata_of_another_type_is_refused(content):
    with pytest.raises(UsageError, match="must be a Metadata, got list"):
        add_metadata(content, LABELS, "pets")


def test_a_label_is_one_line():
    assert classifier(["hot\ndog", "cat"]).labels == ["hot dog", "cat"]


def test_a_grey_keras_model_is_published_for_colour_images(model, tmp_path):
    x = IMAGES / np.float32(255)
    folder = publish(model, tmp_path / "pets", examples=x, metadata=classifier(LABELS))
    lite = LiteRTModel(folder / "model.tflite")
    for images in (x, x.repeat(3, axis=3)):
        np.testing.assert_allclose(lite(images=images)["scores"], model(x), atol=1e-6)


def rows_of(images, rows=5):
    """The outputs of a detector that finds nothing."""
    flat = tf.reduce_sum(images, axis=[2, 3])[:, :1] + tf.zeros([1, rows])
    return {
        "classes": flat,
        "count": tf.constant([float(rows)]),
        "locations": flat[..., None] + tf.zeros([4]),
        "scores": flat,
    }


def test_a_detector_has_labels_by_value_and_edges_in_their_order(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(add(rows_of, [1, 8, 8, 3], detector(LABELS, threshold=0.25)))
    metadata = read_metadata(path)
    names = [entry["name"] for entry in metadata["outputs"]]
    # MediaPipe looks for these names.
    assert names == ["location", "category", "score", "number of detections"]
    location, category, score, _ = metadata["outputs"]
    # Where left, top, right and bottom are among top, left, bottom and right.
    assert location["edges"] == [1, 0, 3, 2]
    assert category["labels"] == LABELS
    assert score["threshold"] == 0.25
    assert metadata["description"] == "For MediaPipe Tasks' ObjectDetector."
    assert summary(path) == "RGB images of 8x8 pixels, 3 labels"


def test_the_outputs_of_a_detector_are_in_the_order_of_their_metadata():
    content = add(lambda images: rows_of(images, 5), [1, 8, 8, 3], detector(LABELS))
    (graph,) = Table(content).tables(ModelField.SUBGRAPHS)
    tensors = graph.tables(SubGraphField.TENSORS)
    outputs = [tensors[k] for k in graph.array(SubGraphField.OUTPUTS, np.int32)]
    shapes = [output.array(TensorField.SHAPE, np.int32).tolist() for output in outputs]
    assert shapes == [[1, 5, 4], [1, 5], [1, 5], [1]]
    # By name, they are the same as before.
    run = Interpreter(model_content=content).get_signature_runner("serving_default")
    images = np.ones((1, 8, 8, 3), "float32")
    for name, value in rows_of(images).items():
        np.testing.assert_allclose(run(images=images)[name], value)


def renamed(images):
    outputs = rows_of(images)
    outputs["boxes"] = outputs.pop("locations")
    return outputs


def with_loop(images):
    outputs = rows_of(images)
    total = tf.while_loop(lambda x: tf.reduce_sum(x) < 1e6, lambda x: 2 * x + 1, [images])[0]
    return {**outputs, "scores": outputs["scores"] + tf.reduce_sum(total)}


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (lambda x: {"y": 2 * x}, "needs one input and four outputs, .* 1 and 1"),
        (renamed, r"needs the outputs locations \[1, 5, 4\].*has boxes \[1, 5, 4\]"),
        (lambda x: {**rows_of(x), "scores": rows_of(x, 6)["scores"]}, r"scores \[1, 6\]"),
        (with_loop, "needs a graph without loops"),
    ],
)
def test_outputs_that_are_not_a_detectors_are_refused(function, shown):
    with pytest.raises(PublishError, match=shown):
        add(function, [1, 8, 8, 3], detector(LABELS))
