"""Writing and sending of responses, large ones without delaying the other requests."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

from starlette.responses import Response

from dlrecipes.serving import json_output
from dlrecipes.serving.limits import SMALL, Limits, check_output
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.tensors import as_array, size_of

# All large responses together may hold this many times the largest response.
RESPONSES = 8
# Bytes of a response that are sent at a time.
PIECE = 256 * 1024
# A client may take this long for each MiB of a large response, in seconds.
SECONDS_PER_MIB = 1.0

# Bytes that the response of the current task holds.
_OWN: ContextVar[list[int] | None] = ContextVar("_OWN", default=None)


class Writer:
    """Writes responses, and bounds the size of each and of all that are written or sent.

    Args:
        limits: Limits on a request.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self.size = RESPONSES * limits.output
        self.held = 0
        # Large responses are written one after the other.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")

    def close(self) -> None:
        """Stops, without waiting for responses in progress."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    @contextlib.contextmanager
    def response(self) -> Iterator[None]:
        """Counts what `write` writes in the block until the block ends."""
        own = [0]
        _OWN.set(own)
        try:
            yield
        finally:
            self.held -= own[0]

    async def write(
        self, outputs: Mapping[str, Any], pieces: Callable[[], Iterator[bytes]]
    ) -> bytes:
        """Returns the body of a response, which is written in a thread if the outputs are large.

        Args:
            outputs: Outputs of the signature, by name: arrays, or scalar strings.
            pieces: Function that yields the pieces of the body.

        Raises:
            RequestError: If the body is too large, or all of them together are.
        """
        count = sum(json_output.count_values(as_array(output)) for output in outputs.values())
        if count <= SMALL // 4 and size_of(outputs) <= SMALL:
            json_output.check_size(outputs, self.limits)
            return self._join(pieces, threading.Event())
        loop = asyncio.get_running_loop()
        check = json_output.check_size
        most = await loop.run_in_executor(self._thread, check, outputs, self.limits)
        # The outputs are in memory until they are written, so that this comes before.
        self.reserve(most)
        cancelled = threading.Event()
        try:
            body = await loop.run_in_executor(self._thread, self._join, pieces, cancelled)
        finally:
            cancelled.set()
        self.reserve(len(body))
        return body

    def reserve(self, size: int) -> None:
        """Sets the number of bytes that the response of the current block holds.

        Args:
            size: Number of bytes; fewer than before are always accepted.

        Raises:
            RequestError: If all responses would hold too many bytes.
        """
        own = _OWN.get()
        if own is None:
            return
        more = size - own[0]
        if more > 0 and self.held + more > self.size:
            raise RequestError(
                f"Responses hold {self.held} bytes already; try again later.",
                "RESOURCE_EXHAUSTED",
            )
        own[0] = size
        self.held += more

    def _join(self, pieces: Callable[[], Iterator[bytes]], cancelled: threading.Event) -> bytes:
        parts, size = [], 0
        for piece in pieces():
            size += len(piece)
            check_output(size, self.limits)
            if cancelled.is_set():
                return b""
            parts.append(piece)
        return b"".join(parts)


class JsonResponse(Response):
    """A response in JSON that is sent piece by piece, as fast as the client reads it.

    Args:
        body: Body.
        status: HTTP status.
        seconds: Time that the client has to read it, in addition to `SECONDS_PER_MIB`.
    """

    media_type = "application/json"

    def __init__(self, body: bytes, status: int, seconds: float):
        super().__init__(body, status)
        self.seconds = seconds + SECONDS_PER_MIB * len(body) / 2**20

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Sends the response; a client that reads too slowly gets a part of it."""
        if len(self.body) <= PIECE:
            await super().__call__(scope, receive, send)
            return
        # uvicorn closes the connection of a response that is not complete.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._send(send), self.seconds)

    async def _send(self, send: Any) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        for position in range(0, len(self.body), PIECE):
            piece = bytes(self.body[position : position + PIECE])
            more = position + PIECE < len(self.body)
            # Waits until the client has read most of the earlier pieces.
            await send({"type": "http.response.body", "body": piece, "more_body": more})
