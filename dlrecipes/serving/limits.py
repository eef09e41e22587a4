"""What a server allows: each bound once, with the error that tells of it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from dlrecipes.serving.status import RequestError


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


async def read_body(request: Request, limits: Limits) -> bytes:
    """Returns a request's body, unpacked where it is gzipped.

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
            parts.append(part)
    except ClientDisconnect:
        raise RequestError("The client has gone away.", "CANCELLED") from None
    body = b"".join(parts)
    if coding != "gzip":
        return body
    unpack = zlib.decompressobj(wbits=31)
    try:
        found = unpack.decompress(body, limits.body + 1)
    except zlib.error as error:
        raise RequestError(f"The body is not gzipped as it says: {error}.") from None
    _check(len(found), limits)
    if not unpack.eof:
        raise RequestError("The gzipped body ends too early.")
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


def _check(size: int, limits: Limits) -> None:
    if size > limits.body:
        raise RequestError(f"The body is larger than {limits.body} bytes.", http=413)
