"""Limits on requests, each checked in one place with its error."""

from __future__ import annotations

import asyncio
import contextlib
import time
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from dlrecipes.serving.status import RequestError, too_many

# Work on more bytes than this runs in a thread, so that it does not block the event loop.
SMALL = 16 * 1024
# All request bodies together may hold this many times the largest body.
BODIES = 16
# Maximum number of bodies that are arriving.
ARRIVING = 1000
# A body without data for this many seconds is given up if others need its bytes.
STALLED = 1.0


@dataclass(frozen=True)
class Limits:
    """Limits on a single request.

    Args:
        body: Maximum size of the body in bytes, after gzip decompression. Defaults to 32 MiB.
        rows: Maximum number of examples. Defaults to 1024.
        seconds: Maximum duration in seconds, from the end of the body. Defaults to 60.
        output: Maximum size of the outputs in bytes, as they are sent. Defaults to 64 MiB.
        body_seconds: Maximum time in which the body arrives, in seconds. Defaults to 60.
        idle_seconds: Maximum time without data while the body arrives, in seconds. Defaults to
            10.
    """

    body: int = 32 * 2**20
    rows: int = 1024
    seconds: float = 60.0
    output: int = 64 * 2**20
    body_seconds: float = 60.0
    idle_seconds: float = 10.0

    def too_long(self) -> RequestError:
        """Returns the error for a request that exceeded its time limit."""
        return RequestError(
            f"The request took longer than {self.seconds:g} s.", "DEADLINE_EXCEEDED"
        )


class Admission:
    """Bounds the requests in progress, the bodies that are arriving, and the bytes that both hold.

    A body that is arriving does not count as a request. When there is one too many of them, or
    they hold too many bytes, the body that has been without data for the longest time is given
    up, so that clients that send nothing do not shut out those that do.

    Args:
        requests: Maximum number of concurrent requests.
        size: Maximum total size of their bodies, in bytes.
        bodies: Maximum number of bodies that are arriving. Defaults to `ARRIVING`.
    """

    def __init__(self, requests: int, size: int, bodies: int = ARRIVING):
        self.requests, self.size, self.bodies = requests, size, bodies
        self.now = self.held = 0
        # In the order of their latest data.
        self.arriving: OrderedDict[Arrival, None] = OrderedDict()

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
            self.hold(size)
            reserved += size

        self.now += 1
        try:
            yield reserve
        finally:
            self.now -= 1
            self.held -= reserved

    @contextlib.contextmanager
    def body(self, limits: Limits) -> Iterator[Arrival]:
        """Yields the arrival of a body; its bytes are held until the block ends.

        Args:
            limits: Limits on the request.
        """
        arrival = Arrival(self, limits)
        if len(self.arriving) >= self.bodies:
            next(iter(self.arriving)).give_up("too many bodies are arriving")
        self.arriving[arrival] = None
        try:
            yield arrival
        finally:
            arrival.end()
            self.held -= arrival.charged
            arrival.charged = 0

    def hold(self, size: int, but: Arrival | None = None) -> None:
        """Counts bytes that a request holds, and gives up stalled bodies if they are too many.

        Args:
            size: Number of bytes.
            but: Arrival that is not given up. Defaults to `None`.

        Raises:
            RequestError: If the bytes are too many even so.
        """
        now = time.monotonic()
        for arrival in list(self.arriving) if self.held + size > self.size else ():
            if self.held + size <= self.size or now - arrival.latest < STALLED:
                break
            if arrival is not but and arrival.charged:
                arrival.give_up("too many bytes are held")
        if self.held + size > self.size:
            raise RequestError(
                f"Requests hold {self.held} bytes already; try again later.", "RESOURCE_EXHAUSTED"
            )
        self.held += size


