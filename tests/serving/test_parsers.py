"""The processes that parse large bodies."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from dlrecipes.serving import json_body
from dlrecipes.serving import parsers as parsers_module
from dlrecipes.serving.limits import SMALL, Limits
from dlrecipes.serving.parsers import LARGE, Parsers
from dlrecipes.serving.server import Settings, application
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.store import ModelStore


@pytest.fixture
def parsers():
    parsers = Parsers(1)
    yield parsers
    parsers.close()


def run(parsers, *call):
    return asyncio.run(parsers.run(*call))


def test_bodies_are_read_in_a_process_without_tensorflow(parsers):
    body = b'{"instances": [{"x": [1, NaN], "s": "\\u00fc"}]}'
    dtypes = {"": {"x": "float32", "s": "string"}}
    name, arrays, rows = run(parsers, json_body.read, body, dtypes, Limits())
    assert (name, rows, arrays["s"].tolist()) == ("", True, ["ü".encode()])
    np.testing.assert_array_equal(arrays["x"], np.float32([[1, np.nan]]))
    assert not run(parsers, eval, "'tensorflow' in __import__('sys').modules")
    with pytest.raises(RequestError, match="Is not object") as error:
        run(parsers, json_body.read, b"[1]", dtypes, Limits())
    assert (error.value.code, error.value.http) == ("INVALID_ARGUMENT", 400)


@pytest.mark.parametrize("size", [10, SMALL + 1, LARGE + 1])
def test_only_large_bodies_are_read_in_a_process(parsers, size):
    code = b"__import__('os').getpid()" + b" " * size
    number = asyncio.run(parsers.parse(eval, code))
    assert (number == os.getpid()) == (size <= LARGE)


def test_a_process_that_ends_fails_its_request_only(parsers):
    before = run(parsers, os.getpid)
    assert before != os.getpid()
    with pytest.raises(RequestError, match="has ended") as error:
        run(parsers, os._exit, 1)
    assert error.value.code == "RESOURCE_EXHAUSTED"
    assert run(parsers, os.getpid) != before


def test_a_process_that_cannot_start_fails_its_request_only(parsers, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(parsers_module, "spawn", fail)
        with pytest.raises(RequestError, match="cannot start: Resource temporarily unavailable"):
            run(parsers, os.getpid)
    assert run(parsers, os.getpid) != os.getpid()


def test_a_request_beyond_its_time_ends_its_process(parsers):
    async def cancel():
        number = await parsers.run(os.getpid)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(parsers.run(time.sleep, 60), 0.2)
        # The only process is free again.
        return number, await asyncio.wait_for(parsers.run(os.getpid), 30)

    first, second = asyncio.run(cancel())
    assert first != second


def test_a_signal_to_all_processes_does_not_end_a_request(parsers):
    number = run(parsers, os.getpid)
    os.kill(number, signal.SIGTERM)
    assert run(parsers, os.getpid) == number


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_end_with_the_server(tmp_path):
    code = (
        "import asyncio, os; from dlrecipes.serving.parsers import Parsers; parsers = Parsers(1); "
        "print(asyncio.run(parsers.run(os.getpid)), flush=True); os._exit(0)"
    )
    number = int(subprocess.check_output([sys.executable, "-c", code], text=True))
    for _ in range(100):
        status = Path(f"/proc/{number}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the process still runs")


def test_large_bodies_are_answered_like_small_ones(half, monkeypatch):
    bodies = [
        ("predict", {"instances": [1.0, 2.0]}),
        ("predict", {"instances": [1.0, "a"]}),
        ("predict", {"instances": [0.0] * 51}),
        ("predict", {"instances": [5000.0]}),
        ("predict", {"signature_name": "none", "instances": [1]}),
        ("predict", {"signature_name": "two", "inputs": {"a": [[1, 2]], "text": [{"b64": "/w"}]}}),
        ("predict", b"{]"),
        ("classify", {"signature_name": "classify_x", "examples": [{"x": 1.0}, {"x": [2.5]}]}),
        ("classify", {"signature_name": "classify_x", "examples": [{"x": [1, "a"]}]}),
        ("regress", {"signature_name": "regress_x", "context": {"x": 4}, "examples": [{}]}),
    ]
    store = ModelStore(half)
    store.refresh()
    settings = Settings(half, limits=Limits(rows=50), log=False)
    with TestClient(application(settings, store)) as client:
        small = [ask(client, *request) for request in bodies]
        monkeypatch.setattr(parsers_module, "LARGE", 0)
        large = [ask(client, *request) for request in bodies]
    assert large == small
    assert {status for status, _ in small} == {200, 400}


def ask(client, method, body):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.post(f"/v1/models/half:{method}", content=content)
    return response.status_code, response.json()


@pytest.fixture
def large_server(half, start_server):
    server = start_server(half, "--max-rows", "1000000", "--no-log")
    yield server
    server.kill()


def latencies(server, end):
    """Returns the latencies of small requests until `end` returns true."""
    taken = []
    while not end():
        began = time.perf_counter()
        assert server.ask("/v1/models/half:predict", {"instances": [1.0]})[0] == 200
        taken.append(time.perf_counter() - began)
        time.sleep(0.01)
    return taken


def post(server, body):
    url = f"{server.url}/v1/models/half:predict"
    with urllib.request.urlopen(url, body, timeout=60) as response:
        return response.read()


@pytest.mark.slow
def test_no_body_keeps_other_requests_waiting(large_server):
    numbers = np.random.default_rng(0).integers(10**8, 10**9, 900_000) / 1e9
    body = json.dumps({"instances": numbers.tolist()}).encode()
    assert 9e6 < len(body) < 12e6
    hostile = b'{"instances": [Inf], "x": "' + b'\\"' * 200_000
    with ThreadPoolExecutor(5) as threads:
        # Bodies and responses are not converted here, which would delay the small requests.
        work = [threads.submit(post, large_server, body) for _ in range(4)]
        taken = latencies(large_server, lambda: all(future.done() for future in work))
        bad = threads.submit(post, large_server, hostile)
        taken += latencies(large_server, bad.done)
        assert np.percentile(taken, 99) < 0.25
        assert bad.exception().code == 400
        y = np.float32(json.loads(work[0].result())["predictions"])
        np.testing.assert_array_equal(y, np.float32(numbers) / 2 + 2)
        threads.submit(post, large_server, hostile * 20)
        time.sleep(0.05)
        began = time.perf_counter()
        large_server.stop(signal.SIGTERM)
        assert time.perf_counter() - began < 10
