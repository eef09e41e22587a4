"""The server's process: models, application, and a graceful end."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dlrecipes.errors import UsageError
from dlrecipes.serving.batching import Batcher
from dlrecipes.serving.limits import Limits
from dlrecipes.serving.rest import Rest
from dlrecipes.serving.store import ModelStore
from dlrecipes.serving.telemetry import Telemetry

BACKLOG = 2048
# Bytes of a request's first line and headers.
LARGEST_HEAD = 64 * 1024


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
        patience: Seconds that requests have to end in when the server is stopped.
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
    """Says in JSON, too, that what came is no HTTP; bounds a request's head."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Bytes of a head that has not ended.
        self._head: int | None = 0

    def on_message_begin(self) -> None:
        """Begins a request."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Ends a request's head."""
        self._head = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Reads what came."""
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > LARGEST_HEAD and not self.transport.is_closing():
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


def serve(settings: Settings) -> None:
    """Serves until it is told to end, then lets the requests it has begun end.

    Raises:
        UsageError: If it cannot listen there.
    """
    listening = _listen(settings.host, settings.port)
    with contextlib.closing(listening):
        _check_rpc(settings)
        store = ModelStore(settings.models, settings.labels)
        store.refresh()
        _tell(settings, listening, store)
        config = uvicorn.Config(
            application(settings, store),
            http=_JsonProtocol,
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=round(settings.patience),
        )
        # uvicorn ends gracefully, and then raises the signal again for whoever else wants it.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listening])
    print("Stopped.", file=sys.stderr)


def application(settings: Settings, store: ModelStore):
    """Returns the application for a store of models, which it watches while it runs."""
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
        try:
            yield
        finally:
            if rpc is not None:
                await rpc.stop(settings.patience)
            store.close()
            batcher.close()

    return Rest(store, batcher, telemetry, settings.limits).application(lifespan)


async def _rpc(settings: Settings, store: ModelStore, batcher: Batcher, telemetry: Telemetry):
    """Returns the gRPC server, started, where one is wanted."""
    if settings.grpc_port is None:
        return None
    import grpc

    from dlrecipes.serving.rpc import Rpc, add_to

    size = ("grpc.max_receive_message_length", settings.limits.body)
    server = grpc.aio.server(options=[size, ("grpc.so_reuseport", 0)])
    add_to(server, Rpc(store, batcher, telemetry, settings.limits))
    port = server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
    await server.start()
    print(f"gRPC at {settings.host}:{port}", flush=True)
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
    names = store.names()
    print(f"Serving {settings.models} at http://{host}:{port}/v1/models (Ctrl-C ends it)")
    for name in names:
        print(f"  {name}, version {store.status(name)[0]['version']}")
    if not names:
        print("  There is no model yet; one that is published will be served.")
    sys.stdout.flush()
