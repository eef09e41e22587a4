"""The REST API, checked with the examples of TensorFlow Serving's documentation."""

import base64
import json

import pytest
from rest_client import post, predict
from starlette.testclient import TestClient

from dlrecipes.serving.server import Settings, application
from dlrecipes.serving.store import ModelStore
from dlrecipes.serving.telemetry import Telemetry


def test_rows_and_columns(client):
    response = predict(client, {"instances": [1.0, 2.0, 5.0]})
    assert (response.status_code, response.json()) == (200, {"predictions": [2.5, 3.0, 4.5]})
    assert response.headers["content-type"] == "application/json"
    response = predict(client, {"inputs": [1.0, 2.0, 5.0]})
    assert response.json() == {"outputs": [2.5, 3.0, 4.5]}
    response = predict(client, {"inputs": {"x": [1.0]}, "signature_name": "serving_default"})
    assert response.json() == {"outputs": [2.5]}


def test_several_inputs_and_outputs(client):
    rows = [{"a": [1, 2], "text": "ü"}, {"a": [3, 4], "text": {"b64": "/w=="}}]
    response = predict(client, {"signature_name": "two", "instances": rows})
    assert response.json() == {
        "predictions": [
            {"sum": 3, "text": "ü", "text_bytes": {"b64": "w7w="}},
            {"sum": 7, "text": "\ufffd", "text_bytes": {"b64": "/w=="}},
        ]
    }


def test_a_signature_without_a_batch_axis_is_answered(client):
    response = predict(client, {"signature_name": "scalar", "inputs": 1.5})
    assert response.json() == {"outputs": 2.5}
    response = predict(client, {"signature_name": "scalar", "inputs": {"x": 1.5}})
    assert response.json() == {"outputs": 2.5}


def test_shapes_that_differ_from_the_declared_one_are_left_to_the_function(client):
    """As in TensorFlow Serving, whose half_plus_two declares (batch, 1) and is sent numbers."""
    response = predict(client, {"signature_name": "column", "instances": [1.0, 2.0]})
    assert response.json() == {"predictions": [2.5, 3.0]}
    response = predict(client, {"signature_name": "column", "inputs": 1.0})
    assert response.json() == {"outputs": 2.5}
    response = predict(client, {"signature_name": "scalar", "instances": [1.5, 2.5]})
    assert response.json() == {"predictions": [2.5, 3.5]}
    # If the function cannot compute it, the error has both shapes.
    response = predict(client, {"instances": [[1.0]]})
    assert response.status_code == 400
    assert response.json() == {"error": "input x must have shape (any), not (1, 1)."}


def test_a_scalar_string_is_answered(client):
    response = predict(client, {"signature_name": "greeting", "inputs": {}})
    assert (response.status_code, response.json()) == (
        200,
        {"outputs": {"text": "你好", "text_bytes": {"b64": "5L2g5aW9"}}},
    )


def test_a_signature_without_inputs_is_answered(client):
    response = predict(client, {"inputs": {}, "signature_name": "known"})
    assert (response.status_code, response.json()) == (200, {"outputs": 2.0})


@pytest.mark.parametrize("path", ["versions/3", "labels/stable", "VERSIONS/1"])
def test_versions_and_labels(client, path):
    response = predict(client, {"instances": [1.0]}, f"half_plus_two/{path}:predict")
    assert response.json() == {"predictions": [2.5]}


def test_examples_are_classified_and_regressed(client):
    body = {"signature_name": "classify_x", "examples": [{"x": 1.0}, {"x": [2.5]}]}
    response = post(client, "half_plus_two:classify", body)
    assert response.json() == {
        "results": [[["small", -1.0], ["large", 1.0]], [["small", -2.5], ["large", 2.5]]]
    }
    body = {"signature_name": "regress_x", "context": {"x": 4.0}, "examples": [{}, {"x": 2.0}]}
    response = post(client, "half_plus_two:regress", body)
    assert response.json() == {"results": [4.0, 3.0]}


