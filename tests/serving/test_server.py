"""The server as a process: it listens, picks up new versions, and stops gracefully."""

import contextlib
import gc
import http.client
import json
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
from dlrecipes.serving import server as server_module
from dlrecipes.serving.server import Settings, _listen, _print_start
from dlrecipes.serving.store import ModelStore


def test_a_new_version_replaces_the_old_one_and_a_broken_one_does_not(server, save_model, tmp_path):
    folder, path = server.models / "growing", "/v1/models/growing:predict"
    folder.mkdir()
    save_model(tmp_path / "1").rename(folder / "1")
    _wait_for(lambda: server.ask(path, {"instances": [1.0]}) == (200, {"predictions": [2.5]}))
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "saved_model.pb").write_bytes(b"broken")
    (tmp_path / "3").rename(folder / "3")
    save_model(tmp_path / "2", constant=10.0).rename(folder / "2")
    answers = []
    _wait_for(
        lambda: (
            answers.append(server.ask(path, {"instances": [1.0]}))
            or answers[-1][1] == {"predictions": [10.5]}
        )
    )
    # Every request was answered by one version or the other.
    assert {status for status, _ in answers} == {200}

    def states():
        versions = server.ask("/v1/models/growing")[1]["model_version_status"]
        return {version["version"]: version["state"] for version in versions}

    _wait_for(lambda: states() == {"3": "END", "2": "AVAILABLE", "1": "END"})
    predicted = [
        (line["version"], line["status"])
        for line in server.logged()
        if (line["model"], line["method"]) == ("growing", "predict") and "version" in line
    ]
    assert set(predicted) == {(1, "OK"), (2, "OK")}
    log = server.log.read_text()
    assert "Note: growing: version 2 is served" in log
    assert "growing/3 cannot be loaded and is not served" in log


def _wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_sigterm_under_load_answers_accepted_requests(half, start_server):
    answers, errors, ready = [], [], threading.Event()

    def send_requests(server):
        while True:
            try:
                answers.append(server.ask("/v1/models/half:predict", {"instances": [1.0]}))
            except (OSError, http.client.HTTPException) as error:
                # The server no longer listens. A lost response would be another kind of error.
                errors.append(getattr(error, "reason", error))
                return
            if len(answers) > 50:
                ready.set()

    server = start_server(half, "--no-log")
    try:
        clients = [threading.Thread(target=send_requests, args=(server,)) for _ in range(8)]
        for client in clients:
            client.start()
        assert ready.wait(60)
        server.stop(signal.SIGTERM)
        for client in clients:
            client.join(60)
    finally:
        server.kill()
    assert set(map(repr, answers)) == {repr((200, {"predictions": [2.5]}))}
    assert server.logged() == []
    assert len(errors) == len(clients)
    # A request on a connection that was already closed had not been accepted.
    closed = {BrokenPipeError, ConnectionRefusedError, ConnectionResetError}
    assert {type(error) for error in errors} <= closed


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def receive_all(client):
    received = b""
    while part := client.recv(4096):
        received += part
    return received


@pytest.mark.parametrize(
    "content", [b"\x00\xff\n\n", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\n: x\r\n\r\n"]
)
def test_malformed_http_is_answered_in_json(server, content):
    with connect(server) as client:
        client.sendall(content)
        head, _, body = receive_all(client).partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert "Malformed request" in json.loads(body)["error"]


def test_endless_headers_are_refused(server):
    received = b""
    with connect(server) as client:
        client.sendall(b"GET /v1/models/half HTTP/1.1\r\nHost: localhost\r\n")
        # Only the last line exceeds the limit. If the server closed the connection with data
        # unread, the response would be lost.
        for _ in range(17):
            client.sendall(b"x-more: " + b"y" * 4000 + b"\r\n")
        with contextlib.suppress(ConnectionError):
            while part := client.recv(4096):
                received += part
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"65,536" in received


HEAD = b"POST /v1/models/half:predict HTTP/1.1\r\nHost: localhost\r\n"


def test_a_large_body_followed_by_a_partial_head_is_answered(server):
    body = json.dumps({"instances": [1.0], "more": "y" * 100_000}).encode()
    with connect(server) as client:
        sized = HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode()
        client.sendall(sized + body + b"GET /v1/mod")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_endless_trailers_are_refused(server):
    received = b""
    with connect(server) as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(18):
                client.sendall(b"x-more: " + b"y" * 4000 + b"\r\n")
            while part := client.recv(4096):
                received += part
    assert b"65,536" in received


IMPATIENT_SERVER = """
import sys
from pathlib import Path
from dlrecipes._utils.quiet import load_tensorflow
load_tensorflow()
from dlrecipes.serving import server, shutdown
shutdown.GRACE = 2.0
server.serve(server.Settings(Path(sys.argv[1]), port=0, patience=1.0, log=False))
"""


class Endless(tf.Module):
    """A model whose run never ends."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": tf.while_loop(lambda _: True, lambda y: [y + 0.0], [x])[0]}


@pytest.mark.slow
def test_an_endless_run_does_not_keep_the_server_from_stopping(tmp_path):
    endless = Endless()
    signatures = {"serving_default": endless.__call__}
    tf.saved_model.save(endless, str(tmp_path / "endless" / "1"), signatures=signatures)
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT_SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    url = process.stdout.readline().split(" at ")[1].split()[0]
    answers = []

    def ask():
        request = urllib.request.Request(f"{url}/endless:predict", b'{"instances": [1.0]}')
        try:
            urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            answers.append((error.code, json.load(error)))

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    assert process.wait(30) == 1
    assert time.monotonic() - start < 15
    asking.join()
    assert answers == [(503, {"error": "The server is stopping."})]


def test_a_port_in_use_is_reported_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port {port}: .*in use"):
            _listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1", "::zz"])
def test_an_invalid_host_is_reported_in_one_line(host):
    with pytest.raises(UsageError, match="--host"):
        _listen(host, 0)


def test_objects_of_tensorflow_are_never_searched_for_garbage(tmp_path, monkeypatch):
    calls = []

    def load(*arguments):
        calls.append("load")
        raise KeyboardInterrupt

    monkeypatch.setattr(gc, "freeze", lambda: calls.append("freeze"))
    monkeypatch.setattr(server_module, "ModelStore", load)
    with pytest.raises(KeyboardInterrupt):
        server_module.serve(server_module.Settings(tmp_path, port=0))
    # Objects of models are not frozen, because the memory of unloaded ones has to be freed.
    assert calls == ["freeze", "load"]


def test_the_start_notes_what_is_not_served_and_who_can_reach_the_server(tmp_path, capsys):
    (tmp_path / "half" / "v1").mkdir(parents=True)
    (tmp_path / "half" / "v1" / "saved_model.pb").touch()
    labels = {"half\nError: all is lost": {"stable": 3}}
    with socket.create_server(("0.0.0.0", 0)) as listening:
        _print_start(Settings(tmp_path), listening, ModelStore(tmp_path, labels))
    written = capsys.readouterr()
    assert written.out.startswith(f"Serving {tmp_path} at http://0.0.0.0:")
    notes = written.err.splitlines()
    # A name cannot begin a line of its own.
    assert notes[0].startswith(r"Note: label stable is version 3 of half\nError: all is lost")
    assert notes[1].endswith(f"Rename it to {tmp_path / 'half' / '1'}.")
    assert "--api-key-file" in notes[2]
