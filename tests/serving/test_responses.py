"""Responses: their size is bounded, and large ones are written and sent piece by piece."""

import asyncio
import threading

import numpy as np
import pytest
from starlette.testclient import TestClient

from dlrecipes.serving import json_output, responses
from dlrecipes.serving.limits import Limits
from dlrecipes.serving.server import Settings, application
from dlrecipes.serving.store import ModelStore


@pytest.fixture(scope="module")
def client(half):
    store = ModelStore(half)
    store.refresh()
    with TestClient(application(Settings(half, log=False), store)) as client:
        yield client


def post(client, body, method="predict"):
    return client.post(f"/v1/models/half:{method}", json=body)


@pytest.fixture
def limited(client, monkeypatch):
    """The client of a server whose responses are limited to the returned number of bytes."""

    def limit(output, **attributes):
        application = client.app.default
        monkeypatch.setattr(application.writer, "limits", Limits(output=output))
        for name, value in attributes.items():
            monkeypatch.setattr(application.writer, name, value)
        return client

    return limit


# 50 numbers take at least 4 bytes each, and these take 10: "8.6434567,".
NUMBERS = [13.2869134] * 50


@pytest.mark.parametrize(("limit", "status"), [(100, 429), (400, 429), (600, 200)])
@pytest.mark.parametrize("small", [0, 10**6])
def test_responses_beyond_the_limit_are_refused(limited, monkeypatch, limit, status, small):
    # Both when they are written in a thread, and when they are not.
    monkeypatch.setattr(responses, "SMALL", small)
    response = post(limited(limit), {"instances": NUMBERS})
    assert response.status_code == status
    if status == 429:
        message = response.json()["error"]
        assert f"more than {limit} bytes, the limit of --max-output-mb" in message
        assert "\n" not in message


def test_results_beyond_the_limit_are_refused(limited):
    body = {"signature_name": "classify_x", "examples": [{"x": 0.1}] * 50}
    assert post(limited(300), body, "classify").status_code == 429
    assert post(limited(3000), body, "classify").status_code == 200


def test_large_responses_are_written_outside_the_event_loop(limited, monkeypatch):
    names = []
    dump = json_output._dump_numbers

    def record(block):
        names.append(threading.current_thread().name)
        return dump(block)

    monkeypatch.setattr(json_output, "_dump_numbers", record)
    monkeypatch.setattr(responses, "SMALL", 100)
    client = limited(10_000)
    assert post(client, {"instances": NUMBERS}).status_code == 200
    assert all(name.startswith("writer") for name in names)
    assert names


def test_all_responses_together_are_bounded(limited, monkeypatch):
    monkeypatch.setattr(responses, "SMALL", 0)
    response = post(limited(10_000, held=90, size=100), {"instances": NUMBERS})
    assert response.status_code == 429
    assert "Responses hold 90 bytes already" in response.json()["error"]
    client = limited(10_000, held=0, size=10_000)
    assert post(client, {"instances": NUMBERS}).status_code == 200
    # A response that was sent or refused holds nothing.
    assert client.app.default.writer.held == 0


def test_a_response_holds_its_size_until_it_is_sent():
    async def hold():
        writer = responses.Writer(Limits(output=10**6))
        with writer.response():
            outputs = {"y": np.zeros(100_000, "float32")}
            pieces = lambda: json_output.pieces(outputs, rows=False)  # noqa: E731
            body = await writer.write(outputs, pieces)
            assert writer.held == len(body)
        writer.close()
        return writer.held

    assert asyncio.run(hold()) == 0


def test_a_response_that_is_cancelled_is_not_written_further():
    async def cancel():
        writer = responses.Writer(Limits())
        written, cancelled, ended = [], threading.Event(), threading.Event()

        def pieces():
            for number in range(100):
                written.append(number)
                cancelled.wait(10)
                yield b"x"
            ended.set()

        task = asyncio.create_task(writer.write({"y": np.zeros(10_000)}, pieces))
        while not written:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()
        writer._thread.shutdown()
        return written

    assert asyncio.run(cancel()) == [0]


def test_a_client_that_does_not_read_its_response_does_not_keep_it_forever(monkeypatch):
    monkeypatch.setattr(responses, "SECONDS_PER_MIB", 0.001)
    body = bytes(range(256)) * 4 * 1024
    sent = []

    async def read(message):
        sent.append(message)

    async def stuck(message):
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)

    response = responses.JsonResponse(body, 200, 0.05)
    asyncio.run(asyncio.wait_for(response({}, None, stuck), 10))
    asyncio.run(response({}, None, read))
    assert b"".join(message.get("body", b"") for message in sent) == body
    assert [message.get("more_body") for message in sent[1:]] == [True, True, True, False]
    assert dict(sent[0]["headers"])[b"content-length"] == b"%d" % len(body)
