"""Limits on requests of the REST API, each with its status."""

import asyncio
import gzip
import json

import pytest
from rest_client import post, predict
from starlette.testclient import TestClient

from dlrecipes.serving.limits import Admission, Limits
from dlrecipes.serving.server import Settings, application
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.store import ModelStore


def test_bodies_beyond_the_limit_are_refused(client):
    response = predict(client, b"[" + b"1," * 20_000)
    assert (response.status_code, response.json()) == (
        413,
        {"error": "The body is larger than 20000 bytes."},
    )


def test_gzipped_bodies_are_decompressed_up_to_the_limit(client):
    headers = {"Content-Encoding": "gzip"}
    body = json.dumps({"instances": [1.0]}).encode()
    packed = gzip.compress(body)
    assert predict(client, packed, headers=headers).json() == {"predictions": [2.5]}
    for content, status, message in (
        (body, 400, "not valid gzip"),
        (packed[:-9], 400, "truncated"),
        (gzip.compress(b"0" * 10_000_000), 413, "larger than 20000"),
        (packed + gzip.compress(b"more"), 400, "followed by other data"),
    ):
        response = predict(client, content, headers=headers)
        assert response.status_code == status
        assert message in response.json()["error"]
    response = predict(client, body, headers={"Content-Encoding": "br"})
    assert response.status_code == 415
    assert "'br' is not supported" in response.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [1.0] * 50 + ["x"]},
        {"inputs": [1.0] * 50 + ["x"]},
        {"signature_name": "two", "inputs": {"a": [[1, 2]] * 51, "text": [5] * 51}},
    ],
)
def test_examples_are_counted_before_they_are_converted(client, body):
    response = predict(client, body)
    assert response.status_code == 400
    assert "has 51 examples; at most 50" in response.json()["error"]


def test_a_context_that_would_take_too_much_memory_is_refused(client):
    body = {
        "signature_name": "classify_x",
        "context": {"more": "y" * 1000},
        "examples": [{"x": 1.0}] * 20,
    }
    response = post(client, "half_plus_two:classify", body)
    assert response.status_code == 400
    assert "The context, once for each example, would take 20" in response.json()["error"]
    body["examples"] = [{"x": 1.0}]
    assert post(client, "half_plus_two:classify", body).status_code == 200


def test_the_total_size_of_bodies_is_bounded():
    async def fill():
        admission = Admission(requests=2, size=100)
        with admission.request() as first, admission.request() as second:
            first(60)
            second(40)
            with pytest.raises(RequestError, match="hold 100 bytes") as full:
                second(1)
            with (
                pytest.raises(RequestError, match="There are 2 requests") as many,
                admission.request(),
            ):
                pass
        assert (full.value.http, many.value.http) == (429, 429)
        assert (admission.now, admission.held) == (0, 0)

    asyncio.run(fill())


def test_a_request_beyond_its_time_limit_is_504(half):
    store = ModelStore(half)
    store.refresh()
    settings = Settings(half, limits=Limits(seconds=0.05), batch_timeout=1.0, log=False)
    with TestClient(application(settings, store)) as client:
        response = predict(client, {"instances": [1.0]}, "half:predict")
    assert response.status_code == 504
    assert "longer than 0.05 s" in response.json()["error"]
