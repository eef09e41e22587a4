"""Measures latency, throughput and batches of `dlrecipes serve`, and first requests of versions.

\b
    python benchmarks/serving/batching.py --dlrecipes OLD --dlrecipes NEW

OLD and NEW are paths of the command `dlrecipes` in two environments. Two models are made:
half_plus_two, whose run takes microseconds, and a dense network with 13 million weights. Each
executable serves them in a process of its own. The executables are measured in turn, in
interleaved rounds. For the first requests, version 2 of the dense network and of each model in
`--published` is added while the server runs; the request is its first example. Nothing else should
run on the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

WARM_UP = 1.0
WIDTH, FEATURES = 2048, 64


def make_models(folder: Path) -> dict[str, bytes]:
    """Writes both models as version 1, and returns a request for each."""
    import keras
    import tensorflow as tf

    import dlrecipes

    module = tf.Module()
    module.half = tf.function(
        lambda x: {"y": x / 2 + 2}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")]
    )
    tf.saved_model.save(
        module, str(folder / "half_plus_two" / "1"), signatures={"serving_default": module.half}
    )
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(WIDTH, activation="relu") for _ in range(4)]
    dense = keras.Sequential([keras.Input((FEATURES,), name="x"), *layers, keras.layers.Dense(10)])
    x = np.random.default_rng(1).normal(size=(8, FEATURES)).astype("float32").round(3)
    dlrecipes.publish(dense, folder / "dense", examples=x)
    return {
        "half_plus_two": b'{"instances": [1.0]}',
        "dense": json.dumps({"instances": x[:1].tolist()}).encode(),
    }


@contextlib.contextmanager
def server(executable: Path, models: Path) -> Iterator[int]:
    """Yields the port of a running server."""
    process = subprocess.Popen(
        [executable, "serve", "--models", models, "--port", "0", "--no-log", "--poll-seconds", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = process.stdout.readline()
        yield int(line.split("/v1")[0].rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.communicate(timeout=60)


async def client(port: int, model: str, body: bytes, end: float) -> list[tuple[float, float]]:
    """Returns start and latency of each request on one connection, in seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /v1/models/{model}:predict HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    times = []
    while (began := time.perf_counter()) < end:
        writer.write(head.encode() + body)
        head_bytes = await reader.readuntil(b"\r\n\r\n")
        length = int(head_bytes.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        response = await reader.readexactly(length)
        assert head_bytes.startswith(b"HTTP/1.1 200"), response
        times.append((began, time.perf_counter() - began))
    writer.close()
    return times


async def load(port: int, model: str, body: bytes, clients: int, seconds: float) -> list[float]:
    """Returns the latencies after the warm-up, in seconds."""
    start = time.perf_counter() + WARM_UP
    work = (client(port, model, body, start + seconds) for _ in range(clients))
    parts = await asyncio.gather(*work)
    return [latency for times in parts for began, latency in times if began >= start]


def batches(port: int, model: str) -> np.ndarray:
    """Returns the number of examples and of runs so far."""
    with urllib.request.urlopen(
        f"http://127.0.0.1:{port}/monitoring/prometheus/metrics", timeout=60
    ) as response:
        lines = response.read().decode().splitlines()
    return np.array(
        [
            sum(
                float(line.split()[-1])
                for line in lines
                if f"batch_size_{kind}{{" in line and f'"{model}"' in line
            )
            for kind in ("sum", "count")
        ]
    )


def first_request(port: int, models: Path, name: str) -> tuple[float, float]:
    """Adds version 2 of a model; returns milliseconds of its first request and of later ones."""
    version = models / name / "1"
    body = example(version)
    shutil.copytree(version, models / ".copy" / "2")
    (models / ".copy" / "2").rename(models / name / "2")
    status = f"http://127.0.0.1:{port}/v1/models/{name}/versions/2"
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(status, timeout=60) as response:
            if json.load(response)["model_version_status"][0]["state"] == "AVAILABLE":
                break
        time.sleep(0.02)
    times = []
    for _ in range(11):
        began = time.perf_counter()
        with urllib.request.urlopen(f"{status}:predict", body, timeout=600) as response:
            response.read()
        times.append(1000 * (time.perf_counter() - began))
    shutil.rmtree(models / name / "2")
    return times[0], statistics.median(times[1:])


def example(version: Path) -> bytes:
    """Returns the request for the first example of a published version."""
    from dlrecipes.export import reference_outputs
    from dlrecipes.serving.json_output import answer

    references = json.loads((version / "assets.extra" / "examples.json").read_text())
    inputs = reference_outputs.inputs(references["signatures"]["serving_default"][0])
    # Values are written in one way in both directions, such as base64 for names with _bytes.
    return json.dumps({"inputs": json.loads(answer(inputs, rows=False))["outputs"]}).encode()


@click.command(help=__doc__)
@click.option("--dlrecipes", "executables", type=click.Path(path_type=Path), multiple=True)
@click.option("--published", type=click.Path(path_type=Path, exists=True))
@click.option("--clients", type=click.IntRange(1, 1000), default=32)
@click.option("--seconds", type=click.FloatRange(0.1), default=5.0)
@click.option("--rounds", type=click.IntRange(1), default=3)
def main(
    executables: tuple[Path, ...],
    published: Path | None,
    clients: int,
    seconds: float,
    rounds: int,
) -> None:
    """Measures each executable and prints two tables."""
    executables = executables or (Path("dlrecipes"),)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        made = Path(name) / "made"
        bodies = make_models(made)
        for model in sorted(published.iterdir()) if published else ():
            latest = max(model.glob("[0-9]*"), key=lambda path: int(path.name), default=None)
            if latest is not None:
                shutil.copytree(latest, made / model.name / "1")
        ports, folders = {}, {}
        for number, executable in enumerate(executables):
            folders[executable] = shutil.copytree(made, Path(name) / str(number))
            ports[executable] = stack.enter_context(server(executable, folders[executable]))
        print_load(ports, bodies, clients, seconds, rounds)
        print_first(ports, folders, rounds)


def print_load(
    ports: dict[Path, int], bodies: dict[str, bytes], clients: int, seconds: float, rounds: int
) -> None:
    """Prints latency and throughput of a lone client and of many."""
    print(f"{rounds} rounds of {seconds:g} s each; rates are medians of the rounds\n")
    print("| executable | model | clients | requests/s | p50 ms | p99 ms | mean batch |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for model, body in bodies.items():
        for count in (1, clients):
            measured: dict[Path, list[list[float]]] = {executable: [] for executable in ports}
            runs: dict[Path, Any] = dict.fromkeys(ports, 0)
            for _ in range(rounds):
                for executable, port in ports.items():
                    before = batches(port, model)
                    measured[executable].append(
                        asyncio.run(load(port, model, body, count, seconds))
                    )
                    runs[executable] = runs[executable] + batches(port, model) - before
            for executable, latencies in measured.items():
                rate = statistics.median(len(part) / seconds for part in latencies)
                p50, p99 = 1000 * np.percentile(np.concatenate(latencies), [50, 99])
                examples, batch_count = runs[executable]
                print(
                    f"| {executable} | {model} | {count} | {rate:.0f} | {p50:.2f} | {p99:.2f} | "
                    f"{examples / batch_count:.1f} |"
                )


def print_first(ports: dict[Path, int], folders: dict[Path, Path], rounds: int) -> None:
    """Prints the latency of the first request of a new version."""
    print("\n| executable | model | first request ms, median (largest) | later ms, median |")
    print("| --- | --- | --- | --- |")
    names = sorted(path.name for path in next(iter(folders.values())).iterdir())
    for name in names:
        if name == "half_plus_two":  # It has no examples.
            continue
        for executable, port in ports.items():
            pairs = [first_request(port, folders[executable], name) for _ in range(rounds)]
            first, later = zip(*pairs, strict=True)
            print(
                f"| {executable} | {name} | {statistics.median(first):.1f} ({max(first):.1f}) | "
                f"{statistics.median(later):.1f} |"
            )


if __name__ == "__main__":
    main()
