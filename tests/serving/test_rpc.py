"""gRPC by TensorFlow Serving's own client."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

grpc = pytest.importorskip("grpc")
pytest.importorskip("tensorflow_serving")

from tensorflow_serving.apis import (  # noqa: E402
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)


@pytest.fixture(scope="module")
def channel(saved, tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    shutil.copytree(saved, root / "half" / "1")
    command = [sys.executable, "-m", "dlrecipes", "serve", "--models", str(root)]
    options = ["--grpc-port", "0", "--label", "half:stable=1", "--max-rows", "20"]
    process = subprocess.Popen(
        [*command, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        address = next(line for line in lines if line.startswith("gRPC at")).split()[-1]
        with grpc.insecure_channel(address) as found:
            yield found
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Traceback" not in err
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def test_a_port_that_is_taken_is_one_line(saved, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "dlrecipes", "serve", "--models", str(tmp_path)]
        ended = subprocess.run(
            [*command, "--port", "0", "--grpc-port", port], capture_output=True, text=True
        )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"Error: --host 127.0.0.1 --grpc-port {port}: ")
    assert "Traceback" not in ended.stderr


@pytest.fixture
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def predict(x, name="half", signature="", **spec):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    if "label" in spec:
        request.model_spec.version_label = spec["label"]
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(x))
    return request


@pytest.mark.parametrize("spec", [{}, {"version": 1}, {"label": "stable"}])
def test_predict(stub, spec):
    found = stub.Predict(predict(np.float32([1, 2, 5]), **spec), timeout=60)
    np.testing.assert_array_equal(tf.make_ndarray(found.outputs["y"]), np.float32([2.5, 3, 4.5]))
    told = found.model_spec
    assert (told.name, told.version.value, told.signature_name) == ("half", 1, "serving_default")


def test_predict_of_some_outputs(stub):
    request = predict_pb2.PredictRequest(output_filter=["sum"])
    request.model_spec.name, request.model_spec.signature_name = "half", "two"
    request.inputs["a"].CopyFrom(tf.make_tensor_proto(np.int32([[1, 2]])))
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["ü"]))
    found = stub.Predict(request, timeout=60)
    assert set(found.outputs) == {"sum"}
    assert tf.make_ndarray(found.outputs["sum"]).tolist() == [3]
    del request.output_filter[:]
    found = stub.Predict(request, timeout=60)
    assert tf.make_ndarray(found.outputs["text"]).tolist() == ["ü".encode()]


def test_one_string_does_not_stand_for_many(stub):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", "two"
    request.inputs["a"].CopyFrom(tf.make_tensor_proto(np.int32([[1, 2]] * 20)))
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["y" * 3_000_000]))
    request.inputs["text"].tensor_shape.dim[0].size = 20
    with pytest.raises(grpc.RpcError) as error:
        stub.Predict(request, timeout=60)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "a shape that is not taken: [20]" in error.value.details()


def test_a_context_that_would_fill_the_memory_is_refused(stub):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", "classify_x"
    given = request.input.example_list_with_context
    given.examples.extend([example(1.0)] * 20)
    more = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"y" * 3_000_000]))
    given.context.features.feature["more"].CopyFrom(more)
    with pytest.raises(grpc.RpcError) as error:
        stub.Classify(request, timeout=60)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "The context, once for each example" in error.value.details()


def example(x):
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[x]))
    return tf.train.Example(features=tf.train.Features(feature={"x": feature}))


def test_classify_and_regress(stub):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", "classify_x"
    request.input.example_list.examples.extend([example(1.0), example(2.0)])
    found = stub.Classify(request, timeout=60).result.classifications
    rows = [[(one.label, one.score) for one in row.classes] for row in found]
    assert rows == [[("small", -1), ("large", 1)], [("small", -2), ("large", 2)]]
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", "regress_x"
    shared = request.input.example_list_with_context
    shared.context.CopyFrom(example(4.0))
    shared.examples.extend([tf.train.Example(), example(2.0)])
    found = stub.Regress(request, timeout=60).result.regressions
    assert [one.value for one in found] == [4.0, 3.0]


def test_metadata_and_status(stub, channel):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "half"
    found = stub.GetModelMetadata(request, timeout=60)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert found.metadata["signature_def"].Unpack(signatures)
    assert "serving_default" in signatures.signature_def
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "half"
    service = model_service_pb2_grpc.ModelServiceStub(channel)
    (told,) = service.GetModelStatus(request, timeout=60).model_version_status
    assert (told.version, told.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)


def huge():
    request = predict(np.float32([1]))
    request.inputs["x"].tensor_shape.dim[0].size = 10**12
    return request


def unlike():
    request = predict(np.float32([1]))
    request.inputs["x"].tensor_shape.dim[0].size = -5
    return request


def unnamed():
    request = predict(np.float32([1]))
    request.inputs["z"].CopyFrom(request.inputs["x"])
    return request


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (predict(np.float32([1]), name="none"), "NOT_FOUND", "Latest(none)"),
        (predict(np.float32([1]), version=7), "NOT_FOUND", "Specific(half, 7)"),
        (predict(np.float32([1]), label="x"), "INVALID_ARGUMENT", "version label: x"),
        (predict(np.float32([1]), signature="x"), "INVALID_ARGUMENT", '"x" not found'),
        (predict(np.int32([1])), "INVALID_ARGUMENT", "must be of type float32, not int32"),
        (predict(np.float32([[1]])), "INVALID_ARGUMENT", "must have shape (any), not (1, 1)"),
        (predict(np.float32([5000])), "INVALID_ARGUMENT", "too large"),
        (predict(np.zeros(21, "float32")), "INVALID_ARGUMENT", "at most 20"),
        (huge(), "INVALID_ARGUMENT", "a shape that is not taken"),
        (unlike(), "INVALID_ARGUMENT", "a shape that is not taken"),
        (unnamed(), "INVALID_ARGUMENT", "not found in signature"),
    ],
)
def test_wrong_requests_have_their_codes(stub, request_, code, said):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request_, timeout=60)
    assert caught.value.code().name == code
    assert said in caught.value.details()
