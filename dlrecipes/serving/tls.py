"""TLS connections: those in the handshake are bounded in number and time, as all others."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import sslproto
from typing import Any

from dlrecipes.serving.protocol import Config, JsonProtocol

# Maximum time of a handshake, in seconds.
HANDSHAKE_SECONDS = 10


class TlsConfig(Config):
    """Configuration of a server that speaks TLS.

    Args:
        app: Application.
        tls: Settings of TLS.
        **options: Further arguments of `Config`.
    """

    def __init__(self, app: Any, tls: ssl.SSLContext, **options: Any):
        super().__init__(app, **options)
        self.tls = tls

    def load(self) -> None:
        """Loads the application, and puts TLS before HTTP."""
        super().load()
        self.http_protocol_class: Any = TlsProtocol


class TlsProtocol(sslproto.SSLProtocol):
    """A TLS connection, which counts from its beginning.

    A server that leaves TLS to the event loop learns of a connection after the handshake, so that
    clients that say nothing would use up the open files unseen.

    Args:
        config: Configuration.
        **options: Further arguments of `JsonProtocol`.
    """

    def __init__(self, config: TlsConfig, **options: Any):
        self.transport: Any = None
        self._http = _Http(config=config, **options)
        self._http.handshake = self
        loop = asyncio.get_running_loop()
        super().__init__(
            loop,
            self._http,
            config.tls,
            None,  # type: ignore[arg-type]  # Nobody waits for the handshake.
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
        )

    def connection_made(self, transport: Any) -> None:
        """Starts the handshake."""
        self.transport = transport
        self._http.begin_handshake()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Ends the connection, or its handshake."""
        self._http.end_handshake()
        super().connection_lost(exc)


class _Http(JsonProtocol):
    """HTTP over TLS, which begins when the handshake is complete."""

    handshake: TlsProtocol

    def begin_handshake(self) -> None:
        self._shared.begin_handshake(self.handshake, len(self.connections))

    def end_handshake(self) -> None:
        self._shared.handshakes.pop(self.handshake, None)

    def connection_made(self, transport: Any) -> None:
        self.end_handshake()
        super().connection_made(transport)
