"""The gRPC services, called by TensorFlow Serving's own client."""

import asyncio
import socket

import numpy as np
import pytest
import tensorflow as tf

grpc = pytest.importorskip("grpc")
pytest.importorskip("tensorflow_serving")

from tensorflow_serving.apis import (  # noqa: E402
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from dlrecipes.serving.batching import Batcher  # noqa: E402
from dlrecipes.serving.limits import Limits  # noqa: E402
from dlrecipes.serving.rpc import Rpc  # noqa: E402
from dlrecipes.serving.store import ModelStore  # noqa: E402
from dlrecipes.serving.telemetry import Telemetry  # noqa: E402


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address()) as channel:
        yield channel


def test_a_port_in_use_is_reported_before_models_are_loaded(dlrecipes, half, monkeypatch):
    monkeypatch.setattr(ModelStore, "refresh", lambda store: pytest.fail("models are loaded"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        answer = dlrecipes("serve", "--models", half, "--port", 0, "--grpc-port", port)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith(f"Error: --host 127.0.0.1 --grpc-port {port}: ")
    assert len(answer.err.splitlines()) == 2


@pytest.fixture(scope="module")
def loaded(half):
    store = ModelStore(half)
    store.refresh()
    yield store
    store.close()


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


def test_predict_fills_the_field_of_the_type(stub):
    """As `AsProtoField`, TensorFlow Serving's default: its own test reads `float_val`."""
    y = stub.Predict(predict(np.float32([1, 2, 5])), timeout=60).outputs["y"]
    assert list(y.float_val) == [2.5, 3.0, 4.5]
    assert y.tensor_content == b""


def test_predict_accepts_shapes_that_the_function_accepts(stub):
    request = predict(np.float32([1.5, 2.5]), signature="scalar")
    assert list(stub.Predict(request, timeout=60).outputs["y"].float_val) == [2.5, 3.5]


def test_predict_answers_a_scalar_string(stub):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", "greeting"
    text = stub.Predict(request, timeout=60).outputs["text"]
    assert (list(text.string_val), len(text.tensor_shape.dim)) == (["你好".encode()], 0)


@pytest.mark.parametrize("spec", [{}, {"version": 1}, {"label": "stable"}])
def test_predict(stub, spec):
    response = stub.Predict(predict(np.float32([1, 2, 5]), **spec), timeout=60)
    y = tf.make_ndarray(response.outputs["y"])
    np.testing.assert_array_equal(y, np.float32([2.5, 3, 4.5]))
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half", 1, "serving_default")


def test_predict_returns_the_outputs_of_the_filter_or_all(stub):
    request = predict_pb2.PredictRequest(output_filter=["sum"])
    request.model_spec.name, request.model_spec.signature_name = "half", "two"
    request.inputs["a"].CopyFrom(tf.make_tensor_proto(np.int32([[1, 2]])))
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["ü"]))
    response = stub.Predict(request, timeout=60)
    assert set(response.outputs) == {"sum"}
    assert tf.make_ndarray(response.outputs["sum"]).tolist() == [3]
    del request.output_filter[:]
    response = stub.Predict(request, timeout=60)
    assert tf.make_ndarray(response.outputs["text"]).tolist() == ["ü".encode()]


def test_a_long_string_is_not_repeated_to_fill_a_shape(stub):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", "two"
    request.inputs["a"].CopyFrom(tf.make_tensor_proto(np.int32([[1, 2]] * 20)))
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["y" * 3_000_000]))
    request.inputs["text"].tensor_shape.dim[0].size = 20
    with pytest.raises(grpc.RpcError) as error:
        stub.Predict(request, timeout=60)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "an invalid or too large shape: [20]" in error.value.details()


def test_a_context_that_would_take_too_much_memory_is_refused(stub):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", "classify_x"
    shared = request.input.example_list_with_context
    shared.examples.extend([example(1.0)] * 20)
    more = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"y" * 3_000_000]))
    shared.context.features.feature["more"].CopyFrom(more)
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
    classifications = stub.Classify(request, timeout=60).result.classifications
    rows = [[(entry.label, entry.score) for entry in row.classes] for row in classifications]
    assert rows == [[("small", -1), ("large", 1)], [("small", -2), ("large", 2)]]
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", "regress_x"
    shared = request.input.example_list_with_context
    shared.context.CopyFrom(example(4.0))
    shared.examples.extend([tf.train.Example(), example(2.0)])
    regressions = stub.Regress(request, timeout=60).result.regressions
    assert [entry.value for entry in regressions] == [4.0, 3.0]


def multi_inference(*tasks):
    request = inference_pb2.MultiInferenceRequest()
    for name, signature, method in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = name, signature
    request.input.example_list.examples.extend([example(2.0)])
    return request


def test_multi_inference_answers_several_signatures(stub):
    request = multi_inference(("half", "regress_x", "regress"), ("half", "classify_x", "classify"))
    regressed, classified = stub.MultiInference(request, timeout=60).results
    assert regressed.regression_result.regressions[0].value == 3.0
    (row,) = classified.classification_result.classifications
    assert [(entry.label, entry.score) for entry in row.classes] == [("small", -2), ("large", 2)]
    for result, name in ((regressed, "regress_x"), (classified, "classify_x")):
        spec = result.model_spec
        assert (spec.name, spec.version.value, spec.signature_name) == ("half", 1, name)


