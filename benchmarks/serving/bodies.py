"""Measures what large and hostile bodies, and large responses, cost a server and its clients.

\b
    python benchmarks/serving/bodies.py --dlrecipes OLD/bin/dlrecipes --dlrecipes NEW/bin/dlrecipes

Each `--dlrecipes` is the path of an executable; all are measured in one run with the same models,
which this script saves in a temporary folder. Nothing else should run on the machine.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np

# The server stops no later than this in the measurement of SIGTERM, in seconds.
CAP = 30.0
LARGE = 10_000_000
MANY = 20_000_000
SMALL = ("half", b'{"instances": [1.0]}')


def save_models(folder: Path) -> None:
    """Saves small models, one for each kind of request."""
    import tensorflow as tf

    def save(name: str, function, *specs: tf.TensorSpec) -> None:
        module = tf.Module()
        module.run = tf.function(function, input_signature=specs)
        tf.saved_model.save(module, str(folder / name / "1"), signatures=module.run)

    image = tf.random.stateless_uniform([1, 256, 256, 3], [1, 2])
    many = tf.random.stateless_uniform([1_000_000], [3, 4])
    save("half", lambda x: {"y": x / 2 + 2}, tf.TensorSpec([None], tf.float32, "x"))
    save(
        "sums",
        lambda x: {"y": tf.reduce_sum(x, axis=1)},
        tf.TensorSpec([None, None], tf.float32, "x"),
    )
    save(
        "named",
        lambda a, b: {"y": tf.reduce_sum(a, axis=1) + b},
        tf.TensorSpec([None, None], tf.float32, "a"),
        tf.TensorSpec([None], tf.float32, "b"),
    )
    save(
        "lengths",
        lambda s: {"y": tf.strings.length(s)},
        tf.TensorSpec([None], tf.string, "s"),
    )
    save("image", lambda x: {"y": image + 0 * x[0]}, tf.TensorSpec([None], tf.float32, "x"))
    save(
        "numbers",
        lambda n: {"y": tf.repeat(many, tf.maximum(1, n // 1_000_000))[:n]},
        tf.TensorSpec([], tf.int32, "n"),
    )


class Server:
    """A running `dlrecipes serve`.

    Args:
        dlrecipes: Path of the executable.
        models: Folder of models.
    """

    def __init__(self, dlrecipes: str, models: Path):
        self.process = subprocess.Popen(
            [dlrecipes, "serve", "--models", str(models), "--port", "0", "--no-log"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self.process.stdout.readline()
        self.port = int(line.split("/v1")[0].rsplit(":", 1)[1])
        self.post(*SMALL)

    def post(self, model: str, body: bytes, **headers: str) -> tuple[int, bytes]:
        """Returns the status and the body of the response to a request of its own connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        with contextlib.closing(connection):
            connection.request("POST", f"/v1/models/{model}:predict", body, headers)
            response = connection.getresponse()
            return response.status, response.read()

    def peak(self) -> float:
        """Returns the largest resident memory so far, in GB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1e6

    def cpu(self) -> float:
        """Returns the CPU seconds of the server's process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> float:
        """Stops the server with SIGTERM, and returns the seconds that it takes, up to `CAP`."""
        began = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(CAP)
        self.process.kill()
        self.process.wait()
        return time.perf_counter() - began


@contextlib.contextmanager
def running(dlrecipes: str, models: Path) -> Iterator[Server]:
    """Yields a server."""
    server = Server(dlrecipes, models)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def background(work: Callable[[], object]) -> threading.Thread:
    """Starts a thread; errors of its connection do not matter."""

    def run() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def probe(server: Server, end: Callable[[], bool]) -> list[float]:
    """Returns the latencies of small requests until `end` returns true."""
    latencies = []
    while not end():
        began = time.perf_counter()
        status, _ = server.post(*SMALL)
        assert status == 200, status
        latencies.append(time.perf_counter() - began)
        time.sleep(0.01)
    return latencies


def capped(seconds: float) -> str:
    """Returns seconds as text."""
    return f"{seconds:.2f}" if seconds < CAP else f"over {CAP:.0f}"