class Arrival:
    """A body that is arriving, with a time of its own.

    Args:
        admission: Admission that counts it.
        limits: Limits on the request.
    """

    def __init__(self, admission: Admission, limits: Limits):
        self.admission, self.limits = admission, limits
        self.began = self.latest = time.monotonic()
        # Bytes received, and those of them that count against the total.
        self.received = self.charged = 0
        self.error: RequestError | None = None
        self._task: asyncio.Task | None = None
        self._timer: asyncio.TimerHandle | None = None

    def reserve(self, size: int) -> None:
        """Counts bytes that have arrived; the first `SMALL` bytes of a body do not count.

        Raises:
            RequestError: If all bodies together are too large.
        """
        self.received += size
        charge = max(0, self.received - SMALL) - self.charged
        if charge > 0:
            self.admission.hold(charge, but=self)
            self.charged += charge

    async def wait(self, work: Awaitable[Any]) -> Any:
        """Returns the result of `work`, which waits for data, unless the body is given up.

        Raises:
            RequestError: With status 408, if the data arrives too slowly.
        """
        if self._timer is None and self.error is None:
            self._task = asyncio.current_task()
            self._check_time()
        try:
            result = await work
        except asyncio.CancelledError:
            if self.error is None:
                raise
            # Python 3.11 counts the requests to cancel a task.
            getattr(self._task, "uncancel", lambda: None)()
            raise self.error from None
        self.latest = time.monotonic()
        if self in self.admission.arriving:
            self.admission.arriving.move_to_end(self)
        return result

    def end(self) -> None:
        """Stops the timer, because the body is complete or given up."""
        if self._timer is not None:
            self._timer.cancel()
        self.admission.arriving.pop(self, None)

    def give_up(self, why: str) -> None:
        """Ends the wait for the body with status 408.

        Args:
            why: Reason for the client.
        """
        self.error = RequestError(
            f"The body did not arrive in time: {why}.", "DEADLINE_EXCEEDED", http=408
        )
        self.end()
        self.admission.held -= self.charged
        self.charged = 0
        if self._task is not None:
            self._task.cancel()

    def _check_time(self) -> None:
        now, limits = time.monotonic(), self.limits
        idle = self.latest + limits.idle_seconds - now
        total = self.began + limits.body_seconds - now
        if total <= 0:
            self.give_up(f"it took longer than {limits.body_seconds:g} s")
        elif idle <= 0:
            self.give_up(f"no data for {limits.idle_seconds:g} s")
        else:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(idle, total) + 0.001, self._check_time)


async def in_thread(work: Callable[[], Any], size: int) -> Any:
    """Returns the result of `work`, which runs in a thread if it processes more than `SMALL` bytes.

    Args:
        work: Function to call.
        size: Number of bytes that it processes.
    """
    if size <= SMALL:
        return work()
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def read_body(request: Request, limits: Limits, arrival: Arrival) -> bytes:
    """Returns a request's body, decompressed if it is gzipped.

    Args:
        request: Request to read.
        limits: Limits on the request.
        arrival: Arrival of the body, which bounds its time and counts its bytes.

    Raises:
        RequestError: If the body is too large or too slow, or is not encoded as its headers
            declare.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", ""):
        raise RequestError(
            f"Content-Encoding {coding[:40]!r} is not supported; use gzip or none.", http=415
        )
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit():
        _check_body(int(declared[:20]), limits)
    # Not a list of parts: a list of single bytes would take fifty times their memory.
    received, more = bytearray(), True
    while more:
        message = await arrival.wait(request.receive())
        if message["type"] == "http.disconnect":
            raise RequestError("The client has disconnected.", "CANCELLED")
        part, more = message.get("body", b""), message.get("more_body", False)
        _check_body(len(received) + len(part), limits)
        arrival.reserve(len(part))
        received += part
    arrival.end()
    body = bytes(received)
    if coding != "gzip":
        return body
    # A small gzipped body can expand to the largest size.
    unpacked = await in_thread(lambda: _decompress(body, limits), limits.body)
    arrival.reserve(len(unpacked))
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