REGRESS = ("half", "regress_x", "regress")


@pytest.mark.parametrize(
    ("tasks", "code", "message"),
    [
        ([], "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        ([REGRESS, ("other", "parsed_x", "regress")], "INVALID_ARGUMENT", "the same model name"),
        ([REGRESS, REGRESS], "INVALID_ARGUMENT", "Duplicate evaluation of signature: regress_x"),
        ([("half", "regress_x", "predict")], "UNIMPLEMENTED", "method_name: tensorflow/serving/p"),
        ([("none", "regress_x", "regress")], "NOT_FOUND", "Latest(none)"),
        ([("half", "upper", "regress")], "INVALID_ARGUMENT", 'outputs to contain "outputs"'),
    ],
)
def test_invalid_multi_inference_requests_get_their_status_codes(stub, tasks, code, message):
    with pytest.raises(grpc.RpcError) as caught:
        stub.MultiInference(multi_inference(*tasks), timeout=60)
    assert caught.value.code().name == code
    assert message in caught.value.details()


def test_metadata_and_status(stub, channel):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "half"
    response = stub.GetModelMetadata(request, timeout=60)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert "serving_default" in signatures.signature_def
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "half"
    service = model_service_pb2_grpc.ModelServiceStub(channel)
    (status,) = service.GetModelStatus(request, timeout=60).model_version_status
    assert (status.version, status.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)


def with_huge_shape():
    request = predict(np.float32([1]))
    request.inputs["x"].tensor_shape.dim[0].size = 10**12
    return request


def with_negative_shape():
    request = predict(np.float32([1]))
    request.inputs["x"].tensor_shape.dim[0].size = -5
    return request


def with_filter(*names):
    request = predict(np.float32([1]))
    request.output_filter.extend(names)
    return request


def with_unknown_input():
    request = predict(np.float32([1]))
    request.inputs["z"].CopyFrom(request.inputs["x"])
    return request


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (predict(np.float32([1]), name="none"), "NOT_FOUND", "Latest(none)"),
        (predict(np.float32([1]), version=7), "NOT_FOUND", "Specific(half, 7)"),
        (predict(np.float32([1]), label="x"), "INVALID_ARGUMENT", "version label: x"),
        (predict(np.float32([1]), signature="x"), "FAILED_PRECONDITION", '"x" not found'),
        (predict(np.float32([1]), name=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (with_filter("z"), "INVALID_ARGUMENT", "alias not found in signature: z"),
        (with_filter("y", "y"), "INVALID_ARGUMENT", "duplicate output tensor alias: y"),
        (predict(np.int32([1])), "INVALID_ARGUMENT", "must be of type float32, not int32"),
        (predict(np.float32([[1]])), "INVALID_ARGUMENT", "must have shape (any), not (1, 1)"),
        (predict(np.float32([5000])), "INVALID_ARGUMENT", "too large"),
        (predict(np.zeros(21, "float32")), "INVALID_ARGUMENT", "at most 20"),
        (with_huge_shape(), "INVALID_ARGUMENT", "an invalid or too large shape"),
        (with_negative_shape(), "INVALID_ARGUMENT", "an invalid or too large shape"),
        (with_unknown_input(), "INVALID_ARGUMENT", "2!=1 len({x,z}) != len({x}). Sent extra: {z}"),
    ],
)
def test_invalid_requests_get_their_status_codes(stub, request_, code, message):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request_, timeout=60)
    assert caught.value.code().name == code
    assert message in caught.value.details()


def examples_request(kind, signature, count):
    request = kind()
    request.model_spec.name = "half"
    request.model_spec.signature_name = signature
    for _ in range(count):
        request.input.example_list.examples.add().features.feature["x"].float_list.value.append(1)
    return request


def multi_request():
    request = inference_pb2.MultiInferenceRequest()
    for name in ("classify", "regress"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{name}")
        task.model_spec.name, task.model_spec.signature_name = "half", f"{name}_x"
    request.input.example_list.examples.add().features.feature["x"].float_list.value.append(1)
    return request


# A number has four bytes; the classes are "small" and "large".
@pytest.mark.parametrize(
    ("method", "request_", "size"),
    [
        ("Predict", predict(np.float32([1, 2, 3])), 12),
        (
            "Classify",
            examples_request(classification_pb2.ClassificationRequest, "classify_x", 2),
            2 * (5 + 5 + 8),
        ),
        ("Regress", examples_request(regression_pb2.RegressionRequest, "regress_x", 3), 12),
        ("MultiInference", multi_request(), 5 + 5 + 8 + 4),
    ],
)
def test_outputs_beyond_the_limit_are_refused(loaded, method, request_, size):
    class AbortError(Exception):
        pass

    class Context:
        async def abort(self, code, message):
            raise AbortError(code.name, message)

    async def ask(output):
        batcher = Batcher(1, 1, 0.0, 10)
        rpc = Rpc(loaded, batcher, Telemetry(None), Limits(output=output))
        response = await getattr(rpc, method)(request_, Context())
        batcher.close()
        return response

    assert asyncio.run(ask(size)).ByteSize() >= size
    with pytest.raises(AbortError) as error:
        asyncio.run(ask(size - 1))
    code, message = error.value.args
    assert code == "RESOURCE_EXHAUSTED"
    assert f"more than {size - 1} bytes, the limit of --max-output-mb" in message
