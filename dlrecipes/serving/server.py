"""The server's process: models, application, and a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
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
from dlrecipes.serving.rest import Rest
from dlrecipes.serving.store import ModelStore
from dlrecipes.serving.telemetry import Telemetry

BACKLOG = 2048
# Bytes of a request's first line and headers.
LARGEST_HEAD = 64 * 1024
# How long one may take to come.
HEAD_SECONDS = 60.0
# What a server that is stopped has beyond its patience, to close what it holds.
GRACE = 5.0


@dataclass(frozen=True)
class Settings:
    """How a server runs.

    Args:
        models: The folder of published models.
        host: The address that it listens on.
        port: The port; 0 for any that is free.
        max_batch: Examples of one run at most; 1 for no batching.
        batch_timeout: Seconds that a request waits for others.
        queue: Requests that may wait at a time.
        threads: Runs of models at a time.
        poll: Seconds between two looks for new versions.
        limits: Bounds of a request.
        labels: By model, versions by label.
        log: Whether each request is logged.
        grpc_port: Port of the gRPC services; `None` for none.
        patience: Seconds that requests have to end in when the server is stopped; what runs
            `GRACE` seconds later is cut.
    """

    models: Path
    host: str = "127.0.0.1"
    port: int = 8501
    max_batch: int = 64
    batch_timeout: float = 0.002
    queue: int = 1000
    threads: int = 2
    poll: float = 1.0
    limits: Limits = field(default_factory=Limits)
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    log: bool = True
    patience: float = 30.0
    grpc_port: int | None = None


class _JsonProtocol(HttpToolsProtocol):
    """Says in JSON, too, that what came is no HTTP; bounds a request's headers and their time."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Bytes of a head that has begun; of headers, and of trailers behind the body.
        self._head: int | None = None
        # Whether no request is in the middle; how many began in what came last.
        self._idle, self._begun = True, 0
        self._fields = 0
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Waits for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        self._wait(begin=False)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begins a request."""
        self._head = self._fields = 0
        self._idle = False
        self._begun += 1
        self._wait()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header, or what is like one behind the body."""
        self._fields += len(name) + len(value)
        if self._fields > LARGEST_HEAD:
            self._refuse_head()
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Ends a request's head."""
        self._head = None
        self._wait(begin=False)
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Ends a request."""
        self._idle = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Reads what came."""
        idle, self._begun = self._idle, 0
        super().data_received(data)
        # Where in the data a head began that follows something else is not known.
        if self._head is not None and self._begun <= int(idle):
            self._head += len(data)
            if self._head > LARGEST_HEAD:
                self._refuse_head()

    def _wait(self, begin: bool = True) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if begin:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self.send_400_response(f"The head is longer than {LARGEST_HEAD:,} bytes.")

    def send_400_response(self, msg: str) -> None:
        """Answers what cannot be read, and ends the connection."""
        body = json.dumps({"error": f"Malformed request: {msg}"}).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


class _Server(uvicorn.Server):
    """Tells when it is asked to stop, and stops though something hangs."""

    def __init__(self, config: uvicorn.Config, patience: float, stopping: threading.Event):
        super().__init__(config)
        self.patience = patience
        self.stopping = stopping

    def asked_early(self, sig: int, frame: FrameType | None) -> None:
        """Takes a signal before uvicorn does, but not what uvicorn raises again at its end."""
        if not self.stopping.is_set():
            self.handle_exit(sig, frame)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to stop; at Ctrl-C again, stops at once."""
        if not self.stopping.is_set():
            self.stopping.set()
            # A run of a model cannot be ended; Python waits for its thread for ever.
            cut = threading.Timer(self.patience + GRACE, os._exit, (1,))
            cut.daemon = True
            cut.start()
        elif sig == signal.SIGINT:
            os._exit(INTERRUPTED)
        super().handle_exit(sig, frame)


def serve(settings: Settings) -> None:
    """Serves until it is told to end, then lets the requests it has begun end.

    Raises:
        UsageError: If it cannot listen there.
    """
    listening = _listen(settings.host, settings.port)
    with contextlib.closing(listening):
        _check_rpc(settings)
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
            signal.signal(number, server.asked_early)
        _tell(settings, listening, store)
        server.run(sockets=[listening])
    print("Stopped.", file=sys.stderr)


def application(settings: Settings, store: ModelStore, stopping: threading.Event | None = None):
    """Returns the application for a store of models, which it watches while it runs.

    Args:
        settings: How it runs.
        store: The models.
        stopping: Set when gRPC takes no more calls.
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
    async def lifespan(_) -> AsyncIterator[None]:
        store.watch(settings.poll)
        rpc = await _rpc(settings, store, batcher, telemetry)
        ending = asyncio.create_task(_stop(rpc, stopping, settings.patience))
        try:
            yield
        finally:
            stopping.set()
            await ending
            store.close()
            batcher.close()

    return Rest(store, batcher, telemetry, settings.limits).application(lifespan)


async def _stop(rpc: Any, stopping: threading.Event, patience: float) -> None:
    """Has gRPC end when HTTP does, not after it."""
    while not stopping.is_set():
        await asyncio.sleep(0.1)
    if rpc is not None:
        await rpc.stop(patience)


async def _rpc(settings: Settings, store: ModelStore, batcher: Batcher, telemetry: Telemetry):
    """Returns the gRPC server, started, where one is wanted."""
    if settings.grpc_port is None:
        return None
    import grpc

    from dlrecipes.serving.rpc import Rpc, add_to

    size = ("grpc.max_receive_message_length", settings.limits.body)
    options = [size, ("grpc.so_reuseport", 0)]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=settings.queue)
    add_to(server, Rpc(store, batcher, telemetry, settings.limits))
    host = _address(settings.host)
    port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    await server.start()
    print(f"gRPC at {host}:{port}", flush=True)
    return server


def _check_rpc(settings: Settings) -> None:
    """Refuses a port of gRPC that is taken, before anything is served."""
    if settings.grpc_port:
        _listen(settings.host, settings.grpc_port, "--grpc-port").close()


def _listen(host: str, port: int, option: str = "--port") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        # Whoever connects before models are loaded waits.
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"--host {host} {option} {port}: {error.strerror or error}.",
            "Give another port, or 0 for any that is free.",
        ) from None
    return listening


def _tell(settings: Settings, listening: socket.socket, store: ModelStore) -> None:
    host, port = listening.getsockname()[:2]
    served = store.latest()
    where = f"http://{_address(host)}:{port}/v1/models"
    print(f"Serving {settings.models} at {where} (Ctrl-C ends it)")
    for name, version in served.items():
        print(f"  {name}, version {version}")
    for line in store.missing_labels():
        print(f"Note: label {line} yet.", file=sys.stderr)
    if not served:
        print("  There is no model yet; one that is published will be served.")
    sys.stdout.flush()


def _address(host: str) -> str:
    """Returns a host as addresses have it."""
    return f"[{host}]" if ":" in host else host
