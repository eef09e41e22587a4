"""Limits on requests, each checked in one place with its error."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request

from dlrecipes.serving.status import RequestError, too_many

# Work on more bytes than this runs in a thread, so that it does not block the event loop.
SMALL = 16 * 1024
# All request bodies together may hold this many times the largest body.
BODIES = 16


@dataclass(frozen=True)
class Limits:
    """Limits on a single request.

    Args:
        body: Maximum size of the body in bytes, after gzip decompression. Defaults to 32 MiB.
        rows: Maximum number of examples. Defaults to 1024.
        seconds: Maximum duration in seconds. Defaults to 60.
        output: Maximum size of the outputs in bytes, as they are sent. Defaults to 64 MiB.
    """

    body: int = 32 * 2**20
    rows: int = 1024
    seconds: float = 60.0
    output: int = 64 * 2**20

    def too_long(self) -> RequestError:
        """Returns the error for a request that exceeded its time limit."""
        return RequestError(
            f"The request took longer than {self.seconds:g} s.", "DEADLINE_EXCEEDED"
        )


class Admission:
    """Bounds the number of concurrent requests and the total size of their bodies.

    Args:
        requests: Maximum number of concurrent requests.
        size: Maximum total size of their bodies, in bytes.
    """

    def __init__(self, requests: int, size: int):
        self.requests, self.size = requests, size
        self.now = self.held = 0

    @contextlib.contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        """Admits a request for the duration of the block; yields a function that reserves bytes.

        Raises:
            RequestError: If there are too many requests, or their bodies are too large.
        """
        if self.now >= self.requests:
            raise too_many(self.now)
        reserved = 0

        def reserve(size: int) -> None:
            nonlocal reserved
            if self.held + size > self.size:
                raise RequestError(
                    f"Requests hold {self.held} bytes already; try again later.",
                    "RESOURCE_EXHAUSTED",
                )
            reserved += size
            self.held += size

        self.now += 1
        try:
            yield reserve
        finally:
            self.now -= 1
            self.held -= reserved


async def in_thread(work: Callable[[], Any], size: int) -> Any:
    """Returns the result of `work`, which runs in a thread if it processes more than `SMALL` bytes.

    Args:
        work: Function to call.
        size: Number of bytes that it processes.
    """
    if size <= SMALL:
        return work()
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def read_body(
    request: Request, limits: Limits, reserve: Callable[[int], None] = lambda size: None
) -> bytes:
    """Returns a request's body, decompressed if it is gzipped.

    Args:
        request: Request to read.
        limits: Limits on the request.
        reserve: Function that is called with the number of bytes as they arrive, and that may
            raise a `RequestError`. Defaults to a function that does nothing.

    Raises:
        RequestError: If the body is too large, or is not encoded as its headers declare.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", ""):
        raise RequestError(
            f"Content-Encoding {coding[:40]!r} is not supported; use gzip or none.", http=415
        )
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            _check_body(size, limits)
            reserve(len(part))
            parts.append(part)
    except ClientDisconnect:
        raise RequestError("The client has disconnected.", "CANCELLED") from None
    body = b"".join(parts)
    if coding != "gzip":
        return body
    # A small gzipped body can expand to the largest size.
    unpacked = await in_thread(lambda: _decompress(body, limits), limits.body)
    reserve(len(unpacked))
    return unpacked


def _decompress(body: bytes, limits: Limits) -> bytes:
    decompressor = zlib.decompressobj(wbits=31)
    try:
        unpacked = decompressor.decompress(body, limits.body + 1)
    except zlib.error as error:
        raise RequestError(f"The body is not valid gzip: {error}.") from None
    _check_body(len(unpacked), limits)
    if not decompressor.eof:
        raise RequestError("The gzipped body is truncated.")
    if decompressor.unused_data:
        raise RequestError("The gzipped body is followed by other data.")
    return unpacked


def check_rows(rows: int, limits: Limits) -> None:
    """Refuses a request with too many examples.

    Raises:
        RequestError: If there are more than `limits.rows`.
    """
    if rows > limits.rows:
        raise RequestError(
            f"The request has {rows} examples; at most {limits.rows} are allowed per request."
        )


def check_size(size: int, what: str, limits: Limits) -> None:
    """Refuses a request that would take too much memory.

    Args:
        size: Number of bytes that the request would take.
        what: Subject of the message: the part of the request that takes them.
        limits: Limits on the request.

    Raises:
        RequestError: If `size` exceeds `limits.body`.
    """
    if size > limits.body:
        raise RequestError(f"{what} would take {size} bytes; at most {limits.body} are allowed.")


def check_output(size: int, limits: Limits) -> None:
    """Refuses a response that is too large.

    Args:
        size: Number of bytes that the outputs take at least.
        limits: Limits on the request.

    Raises:
        RequestError: If `size` exceeds `limits.output`.
    """
    if size > limits.output:
        raise RequestError(
            f"The outputs take more than {limits.output} bytes, the limit of --max-output-mb. "
            "Send fewer examples, or ask for smaller outputs.",
            "RESOURCE_EXHAUSTED",
        )


def _check_body(size: int, limits: Limits) -> None:
    if size > limits.body:
        raise RequestError(f"The body is larger than {limits.body} bytes.", http=413)
