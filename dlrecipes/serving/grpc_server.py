"""Starts and stops the gRPC server: its address, certificate, key and limits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc

from dlrecipes.serving.protocol import MAX_CONNECTIONS
from dlrecipes.serving.rpc import Rpc, add_to
from dlrecipes.serving.security import Access
from dlrecipes.serving.tls import HANDSHAKE_SECONDS

# Calls per connection, among them those whose messages do not arrive.
STREAMS = 4096
# Connections are asked to close after this time, and closed after a further grace, in seconds.
# This ends calls whose messages do not arrive; clients connect again on their own.
CONNECTION_SECONDS, GRACE_SECONDS = 1800, 120
# Shortest time without a call after which a connection is closed, in seconds.
LEAST_IDLE = 1.0


class KeyInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without the key, before their message is read.

    Args:
        access: Who may use the server.
    """

    def __init__(self, access: Access):
        self.access = access

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Returns the handler of a call."""
        metadata = dict(handler_call_details.invocation_metadata)
        if self.access.accepts(str(metadata.get("authorization", ""))):
            return await continuation(handler_call_details)
        return grpc.unary_unary_rpc_method_handler(_refuse)


async def _refuse(request: Any, context: Any) -> None:
    message = "Missing or wrong key: send the metadata authorization: Bearer KEY."
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, message)


async def start(
    rpc: Rpc,
    address: str,
    access: Access,
    certificate: tuple[Path, Path] | None = None,
    *,
    connections: int = MAX_CONNECTIONS,
    keep_alive: float = 75.0,
) -> tuple[Any, int]:
    """Returns the running server and its port.

    Calls are counted when their message has arrived (`Rpc`), not when they begin, so that calls
    without messages do not shut out others. Connections are counted by gRPC, which closes those
    without calls after a while and refuses new ones if there are too many.

    Args:
        rpc: The services.
        address: Host and port to listen on.
        access: Who may use the server; only the key applies, because browsers cannot send gRPC.
        certificate: PEM files of the certificate and its key. Defaults to `None`: no TLS.
        connections: Maximum number of open connections. Defaults to `MAX_CONNECTIONS`.
        keep_alive: Time after which a connection without calls is closed, in seconds. Defaults to
            75.
    """
    options = [
        ("grpc.max_receive_message_length", rpc.limits.body),
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", STREAMS),
        ("grpc.max_allowed_incoming_connections", connections),
        ("grpc.max_connection_idle_ms", round(max(LEAST_IDLE, keep_alive) * 1000)),
        ("grpc.server_handshake_timeout_ms", round(HANDSHAKE_SECONDS * 1000)),
        ("grpc.max_connection_age_ms", CONNECTION_SECONDS * 1000),
        ("grpc.max_connection_age_grace_ms", GRACE_SECONDS * 1000),
    ]
    interceptors = [] if access.key is None else [KeyInterceptor(access)]
    server = grpc.aio.server(options=options, interceptors=interceptors)
    add_to(server, rpc)
    if certificate is None:
        port = server.add_insecure_port(address)
    else:
        chain, key = (path.read_bytes() for path in certificate)
        port = server.add_secure_port(address, grpc.ssl_server_credentials([(key, chain)]))
    await server.start()
    return server, port


async def stop(server: Any, stopping: threading.Event, patience: float) -> None:
    """Stops the gRPC server as soon as HTTP begins to stop, not after it.

    Args:
        server: Server, or `None` if there is none.
        stopping: Event that is set when the server has to stop.
        patience: Time that calls in progress have to finish, in seconds.
    """
    while not stopping.is_set():
        await asyncio.sleep(0.1)
    if server is not None:
        await server.stop(patience)
