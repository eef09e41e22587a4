"""The server process: its settings, the application, and a graceful shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dlrecipes.errors import INTERRUPTED, UsageError
from dlrecipes.serving.batching import Batcher
from dlrecipes.serving.limits import Limits
from dlrecipes.serving.notes import printable
from dlrecipes.serving.rest import Rest
from dlrecipes.serving.store import ModelStore
from dlrecipes.serving.telemetry import Telemetry

BACKLOG = 2048
# Maximum size of a request line with its headers, and of trailers, in bytes.
LARGEST_HEAD = 64 * 1024
# Maximum time between the start of a connection or request and the end of the headers, in seconds.
HEAD_SECONDS = 60.0
# Time that a stopping server has after its patience to close connections, in seconds.
GRACE = 5.0


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    Args:
        models: Folder of published models.
        host: Address to listen on. Defaults to `"127.0.0.1"`.
        port: Port of the REST API; 0 selects a free port. Defaults to 8501.
        max_batch: Maximum number of examples per run; 1 disables batching. Defaults to 64.
        batch_timeout: Time that a batch waits for further requests even if a thread is free, in
            seconds, unless it is full. Defaults to 0: batches form only while all are busy.
        queue: Maximum number of pending requests, waiting or running. Defaults to 1000.
        threads: Number of concurrent runs of models. Defaults to 2.
        poll: Interval in which the folder is checked for new versions, in seconds. Defaults to 1.
        limits: Limits on a request. Defaults to `Limits()`.
        labels: Versions by label, by model. Defaults to no labels.
        log: Whether requests are logged. Defaults to `True`.
        patience: Time that requests in progress have to finish when the server stops, in
            seconds; the process exits at the latest `GRACE` seconds after that. Defaults to 30.
        grpc_port: Port of the gRPC services; `None` disables them. Defaults to `None`.
    """

    models: Path
    host: str = "127.0.0.1"
    port: int = 8501
    max_batch: int = 64
    batch_timeout: float = 0.0
    queue: int = 1000
    threads: int = 2
    poll: float = 1.0
    limits: Limits = field(default_factory=Limits)
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    log: bool = True
    patience: float = 30.0
    grpc_port: int | None = None


class _JsonProtocol(HttpToolsProtocol):
    """Answers malformed HTTP in JSON, and bounds the size and the time of a request's headers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Bytes received of an incomplete head, which is a request line with its headers.
        self._head: int | None = None
        # Bytes of the headers, and of the trailers that may follow a body.
        self._fields = 0
        # Whether no request is incomplete, and how many requests started in the latest data.
        self._idle, self._started = True, 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Starts the timer for the first request."""
        super().connection_made(transport)
        self._restart_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Starts counting the bytes of a request's head, and its timer."""
        self._head = self._fields = 0
        self._idle = False
        self._started += 1
        self._restart_timer()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Processes a header, or a trailer that follows the body."""
        self._fields += len(name) + len(value)
        if self._fields > LARGEST_HEAD:
            self._refuse_head()
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stops counting the bytes of the head, and its timer."""
        self._head = None
        self._stop_timer()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Marks the connection as idle."""
        self._idle = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Parses data, and refuses a head that is too long."""
        idle, self._started = self._idle, 0
        super().data_received(data)
        # If the head follows an earlier request in the same data, its position is unknown and
        # these bytes are not counted.
        if self._head is not None and self._started <= int(idle):
            self._head += len(data)
            if self._head > LARGEST_HEAD:
                self._refuse_head()

    def _restart_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self.send_400_response(f"The headers are longer than {LARGEST_HEAD:,} bytes.")

    def send_400_response(self, msg: str) -> None:
        """Answers a malformed request in JSON, and closes the connection."""
        body = json.dumps({"error": f"Malformed request: {msg}"}).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


