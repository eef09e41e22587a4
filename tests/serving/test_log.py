"""Log lines are written whole, and a log that cannot be written neither fails nor delays."""

import fcntl
import http.client
import io
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dlrecipes._utils.terminal import escape_control_characters
from dlrecipes.serving import log
from dlrecipes.serving.log import LineWriter
from dlrecipes.serving.parsers import LARGE

LINES = 300


@pytest.fixture
def pipe():
    """A pipe of 4096 bytes: the end to read as bytes, and the end to write as text."""
    read, write = os.pipe()
    fcntl.fcntl(write, 1031, 4096)  # F_SETPIPE_SZ
    with os.fdopen(read, "rb", buffering=0) as reader, os.fdopen(write, "w") as stream:
        yield reader, stream


def test_lines_of_several_threads_do_not_mix(pipe):
    reader, stream = pipe
    writer = LineWriter(stream)
    lines = [[f"{name}{n} " + name * 300 for n in range(LINES)] for name in "abcd"]
    threads = [
        threading.Thread(target=lambda part=part: [writer.write(line) for line in part])
        for part in lines
    ]
    for thread in threads:
        thread.start()
    received = b""
    while received.count(b"\n") < 4 * LINES:
        received += reader.read(1 << 16)
    for thread in threads:
        thread.join()
    assert sorted(received.decode().splitlines()) == sorted(itertools.chain(*lines))


def test_a_line_longer_than_a_pipe_takes_is_written_in_order(pipe):
    reader, stream = pipe
    writer = LineWriter(stream)
    lines = ["first", "x" * 20_000, "last"]
    for line in lines:
        writer.write(line)
    received = b""
    while received.count(b"\n") < len(lines):
        received += reader.read(1 << 16)
    assert received.decode().splitlines() == lines


def test_a_pipe_that_nobody_reads_delays_nobody_and_loses_little(pipe, monkeypatch):
    monkeypatch.setattr(log, "MAX_WAITING", 100)
    reader, stream = pipe
    writer = LineWriter(stream)
    began = time.monotonic()
    for n in range(1000):
        writer.write(f"{n:099}")
    assert time.monotonic() - began < 1.0
    received = b""
    while b"log lines were dropped" not in received:
        received += reader.read(1 << 16)
    *lines, note = received.decode().splitlines()
    # The first lines are in the pipe, and 100 further ones are kept.
    assert len(lines) > 100
    assert lines == [f"{n:099}" for n in range(len(lines))]
    assert note.startswith(f"Note: {1000 - len(lines)} log lines were dropped")


@pytest.mark.parametrize("end", ["full disk", "closed pipe"])
def test_a_stream_that_takes_nothing_raises_nothing(end):
    if end == "full disk":
        stream = Path("/dev/full").open("w")  # noqa: SIM115
    else:
        read, write = os.pipe()
        os.close(read)
        stream = os.fdopen(write, "w")
    with stream:
        writer = LineWriter(stream)
        writer.write("lost")
        assert writer._dropped == 1


def test_a_stream_without_a_file_is_written_to_directly():
    stream = io.StringIO()
    LineWriter(stream).write("明月")
    LineWriter(None).write("lost")
    assert stream.getvalue() == "明月\n"


def test_control_characters_are_escaped():
    assert escape_control_characters("a\nb\r\x1b[31mc\u2028d\u202ee 明月") == (
        r"a\nb\r\x1b[31mc\u2028d\u202ee 明月"
    )


def test_the_server_works_without_standard_streams_and_stops_at_sighup(half):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dlrecipes", "serve", "--models", half, "--port", str(port)]
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command],
        # Tests may run under nohup, where the signal is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 60
        # A large body is parsed by a process, which has the same streams.
        for count in (1, 1000):
            text = json.dumps({"instances": [1.0] * count}) + " " * (LARGE * (count > 1))
            while True:
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                try:
                    client.request("POST", "/v1/models/half:predict", text)
                    break
                except ConnectionError:
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            assert json.load(client.getresponse()) == {"predictions": [2.5] * count}
            client.close()
        process.send_signal(signal.SIGHUP)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


# Slow because of its processes; the same streams are given to a `LineWriter` above.
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full disk", "blocked pipe"])
def test_the_server_works_and_exits_with_0_when_its_log_cannot_be_written(half, kind):
    read, write = os.pipe()
    fcntl.fcntl(write, 1031, 4096)
    full = os.open("/dev/full", os.O_WRONLY)
    process = subprocess.Popen(
        [sys.executable, "-m", "dlrecipes", "serve", "--models", str(half), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=full if kind == "full disk" else write,
        text=True,
    )
    try:
        port = int(process.stdout.readline().split("/v1")[0].rsplit(":", 1)[1])
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        # The log of these requests is longer than the pipe takes.
        for _ in range(40):
            client.request("POST", "/v1/models/half:predict", b'{"instances": [1.0]}')
            assert json.load(client.getresponse()) == {"predictions": [2.5]}
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()
        for file in (read, write, full):
            os.close(file)