@pytest.mark.parametrize(
    ("method", "body", "message"),
    [
        ("classify", {"examples": [{"x": 1.0}]}, "one Tensor of strings as the input"),
        ("regress", {"signature_name": "two", "examples": [{}]}, "Expected one input Tensor"),
        (
            "classify",
            {"signature_name": "upper", "examples": [{}]},
            'Expected classification signature outputs to contain "classes" or "scores"',
        ),
        (
            "regress",
            {"signature_name": "upper", "examples": [{}]},
            'Expected regression signature outputs to contain "outputs"',
        ),
        ("classify", {"signature_name": "classify_x"}, "key 'examples' is expected"),
        ("classify", {"signature_name": "classify_x", "examples": 1}, "to be an list/array"),
        ("classify", {"signature_name": "classify_x", "examples": []}, "is an empty array"),
        ("classify", {"signature_name": "classify_x", "examples": [1]}, "must be JSON object"),
        ("classify", {"signature_name": "classify_x", "examples": [{"x": [[1]]}]}, "JSON type"),
        ("classify", {"signature_name": "classify_x", "examples": [{"x": None}]}, "JSON type"),
        (
            "classify",
            {"signature_name": "classify_x", "examples": [{"x": [1, "a"]}]},
            "expecting type: int64",
        ),
        ("classify", {"signature_name": "classify_x", "examples": [{"x": 2**63}]}, "int64"),
        ("classify", {"signature_name": "classify_x", "examples": [{"y": 1.0}]}, "x"),
        ("regress", {"signature_name": "regress_x", "context": 1, "examples": [{}]}, "object"),
    ],
)
def test_invalid_classify_and_regress_requests_are_refused(client, method, body, message):
    response = post(client, f"half_plus_two:{method}", body)
    assert response.status_code == 400
    assert message in response.json()["error"]


def test_signatures_that_tensorflow_2_has_named_predict_are_classified_and_regressed(client):
    body = {"signature_name": "parsed_x", "examples": [{"x": 1.0}]}
    assert post(client, "half_plus_two:classify", body).json() == {
        "results": [[["small", -1.0], ["large", 1.0]]]
    }
    assert post(client, "half_plus_two:regress", body).json() == {"results": [2.5]}


def test_status_lists_the_versions(client):
    response = client.get("/v1/models/half_plus_two")
    available = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    versions = [{"version": "3", **available}, {"version": "1", **available}]
    assert (response.status_code, response.json()) == (200, {"model_version_status": versions})
    response = client.get("/v1/models/half_plus_two/versions/1")
    assert response.json() == {"model_version_status": versions[1:]}


def test_metadata_describes_the_signatures(client):
    metadata = client.get("/v1/models/half_plus_two/metadata").json()
    spec = {"name": "half_plus_two", "signature_name": "", "version": "3"}
    assert metadata["model_spec"] == spec
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["x"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}],
        "unknown_rank": False,
    }
    assert set(signature["outputs"]) == {"y"}
    scalar = metadata["metadata"]["signature_def"]["signature_def"]["scalar"]
    assert scalar["inputs"]["x"]["tensor_shape"] == {"dim": [], "unknown_rank": False}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/models/none", "Could not find any versions of model with name none"),
        ("/v1/models/none/metadata", "Servable not found for request: Latest(none)"),
        ("/v1/models/half_plus_two/versions/2", "half_plus_two and 2"),
        ("/v1/models/half_plus_two/versions/2/metadata", "Specific(half_plus_two, 2)"),
        ("/v1/models/%2e%2e", "Could not find any versions"),
    ],
)
def test_unknown_models_and_versions_are_404(client, path, message):
    response = client.get(path)
    assert response.status_code == 404
    assert message in response.json()["error"]


def test_predict_of_an_unknown_model_is_404(client):
    response = predict(client, {"instances": [1]}, "none:predict")
    assert (response.status_code, response.json()) == (
        404,
        {"error": "Servable not found for request: Latest(none)"},
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("GET", "/v1"),
        ("GET", "/v2/models/half_plus_two"),
        ("GET", "/v1/models/half_plus_two:predict"),
        ("POST", "/v1/models/half_plus_two"),
        ("POST", "/v1/models/half_plus_two:guess"),
        ("PUT", "/v1/models/half_plus_two:predict"),
        ("DELETE", "/v1/models/half_plus_two"),
        ("POST", "/v1/models/half_plus_two/versions/x:predict"),
        ("POST", "/v1/models/a/b:predict"),
        # A digit, but not one of 0 to 9.
        ("GET", "/v1/models/half_plus_two/versions/\u0661"),
    ],
)
def test_other_paths_are_malformed(client, method, path):
    response = client.request(method, path)
    assert (response.status_code, response.json()) == (
        400,
        {"error": f"Malformed request: {method} {path}"},
    )


