"""A graceful shutdown: every accepted connection is answered, and the process ends in time."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import struct
import sys
import threading
import time
from types import FrameType
from typing import cast

import uvicorn

from dlrecipes.errors import INTERRUPTED
from dlrecipes.serving.protocol import Config, JsonProtocol

# Time that a stopping server has after its patience to close connections, in seconds.
GRACE = 5.0
# Time in which connections that are being established are accepted, in seconds.
HANDSHAKE = 0.25
_SO_ATTACH_FILTER = 26
# A classic BPF program for TCP segments: loads the flags, and drops those with SYN but not ACK.
_DROP_NEW = (
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 2),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)


class Server(uvicorn.Server):
    """Answers all accepted connections when it stops, and exits even if a model's run hangs.

    Args:
        config: Configuration.
        patience: Time that requests in progress have to finish, in seconds.
        stopping: Event that is set when the server begins to stop.
    """

    def __init__(self, config: Config, patience: float, stopping: threading.Event):
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
            self.begin_to_stop()
            # A model's run cannot be interrupted, and Python would wait for its thread forever.
            timer = threading.Timer(self.patience + GRACE, os._exit, (1,))
            timer.daemon = True
            timer.start()
        elif sig == signal.SIGINT:
            os._exit(INTERRUPTED)
        super().handle_exit(sig, frame)

    def begin_to_stop(self) -> None:
        """Makes all further responses end their connection; uvicorn stops at its next tick."""
        cast(Config, self.config).connections.stopping = time.monotonic()
        self.stopping.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts and answers what has connected, then stops."""
        began = time.monotonic()
        shared = cast(Config, self.config).connections
        shared.stopping = shared.stopping or began
        for listening in sockets or []:
            refuse_new_connections(listening)
        for connection in list(self.server_state.connections):
            cast(JsonProtocol, connection).drain()
        await asyncio.sleep(HANDSHAKE)
        for server in self.servers:
            server.close()
        while shared.expect_requests() and time.monotonic() < began + self.patience:
            await asyncio.sleep(0.02)
        left = max(1, round(self.patience - (time.monotonic() - began)))
        self.config.timeout_graceful_shutdown = left
        await super().shutdown(sockets)


def refuse_new_connections(listening: socket.socket) -> None:
    """Lets the kernel ignore further attempts to connect, and finish those that have begun.

    A listening socket that is closed resets the connections that the kernel has accepted and the
    process has not. With this filter the process can accept all of them first: no others follow.
    Clients repeat an ignored attempt after a second, and it is refused then. On systems other than
    Linux this does nothing, and a connection that arrives in the last moment may be reset.

    Args:
        listening: Socket that listens.
    """
    if sys.platform != "linux":
        return
    program = b"".join(struct.pack("HBBI", *step) for step in _DROP_NEW)
    buffer = ctypes.create_string_buffer(program)
    described = struct.pack("HL", len(_DROP_NEW), ctypes.addressof(buffer))
    try:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
    except OSError:
        return  # A sandbox may not have filters.
