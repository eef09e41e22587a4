"""The file of warm-up requests: what is written, and what of other tools' files is read."""

import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.export import Exports, Signature, warmup_requests
from dlrecipes.export.version import EXTRAS, WARMUP_FILE, ModelVersion
from dlrecipes.export.warmup_requests import read_warmup_requests, write_warmup_requests


@pytest.fixture
def folder(tmp_path):
    (tmp_path / EXTRAS).mkdir()
    return tmp_path


def write(folder, shape, array):
    signature = Signature(lambda x: {"y": x}, [tf.TensorSpec(shape, name="x")], [(array,)])
    write_warmup_requests(folder, "net", Exports({"serving_default": signature}, signature))
    return folder / EXTRAS / WARMUP_FILE


def test_tensorflow_serving_reads_the_requests_of_a_published_version(published):
    """Parsed with TensorFlow Serving's own package, and replayed on the SavedModel."""
    api = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    version = ModelVersion(published)
    replayed = []
    for record in tf.data.TFRecordDataset(str(published / EXTRAS / WARMUP_FILE)):
        log = api.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == "net"
        name = request.model_spec.signature_name
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        assert version.call(name, **inputs)
        replayed.append((name, {key: array.shape for key, array in inputs.items()}))
    # Two examples of numbers, of which two rows are kept, and one example of words.
    assert sorted(replayed, key=str) == [
        ("serving_default", {"x": (1, 3)}),
        ("serving_default", {"x": (2, 3)}),
        ("words", {"word": (2,)}),
    ]


def test_the_checksums_of_a_version_cover_the_requests(published):
    sums = json.loads((published / EXTRAS / "checksums.json").read_text())
    content = (published / EXTRAS / WARMUP_FILE).read_bytes()
    assert sums[f"{EXTRAS}/{WARMUP_FILE}"] == hashlib.sha256(content).hexdigest()


def test_numbers_and_types_of_the_fields_are_tensorflow_servings():
    """Every field that is declared again has the number and the kind of the original."""
    api = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")

    def compare(ours, theirs):
        for field in ours.fields:
            other = theirs.fields_by_name[field.name]
            assert (field.number, field.is_repeated) == (other.number, other.is_repeated)
            if field.message_type is None:
                wire_bytes = (field.TYPE_STRING, field.TYPE_BYTES, field.TYPE_MESSAGE)
                assert other.type in wire_bytes
            else:
                compare(field.message_type, other.message_type)

    compare(warmup_requests._message("PredictionLog").DESCRIPTOR, api.PredictionLog.DESCRIPTOR)


def test_a_large_example_is_written_as_a_single_row_or_not_at_all(folder):
    limit = warmup_requests.MAX_BYTES // 4
    (request,) = read_warmup_requests(write(folder, [None, None], np.ones((2, limit * 2 // 3))))
    assert request.inputs["x"].shape == (1, limit * 2 // 3)
    (folder / EXTRAS / WARMUP_FILE).unlink()
    assert not write(folder, [None, None], np.ones((2, limit))).exists()
    assert not write(folder, [2, limit], np.ones((2, limit))).exists()


def example(**features):
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
                for name, value in features.items()
            }
        )
    )


def test_requests_of_each_kind_are_read(folder):
    api = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    logs = [api.PredictionLog() for _ in range(4)]
    predict = logs[0].predict_log.request
    predict.model_spec.version.value = 3
    predict.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0, 2.0]]))
    classify = logs[1].classify_log.request
    classify.model_spec.signature_name = "c"
    classify.input.example_list.examples.extend([example(a=1.0), example(a=2.0)])
    regress = logs[2].regress_log.request
    regress.model_spec.signature_name = "r"
    regress.input.example_list_with_context.context.CopyFrom(example(a=1.0, b=2.0))
    regress.input.example_list_with_context.examples.extend([example(b=5.0)])
    several = logs[3].multi_inference_log.request
    for name in ("c", "r"):
        several.tasks.add().model_spec.signature_name = name
    several.input.example_list.examples.extend([example(a=1.0)])
    path = folder / "requests"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    first, *others = read_warmup_requests(path)
    assert first.signature == ""
    np.testing.assert_array_equal(first.inputs["x"], np.float32([[1, 2]]))
    parsed = [
        (request.signature, list(map(tf.train.Example.FromString, request.examples)))
        for request in others
    ]
    assert parsed == [
        ("c", [example(a=1.0), example(a=2.0)]),
        ("r", [example(a=1.0, b=5.0)]),
        ("c", [example(a=1.0)]),
        ("r", [example(a=1.0)]),
    ]


def test_a_request_of_another_kind_is_refused(folder):
    api = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    log = api.PredictionLog()
    log.session_run_log.SetInParent()
    with tf.io.TFRecordWriter(str(folder / "requests")) as writer:
        writer.write(log.SerializeToString())
    with pytest.raises(ValueError, match="not a predict, classify or regress request"):
        list(read_warmup_requests(folder / "requests"))