class _Server(uvicorn.Server):
    """Sets an event when it is asked to stop, and exits even if a model's run hangs."""

    def __init__(self, config: uvicorn.Config, patience: float, stopping: threading.Event):
        super().__init__(config)
        self.patience = patience
        self.stopping = stopping

    def handle_early_signal(self, sig: int, frame: FrameType | None) -> None:
        """Handles a signal that arrives before uvicorn's own handlers are installed.

        Signals that uvicorn raises again after its shutdown are ignored.
        """
        if not self.stopping.is_set():
            self.handle_exit(sig, frame)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Starts the shutdown; on a second Ctrl-C, exits immediately."""
        if not self.stopping.is_set():
            self.stopping.set()
            # A model's run cannot be interrupted, and Python would wait for its thread forever.
            timer = threading.Timer(self.patience + GRACE, os._exit, (1,))
            timer.daemon = True
            timer.start()
        elif sig == signal.SIGINT:
            os._exit(INTERRUPTED)
        super().handle_exit(sig, frame)


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or Ctrl-C, then lets the requests in progress finish.

    Args:
        settings: Settings of the server.

    Raises:
        UsageError: If it cannot listen on the address or a port.
    """
    listening = _listen(settings.host, settings.port)
    with contextlib.closing(listening):
        _check_grpc_port(settings)
        # TensorFlow's objects stay, and a search of them for garbage stops all threads for 0.4 s.
        gc.collect()
        gc.freeze()
        store = ModelStore(settings.models, settings.labels)
        stopping = threading.Event()
        config = uvicorn.Config(
            application(settings, store, stopping),
            http=_JsonProtocol,
            ws="none",
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=round(settings.patience),
        )
        server = _Server(config, settings.patience, stopping)
        store.refresh()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_early_signal)
        _print_start(settings, listening, store)
        server.run(sockets=[listening])
    print("Stopped.", file=sys.stderr)


def application(
    settings: Settings, store: ModelStore, stopping: threading.Event | None = None
) -> Any:
    """Returns the ASGI application, which polls the store for new versions while it runs.

    Args:
        settings: Settings of the server.
        store: Models to serve.
        stopping: Event that stops the gRPC services when it is set. Defaults to a new event.
    """
    stopping = stopping or threading.Event()
    telemetry = Telemetry(sys.stderr if settings.log else None)
    batcher = Batcher(
        settings.threads,
        settings.max_batch,
        settings.batch_timeout,
        settings.queue,
        telemetry.ran,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        store.watch(settings.poll)
        rpc = await _start_grpc(settings, store, batcher, telemetry)
        grpc_stop = asyncio.create_task(_stop_grpc(rpc, stopping, settings.patience))
        try:
            yield
        finally:
            stopping.set()
            await grpc_stop
            store.close()
            batcher.close()
            rest.close()

    rest = Rest(store, batcher, telemetry, settings.limits)
    return rest.application(lifespan)


async def _stop_grpc(rpc: Any, stopping: threading.Event, patience: float) -> None:
    """Stops the gRPC server as soon as HTTP begins to stop, not after it."""
    while not stopping.is_set():
        await asyncio.sleep(0.1)
    if rpc is not None:
        await rpc.stop(patience)


async def _start_grpc(
    settings: Settings, store: ModelStore, batcher: Batcher, telemetry: Telemetry
) -> Any:
    """Starts and returns the gRPC server, or returns `None` if it is disabled."""
    if settings.grpc_port is None:
        return None
    import grpc

    from dlrecipes.serving.rpc import Rpc, add_to

    size = ("grpc.max_receive_message_length", settings.limits.body)
    options = [size, ("grpc.so_reuseport", 0)]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=settings.queue)
    add_to(server, Rpc(store, batcher, telemetry, settings.limits))
    host = _url_host(settings.host)
    port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    await server.start()
    print(f"gRPC at {host}:{port}", flush=True)
    return server


def _check_grpc_port(settings: Settings) -> None:
    """Refuses a gRPC port that is in use, before models are loaded."""
    if settings.grpc_port:
        _listen(settings.host, settings.grpc_port, "--grpc-port").close()


def _listen(host: str, port: int, option: str = "--port") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        # Clients that connect while models are being loaded wait.
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"--host {host} {option} {port}: {error.strerror or error}.",
            "Choose another port, or 0 for a free one.",
        ) from None
    return listening


def _print_start(settings: Settings, listening: socket.socket, store: ModelStore) -> None:
    host, port = listening.getsockname()[:2]
    served = store.latest()
    url = f"http://{_url_host(host)}:{port}/v1/models"
    print(f"Serving {settings.models} at {url} (Ctrl-C stops it)")
    for name, version in served.items():
        print(f"  {printable(name)}, version {version}")
    for line in store.missing_labels():
        print(f"Note: label {line} yet.", file=sys.stderr)
    if not served:
        print("  No models yet; new ones are served as soon as they are published.")
    sys.stdout.flush()


def _url_host(host: str) -> str:
    """Returns a host as it is written in a URL, with IPv6 addresses in square brackets."""
    return f"[{host}]" if ":" in host else host
