"""The server process: its settings, the application, and what it prints at the start."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlrecipes.errors import UsageError
from dlrecipes.serving import security
from dlrecipes.serving.batching import Batcher
from dlrecipes.serving.layout import layout_notes
from dlrecipes.serving.limits import BODIES, Admission, Limits
from dlrecipes.serving.log import NoteHandler, note, writer
from dlrecipes.serving.model_list import ModelList
from dlrecipes.serving.protocol import Config, Connections, JsonProtocol, connection_limit
from dlrecipes.serving.rest import Rest
from dlrecipes.serving.security import Access
from dlrecipes.serving.shutdown import Server
from dlrecipes.serving.store import ModelStore
from dlrecipes.serving.telemetry import Telemetry
from dlrecipes.serving.tls import TlsConfig

BACKLOG = 2048
# Models whose commands are printed at the start.
MAX_COMMANDS = 5


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
            seconds; the process exits at the latest `shutdown.GRACE` seconds after that. Defaults
            to 30.
        grpc_port: Port of the gRPC services; `None` disables them. Defaults to `None`.
        keep_alive: Time after which a connection without requests is closed, in seconds. Defaults
            to 75.
        access: Who may use the server. Defaults to everyone.
        certificate: PEM files of the certificate and its key, for TLS. Defaults to `None`.
        print_commands: Whether to print a `curl` command per model at the start. Defaults to
            `False`.
        load: Function that loads a version (see `ModelStore`). Defaults to `None`: the SavedModel.
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
    keep_alive: float = 75.0
    access: Access = field(default_factory=Access)
    certificate: tuple[Path, Path] | None = None
    print_commands: bool = False
    load: Callable[[str, int, Path], Any] | None = None

    @property
    def scheme(self) -> str:
        """The scheme of the server's address."""
        return "http" if self.certificate is None else "https"


def serve(settings: Settings) -> None:
    """Serves until SIGTERM, SIGHUP or Ctrl-C, then lets the requests in progress finish.

    Args:
        settings: Settings of the server.

    Raises:
        UsageError: If it cannot listen on the address or a port.
    """
    with contextlib.closing(_listen(settings.host, settings.port)) as listening:
        _check_grpc_port(settings)
        port = listening.getsockname()[1]
        settings = dataclasses.replace(settings, port=port, print_commands=True)
        # TensorFlow's objects stay, and a search of them for garbage stops all threads for 0.4 s.
        gc.collect()
        gc.freeze()
        logging.getLogger().addHandler(NoteHandler())
        store = ModelStore(settings.models, settings.labels, settings.load)
        server = create_server(settings, store)
        store.refresh()
        for number in _stop_signals():
            signal.signal(number, server.handle_early_signal)
        _print_start(settings, listening, store)
        server.run(sockets=[listening])
    writer(sys.stderr).write("Stopped.")
    writer(sys.stderr).flush()


def _stop_signals() -> list[signal.Signals]:
    """Returns the signals that stop the server; not SIGHUP if `nohup` makes it ignored."""
    numbers = [signal.SIGTERM, signal.SIGINT]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        numbers.append(signal.SIGHUP)
    return numbers


def create_server(settings: Settings, store: ModelStore) -> Server:
    """Returns a server that has not started.

    Args:
        settings: Settings of the server.
        store: Models to serve.

    Raises:
        UsageError: If the certificate cannot be used.
    """
    stopping = threading.Event()
    router = application(settings, store, stopping)
    app = security.protect(router, settings.access, router.default.telemetry.refused)
    tls = security.tls_context(*(settings.certificate or (None, None)))
    config = (Config if tls is None else functools.partial(TlsConfig, tls=tls))(
        app,
        http=JsonProtocol,
        ws="none",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type]
        timeout_graceful_shutdown=round(settings.patience),
    )
    config.connections = Connections(_connections(settings))
    config.load()
    return Server(config, settings.patience, stopping)


def application(
    settings: Settings, store: ModelStore, stopping: threading.Event | None = None
) -> Any:
    """Returns the ASGI application, which polls the store for new versions while it runs.

    It answers everyone; `create_server` adds `settings.access`.

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

    admission = Admission(settings.queue, BODIES * settings.limits.body)

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        store.watch(settings.poll)
        grpc_task = asyncio.create_task(
            _run_grpc(settings, store, batcher, telemetry, admission, stopping)
        )
        commands = asyncio.create_task(_print_commands(settings, rest.models))
        try:
            yield
        finally:
            stopping.set()
            commands.cancel()
            await grpc_task
            store.close()
            batcher.close()
            rest.close()
            telemetry.close()

    rest = Rest(
        store,
        batcher,
        telemetry,
        settings.limits,
        admission,
        stopping,
        needs_key=settings.access.key is not None,
    )
    return rest.application(lifespan)


async def _print_commands(settings: Settings, models: ModelList) -> None:
    """Prints a command that sends an example to each model, for the first models."""
    if not settings.print_commands:
        return
    # The address for all is not one that a client connects to.
    host = "localhost" if settings.host in ("0.0.0.0", "::") else _url_host(settings.host)
    base = f"{settings.scheme}://{host}:{settings.port}"
    commands = await models.commands(base, MAX_COMMANDS)
    if commands:
        out = writer(sys.stdout)
        for line in ("Try:", *(f"  {command}" for command in commands)):
            out.write(line)
        out.write(f"All models are listed at {base}/")


async def _run_grpc(
    settings: Settings,
    store: ModelStore,
    batcher: Batcher,
    telemetry: Telemetry,
    admission: Admission,
    stopping: threading.Event,
) -> None:
    """Runs the gRPC server until `stopping` is set, unless it is disabled."""
    if settings.grpc_port is None:
        return
    from dlrecipes.serving import grpc_server
    from dlrecipes.serving.rpc import Rpc

    host = _url_host(settings.host)
    rpc = Rpc(store, batcher, telemetry, settings.limits, admission)
    address = f"{host}:{settings.grpc_port}"
    server, port = await grpc_server.start(
        rpc,
        address,
        settings.access,
        settings.certificate,
        connections=_connections(settings),
        keep_alive=settings.keep_alive,
    )
    writer(sys.stdout).write(f"gRPC at {host}:{port}")
    await grpc_server.stop(server, stopping, settings.patience)


def _connections(settings: Settings) -> int:
    """Returns the maximum number of connections of each port."""
    return connection_limit(1 if settings.grpc_port is None else 2)


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
    url = f"{settings.scheme}://{_url_host(host)}:{port}/v1/models"
    out = writer(sys.stdout)
    out.write(f"Serving {settings.models} at {url} (Ctrl-C stops it)")
    for name, version in served.items():
        out.write(f"  {name}, version {version}")
    for line in store.missing_labels():
        note(f"label {line} yet.")
    for line in layout_notes(settings.models):
        note(line)
    for line in security.notes(host, settings.access, settings.certificate is not None):
        note(line)
    if not served:
        out.write("  No models yet; new ones are served as soon as they are published.")


def _url_host(host: str) -> str:
    """Returns a host as it is written in a URL, with IPv6 addresses in square brackets."""
    return f"[{host}]" if ":" in host else host
