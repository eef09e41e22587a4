"""Measures how `dlrecipes serve` treats connections: stalled, idle, and open when it stops.

\b
    python benchmarks/serving/connections.py
    python benchmarks/serving/connections.py --dlrecipes OLD/bin/dlrecipes --dlrecipes dlrecipes

Each `--dlrecipes` is the path of an executable, so that two versions are compared in one run. It
serves a model of one addition. The table has the fraction of small requests that are answered
next to `--stalled` requests whose bodies do not come, the seconds until a connection without
requests is closed, and how many accepted connections are reset at SIGTERM while `--clients`
clients open one connection per request, in each of `--rounds` rounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

PATH = "/v1/models/half:predict"
BODY = b'{"instances": [1.0]}'
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {{}}\r\n{{}}\r\n"
REQUEST = HEAD.format(len(BODY), "").encode() + BODY
LAST_REQUEST = HEAD.format(len(BODY), "Connection: close\r\n").encode() + BODY
WITHOUT_BODY = HEAD.format(100, "").encode()
# Requests that are sent one after the other next to the stalled ones.
SMALL = 200


def save_model(models: Path) -> None:
    """Saves a tiny SavedModel."""
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    import tensorflow as tf

    module = tf.Module()
    module.f = tf.function(
        lambda x: {"y": x / 2 + 2}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")]
    )
    folder = str(models / "half" / "1")
    tf.saved_model.save(module, folder, signatures={"serving_default": module.f})


@contextlib.contextmanager
def server(executable: str, models: Path) -> Iterator[tuple[subprocess.Popen, int]]:
    """Yields the process and the port of a running server."""
    process = subprocess.Popen(
        [executable, "serve", "--models", str(models), "--port", "0", "--no-log"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = process.stdout.readline()
        yield process, int(line.split("/v1")[0].rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.communicate(timeout=60)


async def ask(port: int, request: bytes) -> int:
    """Sends a request on a new connection, and returns the status of the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1])
    finally:
        writer.close()


async def answered_fraction(port: int, stalled: int) -> float:
    """Returns the fraction of small requests that get status 200 next to stalled ones."""
    writers = []
    for _ in range(stalled):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(WITHOUT_BODY)
        writers.append(writer)
    await asyncio.sleep(1)
    statuses = []
    for _ in range(SMALL):
        try:
            statuses.append(await asyncio.wait_for(ask(port, REQUEST), 10))
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            statuses.append(0)
    for writer in writers:
        writer.close()
    return statuses.count(200) / SMALL


async def idle_seconds(port: int, longest: float) -> float:
    """Returns the time until the server closes a connection after its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    began = time.perf_counter()
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(reader.read(), longest)
    writer.close()
    return time.perf_counter() - began


async def count_outcomes(process: subprocess.Popen, port: int, clients: int) -> Counter:
    """Returns what became of the requests around SIGTERM: answered, refused or reset."""
    outcomes: Counter = Counter()

    async def client() -> None:
        while True:
            try:
                connection = asyncio.open_connection("127.0.0.1", port)
                reader, writer = await asyncio.wait_for(connection, 10)
            except (OSError, asyncio.TimeoutError):
                outcomes["refused"] += 1
                return
            try:
                writer.write(LAST_REQUEST)
                complete = (await reader.read()).startswith(b"HTTP/1.1 200 ")
                outcomes["answered" if complete else "reset"] += 1
            except OSError:
                outcomes["reset"] += 1
            finally:
                writer.close()

    tasks = [asyncio.create_task(client()) for _ in range(clients)]
    await asyncio.sleep(1)
    process.terminate()
    await asyncio.gather(*tasks)
    return outcomes


@click.command(help=__doc__)
@click.option("--dlrecipes", "executables", multiple=True, default=["dlrecipes"])
@click.option("--stalled", type=click.IntRange(0), default=1010)
@click.option("--clients", type=click.IntRange(1), default=64)
@click.option("--rounds", type=click.IntRange(1), default=5)
@click.option("--longest-idle", type=click.FloatRange(1), default=90.0, help="In seconds.")
def main(
    executables: tuple[str, ...], stalled: int, clients: int, rounds: int, longest_idle: float
) -> None:
    """Measures each executable and prints a table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        save_model(models)
        for executable in executables:
            with server(executable, models) as (_, port):
                fraction = asyncio.run(answered_fraction(port, stalled))
            with server(executable, models) as (_, port):
                idle = asyncio.run(idle_seconds(port, longest_idle))
            total: Counter = Counter()
            for _ in range(rounds):
                with server(executable, models) as (process, port):
                    total += asyncio.run(count_outcomes(process, port, clients))
            rows.append(
                f"| {executable} | {fraction:.1%} | {idle:.1f} | {total['reset']} | "
                f"{total['answered']} |"
            )
    print(f"{stalled} stalled bodies; {clients} clients, {rounds} stops")
    print(
        "| server | answered next to stalled bodies | idle seconds | resets at SIGTERM | answered |"
    )
    print("| --- | --- | --- | --- | --- |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
