"""The HTTP protocol of the server: malformed requests, and connections that stall."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import OrderedDict
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Maximum size of a request line with its headers, and of trailers, in bytes.
LARGEST_HEAD = 64 * 1024
# Maximum time between the start of a connection or request and the end of the headers, in seconds.
HEAD_SECONDS = 60.0
# Time in which the rest of a body that was refused is read, in seconds.
LINGER = 5.0
# A client that reads nothing of its response for this long loses the connection, in seconds.
UNREAD_SECONDS = 60.0
# Maximum number of open connections, and files that are kept for everything else.
MAX_CONNECTIONS, OTHER_FILES = 10_000, 100
# When the server stops, how long a new connection may take to send its request, and how long a
# connection that has had its answer stays open, in seconds.
FIRST_REQUEST, NEXT_REQUEST = 5.0, 1.0


class Connections:
    """State that the connections of a server have in common.

    Args:
        limit: Maximum number of open connections. Defaults to `connection_limit()`.
    """

    def __init__(self, limit: int | None = None):
        self.limit = connection_limit() if limit is None else limit
        # Connections that wait for data of a request, in the order of their latest data.
        self.waiting: OrderedDict[JsonProtocol, None] = OrderedDict()
        # Connections whose TLS handshake is not complete, the oldest first.
        self.handshakes: OrderedDict[Any, None] = OrderedDict()
        # When the server began to stop; None before that.
        self.stopping: float | None = None

    def make_room(self, count: int) -> None:
        """Closes the connection that was silent for the longest time if there are too many.

        Connections in the handshake are closed first, because their clients have shown nothing.

        Args:
            count: Number of open connections.
        """
        if count + len(self.handshakes) <= self.limit:
            return
        if self.handshakes:
            oldest, _ = self.handshakes.popitem(last=False)
            oldest.transport.abort()
        elif self.waiting:
            silent, _ = self.waiting.popitem(last=False)
            silent.transport.close()

    def begin_handshake(self, connection: Any, count: int) -> None:
        """Counts a connection whose TLS handshake begins.

        Args:
            connection: The connection, which has a `transport`.
            count: Number of connections after their handshake.
        """
        self.make_room(count + 1)
        self.handshakes[connection] = None

    def expect_requests(self) -> bool:
        """Returns whether a connection may still send a request after the server began to stop."""
        now = time.monotonic()
        if self.handshakes and now < (self.stopping or 0.0) + FIRST_REQUEST:
            return True
        return any(
            now < max(self.stopping or 0.0, connection.opened) + FIRST_REQUEST
            if connection.is_new or connection.in_head
            else now < (self.stopping or 0.0) + NEXT_REQUEST
            for connection in self.waiting
            if not connection.transport.is_closing()
        )


class Config(uvicorn.Config):
    """Configuration of the server, with what its connections share."""

    connections: Connections


class JsonProtocol(HttpToolsProtocol):
    """Answers malformed HTTP in JSON, and bounds the time and size of each part of a request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Bytes received of an incomplete head, which is a request line with its headers.
        self._head: int | None = None
        # Bytes of the headers, and of the trailers that may follow a body.
        self._fields = 0
        # Whether no request is incomplete, and how many requests started in the latest data.
        self._idle, self._started = True, 0
        self._refused = False
        self._timer: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._shared: Connections = self.config.connections  # type: ignore[attr-defined]
        self.opened, self.is_new = time.monotonic(), True

    @property
    def in_head(self) -> bool:
        """Whether a request has begun and its headers are incomplete."""
        return self._head is not None

    def connection_made(self, transport: Any) -> None:
        """Starts the timer for the first request."""
        super().connection_made(transport)
        self._shared.make_room(len(self.connections))
        self._shared.waiting[self] = None
        self._restart_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the timers."""
        self._stop_timer()
        for timer in (self._linger, self._unread):
            if timer is not None:
                timer.cancel()
        self._shared.waiting.pop(self, None)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Starts counting the bytes of a request's head, and its timer."""
        self._head = self._fields = 0
        self._idle = self.is_new = False
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
            # A connection that is closed at once says so, and nobody sends another request.
            if self._shared.stopping is not None or not self.timeout_keep_alive:
                self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Marks the connection as idle, or as being answered."""
        self._idle = True
        if self._refused:
            return
        super().on_message_complete()
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
            self._await_next_request()
        elif not self.cycle.response_complete:
            self._shared.waiting.pop(self, None)

    def on_response_complete(self) -> None:
        """Waits for the next request, or for the rest of a body that was refused."""
        self._watch_unread(self.transport.get_write_buffer_size())
        last = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if last:
            self._shared.waiting[self] = None
        if not self._idle and self._linger is None:
            self._linger = self.loop.call_later(LINGER, self.transport.close)

    def pause_writing(self) -> None:
        """Begins to watch whether the client reads."""
        super().pause_writing()
        self._watch_unread(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Watches the rest of what the client has to read."""
        super().resume_writing()
        self._watch_unread(self.transport.get_write_buffer_size())

    def drain(self) -> None:
        """Closes the connection after the response in progress, because the server stops."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        """Parses data, and refuses a head that is too long."""
        idle, self._started = self._idle, 0
        if self in self._shared.waiting:
            self._shared.waiting.move_to_end(self)
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

    def _await_next_request(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _watch_unread(self, before: int) -> None:
        """Ends the connection if the client reads nothing of `before` bytes for a time."""

        def check() -> None:
            left = self.transport.get_write_buffer_size()
            if left >= before:
                self.transport.abort()
            elif left:
                self._watch_unread(left)

        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        if before:
            self._unread = self.loop.call_later(UNREAD_SECONDS, check)

    def _refuse_head(self) -> None:
        self._refused = True
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


def connection_limit(servers: int = 1) -> int:
    """Raises the limit on open files as far as allowed, and returns how many connections fit.

    Args:
        servers: Number of servers of this process, which share the open files. Defaults to 1.

    Returns:
        Connections of a server, at most `MAX_CONNECTIONS`.
    """
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = servers * MAX_CONNECTIONS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    files = needed if soft == resource.RLIM_INFINITY else soft
    return max(1, min(MAX_CONNECTIONS, (files - OTHER_FILES) // servers))