def hostile(size: int) -> bytes:
    """Returns a body whose last string is not closed: escaped quotation marks after `Inf`."""
    return b'{"instances": [Inf], "x": "' + b'\\"' * (size // 2)


def bodies() -> dict[str, tuple[str, bytes, dict[str, str]]]:
    """Returns the model, the body and the headers of large requests by kind."""
    generator = random.Random(0)
    rows, numbers = 100, LARGE // 2100
    table = [[generator.random() for _ in range(numbers)] for _ in range(rows)]
    plain = json.dumps({"instances": table}).encode()
    dictionaries = [{"a": row, "b": 1.5} for row in table]
    content = base64.b64encode(generator.randbytes(LARGE // 4 // rows * 3)).decode()
    named = json.dumps({"instances": dictionaries}).encode()
    encoded = json.dumps({"instances": [{"b64": content}] * rows}).encode()
    with_nan = plain.replace(b"[[", b"[[NaN, ", 1).replace(b"], [", b"], [NaN, ")
    packed = gzip.compress(plain, 1)
    answer = json.dumps({"inputs": LARGE // 12}).encode()
    return {
        "10 MB of numbers": ("sums", plain, {}),
        "10 MB of numbers with a NaN": ("sums", with_nan, {}),
        "10 MB of numbers, gzipped": ("sums", packed, {"Content-Encoding": "gzip"}),
        "10 MB of objects with numbers": ("named", named, {}),
        "10 MB of base64": ("lengths", encoded, {}),
        "responses of 10 MB": ("numbers", answer, {}),
    }


def measure_hostile(dlrecipes: str, models: Path) -> Iterator[tuple[str, str]]:
    """Yields how long hostile bodies keep others waiting, and the time of SIGTERM meanwhile."""
    with running(dlrecipes, models) as server:
        thread = background(lambda: server.post("half", hostile(40_000)))
        time.sleep(0.05)
        latencies = probe(server, lambda: not thread.is_alive())
        yield "others wait for a hostile body of 40 kB, s", f"{max(latencies, default=0):.2f}"
        background(lambda: server.post("half", hostile(400_000)))
        time.sleep(0.05)
        began = time.perf_counter()
        background(lambda: server.post(*SMALL)).join(CAP)
        yield "others wait for a hostile body of 400 kB, s", capped(time.perf_counter() - began)
    with running(dlrecipes, models) as server:
        background(lambda: server.post("half", hostile(400_000)))
        time.sleep(0.5)
        yield "SIGTERM during a hostile body of 400 kB, s", capped(server.stop())


def measure_others(dlrecipes: str, models: Path, seconds: float) -> Iterator[tuple[str, str]]:
    """Yields the latency of small requests next to four large ones that repeat."""
    for kind, request in bodies().items():
        with running(dlrecipes, models) as server:
            latencies, answered = others(server, *request, seconds)
            p99 = 1000 * np.percentile(latencies, 99)
            text = f"{p99:.0f} (of {len(latencies)}; {answered} large ones answered)"
            yield f"p99 of small requests, four times {kind}, ms", text


def others(
    server: Server, model: str, body: bytes, headers: dict[str, str], seconds: float
) -> tuple[list[float], int]:
    """Returns the latencies of small requests next to large ones, and how many large ones end."""
    statuses: list[int] = []
    end = time.perf_counter() + seconds

    def load() -> None:
        while time.perf_counter() < end:
            statuses.append(server.post(model, body, **headers)[0])

    threads = [background(load) for _ in range(4)]
    latencies = probe(server, lambda: time.perf_counter() > end)
    for thread in threads:
        thread.join()
    return latencies, statuses.count(200)


def measure_outputs(dlrecipes: str, models: Path) -> Iterator[tuple[str, str]]:
    """Yields the cost of responses."""
    with running(dlrecipes, models) as server:
        body = b'{"inputs": [1.0]}'
        server.post("image", body)
        before, count = server.cpu(), 20
        for _ in range(count):
            status, answer = server.post("image", body)
        cpu = (server.cpu() - before) / count
        yield "CPU of a 256x256x3 float32 response, s", f"{cpu:.3f}"
        yield "its size, MB", f"{len(answer) / 1e6:.2f} (status {status})"
    with running(dlrecipes, models) as server:
        before, began = server.peak(), time.perf_counter()
        status, answer = server.post("numbers", b'{"inputs": {"n": %d}}' % MANY)
        seconds = time.perf_counter() - began
        shown = "" if status == 200 else f": {json.loads(answer)['error']}"
        yield "20 million numbers, s", f"{seconds:.1f} (status {status}{shown})"
        yield "its peak memory, GB", f"{server.peak():.2f} ({before:.2f} before)"


@click.command(help=__doc__)
@click.option("--dlrecipes", "paths", multiple=True, required=True, help="Executable; repeatable.")
@click.option("--seconds", type=click.FloatRange(1), default=10.0, help="Time per kind of body.")
@click.option("--only", type=click.Choice(["hostile", "others", "outputs"]), multiple=True)
def main(paths: tuple[str, ...], seconds: float, only: tuple[str, ...]) -> None:
    """Measures each executable and prints a table."""
    measures = {
        "hostile": measure_hostile,
        "others": lambda path, models: measure_others(path, models, seconds),
        "outputs": measure_outputs,
    }
    table: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        save_models(models)
        for name in only or measures:
            for path in paths:
                for figure, value in measures[name](path, models):
                    print(f"{path}: {figure}: {value}", file=sys.stderr, flush=True)
                    table.setdefault(figure, []).append(value)
    print(f"| | {' | '.join(paths)} |")
    print(f"| --- |{' --- |' * len(paths)}")
    for figure, values in table.items():
        print(f"| {figure} | {' | '.join(values)} |")


if __name__ == "__main__":
    main()
