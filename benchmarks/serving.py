"""Measures throughput and latency of `dlrecipes serve` with and without batching.

\b
    dlrecipes run digit_recognition
    python benchmarks/serving.py

`--clients` connections send the same digits to each server in turn for `--seconds`, in
interleaved rounds. Nothing else should run on the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

WARM_UP = 2.0
KINDS = {"batching": (), "without": ("--max-batch", "1")}


@contextlib.contextmanager
def server(models: Path, options: tuple[str, ...]) -> Iterator[int]:
    """Yields the port of a running server."""
    command = [sys.executable, "-m", "dlrecipes", "serve", "--models", str(models)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--no-log", *options],
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


def request(model: str, image: np.ndarray) -> bytes:
    """Returns a complete HTTP request for one image."""
    body = json.dumps(
        {"signature_name": "images", "instances": image[None, ..., None].tolist()}
    ).encode()
    head = (
        f"POST /v1/models/{model}:predict HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def client(port: int, requests: list[bytes], end: float) -> list[tuple[float, int]]:
    """Returns the arrival time and latency of each response on one connection; -1 for errors."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    responses, number = [], 0
    while time.perf_counter() < end:
        began = time.perf_counter()
        writer.write(requests[number % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        now = time.perf_counter()
        responses.append((now, now - began if head.startswith(b"HTTP/1.1 200") else -1))
        number += 1
    writer.close()
    return responses


async def load(port: int, requests: list[bytes], clients: int, seconds: float):
    """Returns the latencies after the warm-up, in seconds; -1 for errors."""
    began = time.perf_counter()
    parts = [requests[k:] + requests[:k] for k in range(clients)]
    end = began + WARM_UP + seconds
    connections = await asyncio.gather(*(client(port, part, end) for part in parts))
    return [
        latency
        for responses in connections
        for arrival, latency in responses
        if arrival > began + WARM_UP
    ]


@click.command(help=__doc__)
@click.option("--models", type=click.Path(path_type=Path), default=Path("saved_models"))
@click.option("--model", default="digit_recognition")
@click.option("--clients", type=click.IntRange(1, 1000), default=32)
@click.option("--seconds", type=click.FloatRange(1), default=10.0)
@click.option("--rounds", type=click.IntRange(1), default=3)
def main(models: Path, model: str, clients: int, seconds: float, rounds: int) -> None:
    """Measures both servers and prints a table."""
    from sklearn.datasets import load_digits

    images = (255 - load_digits().images[:100] * 255 / 16).round().astype(int)
    requests = [request(model, image) for image in images]
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    latencies: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with contextlib.ExitStack() as stack:
        ports = {kind: stack.enter_context(server(models, KINDS[kind])) for kind in KINDS}
        for _ in range(rounds):
            for kind, port in ports.items():
                measured = asyncio.run(load(port, requests, clients, seconds))
                rates[kind].append(len(measured) / seconds)
                latencies[kind] += measured
    print(f"{clients} clients, {rounds} rounds of {seconds:g} s each")
    print("| server | requests per second | p50 ms | p95 ms | p99 ms | errors |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in KINDS:
        good = [1000 * latency for latency in latencies[kind] if latency >= 0]
        p50, p95, p99 = np.percentile(good, [50, 95, 99])
        rate = statistics.median(rates[kind])
        errors = len(latencies[kind]) - len(good)
        print(f"| {kind} | {rate:.0f} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {errors} |")
    ratio = statistics.median(rates["batching"]) / statistics.median(rates["without"])
    print(f"batching: {ratio:.2f} times the throughput")


if __name__ == "__main__":
    main()
