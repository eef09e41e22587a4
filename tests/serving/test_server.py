"""The server as a process: it listens, takes new versions, and ends when it is told."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
import tensorflow as tf

from dlrecipes.errors import UsageError
from dlrecipes.serving.server import _listen


@pytest.fixture
def models(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "models" / "half" / "1")
    return tmp_path / "models"


class Server:
    """`dlrecipes serve` on a free port."""

    def __init__(self, models, *options):
        command = [sys.executable, "-m", "dlrecipes", "serve", "--models", str(models)]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--poll-seconds", "0.1", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        line = self.process.stdout.readline()
        assert line.startswith("Serving"), line + self.process.stderr.read()
        self.url = line.split(" at ")[1].split("/v1")[0]
        self.port = int(self.url.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(f"{self.url}{path}", data, timeout=60) as found:
                return found.status, json.load(found)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def end(self, number):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def test_it_serves_takes_a_new_version_and_ends_gracefully(models, save_model):
    with Server(models) as server:
        path = "/v1/models/half:predict"
        while server.ask("/v1/models/half")[0] != 200:
            time.sleep(0.1)
        assert server.ask(path, {"instances": [1.0]}) == (200, {"predictions": [2.5]})
        save_model(models.parent / "new", constant=10.0).rename(models / "half" / "2")
        (models / "half" / "3").mkdir()
        (models / "half" / "3" / "saved_model.pb").write_bytes(b"broken")
        end = time.monotonic() + 60
        while server.ask(path, {"instances": [1.0]})[1] != {"predictions": [10.5]}:
            assert time.monotonic() < end
            time.sleep(0.1)
        status = server.ask("/v1/models/half")[1]["model_version_status"]
        states = {one["version"]: one["state"] for one in status}
        assert states == {"3": "END", "2": "AVAILABLE", "1": "END"}
        code, _, err = server.end(signal.SIGTERM)
    assert code == 0
    assert "Traceback" not in err
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert {line["status"] for line in lines} == {"OK"}
    assert err.rstrip().endswith("Stopped.")


def test_sigterm_under_load_answers_what_was_accepted(models):
    answers, ready = [], threading.Event()

    def client(server):
        while True:
            try:
                answers.append(server.ask("/v1/models/half:predict", {"instances": [1.0]}))
            except (OSError, http.client.HTTPException) as error:
                # Nobody listens any more; what was sent and not answered would read otherwise.
                refused.append(getattr(error, "reason", error))
                return
            if len(answers) > 50:
                ready.set()

    refused = []
    with Server(models, "--no-log") as server:
        while server.ask("/v1/models/half")[0] != 200:
            time.sleep(0.1)
        clients = [threading.Thread(target=client, args=(server,)) for _ in range(8)]
        for one in clients:
            one.start()
        assert ready.wait(60)
        code, _, err = server.end(signal.SIGTERM)
        for one in clients:
            one.join(60)
    assert code == 0
    assert "Traceback" not in err
    assert set(map(repr, answers)) == {repr((200, {"predictions": [2.5]}))}
    assert len(refused) == len(clients)
    # What was sent to a connection that had ended was not accepted.
    ended = {BrokenPipeError, ConnectionRefusedError, ConnectionResetError}
    assert {type(one) for one in refused} <= ended


def test_what_is_no_http_gets_json_too(models):
    with Server(models, "--no-log") as server:
        for content in (b"\x00\xff\n\n", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\n: x\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
                client.sendall(content)
                found = b""
                while part := client.recv(4096):
                    found += part
            head, _, body = found.partition(b"\r\n\r\n")
            assert b" 400 " in head.splitlines()[0]
            assert "Malformed request" in json.loads(body)["error"]
        code, _, err = server.end(signal.SIGINT)
    assert "Traceback" not in err
    assert code == 0


def test_a_head_without_end_is_refused(models):
    with Server(models, "--no-log") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            client.sendall(b"GET /v1/models/half HTTP/1.1\r\nHost: here\r\n")
            # The last exceeds it: what nobody reads would take the answer with it.
            for _ in range(17):
                client.sendall(b"x-more: " + b"y" * 4000 + b"\r\n")
            found = b""
            with contextlib.suppress(ConnectionError):
                while part := client.recv(4096):
                    found += part
        code, _, err = server.end(signal.SIGINT)
    assert found.startswith(b"HTTP/1.1 400 ")
    assert b"65,536" in found
    assert "Traceback" not in err
    assert code == 0


def test_headers_behind_a_body_have_an_end_and_a_next_head_does_no_harm(models):
    body = json.dumps({"instances": [1.0], "more": "y" * 100_000}).encode()
    head = b"POST /v1/models/half:predict HTTP/1.1\r\nHost: here\r\n"
    with Server(models, "--no-log") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            sized = head + f"Content-Length: {len(body)}\r\n\r\n".encode()
            client.sendall(sized + body + b"GET /v1/mod")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
            found = b""
            with contextlib.suppress(ConnectionError):
                for _ in range(18):
                    client.sendall(b"x-more: " + b"y" * 4000 + b"\r\n")
                while part := client.recv(4096):
                    found += part
        server.end(signal.SIGINT)
    assert b"65,536" in found


SLOW = """
import sys
from pathlib import Path
from dlrecipes._utils.quiet import load_tensorflow
load_tensorflow()
from dlrecipes.serving import server
server.GRACE = 2.0
server.serve(server.Settings(Path(sys.argv[1]), port=0, patience=1.0, log=False))
"""


class Endless(tf.Module):
    """Runs for longer than anybody waits."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": tf.while_loop(lambda _: True, lambda y: [y + 0.0], [x])[0]}


@pytest.mark.slow
def test_a_run_without_end_does_not_keep_the_server_from_ending(tmp_path):
    endless = Endless()
    signatures = {"serving_default": endless.__call__}
    tf.saved_model.save(endless, str(tmp_path / "endless" / "1"), signatures=signatures)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    address = process.stdout.readline().split(" at ")[1].split()[0]
    found = []

    def ask():
        request = urllib.request.Request(f"{address}/endless:predict", b'{"instances": [1.0]}')
        try:
            urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            found.append((error.code, json.load(error)))

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(30) == 1
    assert time.monotonic() - began < 15
    asking.join()
    assert found == [(503, {"error": "The server is stopping."})]


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port {port}: .*in use"):
            _listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1", "::zz"])
def test_a_host_that_is_none_is_one_line(host):
    with pytest.raises(UsageError, match="--host"):
        _listen(host, 0)
