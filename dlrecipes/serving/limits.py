"""What a server allows: each bound once, with the error that tells of it."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request

from dlrecipes.serving.status import RequestError, too_many

# What takes more bytes than these is worked on in a thread: the event loop goes on.
SMALL = 16 * 1024
# Bodies of the largest size that are held at a time.
BODIES = 16


@dataclass(frozen=True)
class Limits:
    """Bounds of a server.

    Args:
        body: Bytes of a request's body at most, unpacked where it is gzipped.
        rows: Examples of a request at most.
        seconds: How long a request may take.
    """

    body: int = 32 * 2**20
    rows: int = 1024
    seconds: float = 60.0

    def too_long(self) -> RequestError:
        """Returns the error of a request that took longer than it may."""
        return RequestError(
            f"The request took longer than {self.seconds:g} s.", "DEADLINE_EXCEEDED"
        )


class Admission:
    """What the requests that have begun hold together.

    Args:
        requests: How many there may be.
        size: Bytes of their bodies at most.
    """

    def __init__(self, requests: int, size: int):
        self.requests, self.size = requests, size
        self.now = self.held = 0

    @contextlib.contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        """Counts a request while the block runs; yields what takes the bytes that it reads.

        Raises:
            RequestError: If there are too many, or they hold too much.
        """
        if self.now >= self.requests:
            raise too_many(self.now)
        mine = 0

        def reserve(size: int) -> None:
            nonlocal mine
            if self.held + size > self.size:
                raise RequestError(
                    f"Requests hold {self.held} bytes already; try again later.",
                    "RESOURCE_EXHAUSTED",
                )
            mine += size
            self.held += size

        self.now += 1
        try:
            yield reserve
        finally:
            self.now -= 1
            self.held -= mine


async def in_thread(work: Callable[[], Any], size: int) -> Any:
    """Returns what some work on so many bytes returns, done in a thread where it is much."""
    if size <= SMALL:
        return work()
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def read_body(
    request: Request, limits: Limits, reserve: Callable[[int], None] = lambda size: None
) -> bytes:
    """Returns a request's body, unpacked where it is gzipped.

    Args:
        request: The request.
        limits: What is allowed.
        reserve: Is told of the bytes as they come, and may refuse them.

    Raises:
        RequestError: If it is too large, or is not what it says.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", ""):
        raise RequestError(f"Content-Encoding {coding[:40]!r} is not known; gzip is.", http=415)
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            _check(size, limits)
            reserve(len(part))
            parts.append(part)
    except ClientDisconnect:
        raise RequestError("The client has gone away.", "CANCELLED") from None
    body = b"".join(parts)
    if coding != "gzip":
        return body
    # However small it is, it may stand for much.
    found = await in_thread(lambda: _unpacked(body, limits), limits.body)
    reserve(len(found))
    return found


def _unpacked(body: bytes, limits: Limits) -> bytes:
    unpack = zlib.decompressobj(wbits=31)
    try:
        found = unpack.decompress(body, limits.body + 1)
    except zlib.error as error:
        raise RequestError(f"The body is not gzipped as it says: {error}.") from None
    _check(len(found), limits)
    if not unpack.eof:
        raise RequestError("The gzipped body ends too early.")
    if unpack.unused_data:
        raise RequestError("Something follows the gzipped body.")
    return found


def check_rows(rows: int, limits: Limits) -> None:
    """Refuses a request with too many examples.

    Raises:
        RequestError: If there are more than `limits.rows`.
    """
    if rows > limits.rows:
        raise RequestError(
            f"The request has {rows} examples; at most {limits.rows} are answered at once."
        )


def check_size(size: int, what: str, limits: Limits) -> None:
    """Refuses a request of which so many bytes would be made.

    Raises:
        RequestError: If there are more than `limits.body`.
    """
    if size > limits.body:
        raise RequestError(f"{what} would take {size} bytes; at most {limits.body} are allowed.")


def _check(size: int, limits: Limits) -> None:
    if size > limits.body:
        raise RequestError(f"The body is larger than {limits.body} bytes.", http=413)