def test_a_version_beyond_64_bits_is_refused(client):
    response = client.get(f"/v1/models/half_plus_two/versions/{10**30}")
    assert response.status_code == 400
    assert "to numeric" in response.json()["error"]
    assert client.get("/v1/models").json() == {"error": "Missing model name in request."}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The document is empty"),
        (b"{]", "JSON Parse error"),
        ({"instances": ["a"]}, "is not of expected type: float"),
        (
            {"instances": [1], "signature_name": "none"},
            'Serving signature name: "none" not found',
        ),
        ({"instances": [[1.0]]}, "input x must have shape (any), not (1, 1)"),
        ({"instances": [5000.0]}, "too large"),
        ({"instances": [0.0] * 51}, "at most 50"),
        ({"inputs": [0.0] * 51}, "at most 50"),
        ({"inputs": [], "signature_name": "known"}, "takes no inputs"),
        ({"instances": [1], "signature_name": "known"}, "takes no inputs"),
    ],
)
def test_invalid_predict_requests_are_400(client, body, message):
    response = predict(client, body)
    assert response.status_code == 400
    assert message in response.json()["error"]


@pytest.mark.parametrize("number", ["1" + 400 * "0" + ".0", "1" + 300 * "0" + "e50", "1e400"])
def test_numbers_beyond_a_double_are_refused_in_every_notation(client, number):
    response = predict(client, f'{{"instances": [{number}]}}'.encode())
    assert response.status_code == 400
    assert "too big to be stored in double" in response.json()["error"]


def test_a_closed_log_does_not_fail_requests():
    class ClosedStream:
        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    telemetry = Telemetry(ClosedStream())
    telemetry.record("half", "predict", "OK", 0.1)
    assert b'request_count{model_name="half",status="OK"} 1.0' in telemetry.page()


def test_requests_are_counted_for_prometheus(client):
    predict(client, {"instances": [1.0]})
    predict(client, {"instances": ["a"]})
    predict(client, {"instances": [1.0]}, "no_such_model:predict")
    page = client.get("/monitoring/prometheus/metrics").text
    counts = [line for line in page.splitlines() if ":tensorflow:serving:request_count{" in line]
    assert any('model_name="half_plus_two",status="OK"' in line for line in counts)
    assert any('status="INVALID_ARGUMENT"' in line for line in counts)
    # Counters for arbitrary names would use an unbounded amount of memory.
    assert "no_such_model" not in page
    assert (
        ':tensorflow:serving:request_latency_count{API="Predict",entrypoint="REST",'
        'model_name="half_plus_two"}'
    ) in page
    assert ':tensorflow:serving:batch_size_count{model_name="half_plus_two"}' in page


def test_each_request_is_logged_as_one_line_of_json(half, capsys):
    store = ModelStore(half)
    store.refresh()
    with TestClient(application(Settings(half), store)) as client:
        predict(client, {"instances": [1.0, 2.0]}, "half:predict")
        client.get("/wrong%0Apath")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["milliseconds"] > 0
    assert {name: first[name] for name in ("model", "method", "status", "http", "version")} == {
        "model": "half",
        "method": "predict",
        "status": "OK",
        "http": 200,
        "version": 1,
    }
    assert (first["signature"], first["examples"]) == ("serving_default", 2)
    assert (second["model"], second["status"], second["http"]) == ("", "INVALID_ARGUMENT", 400)


def test_base64_of_text_is_decoded(client):
    text = base64.b64encode("明月".encode()).decode()
    body = {"signature_name": "two", "inputs": {"a": [[1, 1]], "text": [{"b64": text}]}}
    assert predict(client, body).json()["outputs"]["text"] == ["明月"]
