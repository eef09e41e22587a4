"""Downloads of other libraries, which wait for a server without a limit."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

# Maximum time without an answer of a server, in seconds.
SECONDS = 20.0


@contextlib.contextmanager
def bounded_downloads() -> Iterator[None]:
    """Ends a download inside the block whose server does not answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
