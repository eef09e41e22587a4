"""Writes whole lines to standard error, without failing or delaying a request."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from typing import TextIO

from dlrecipes._utils.terminal import escape_control_characters

# Lines that wait for a slow reader; further ones are counted and dropped.
MAX_WAITING = 10_000
# Interval in which a slow reader is checked, in seconds.
INTERVAL = 0.1
# POSIX guarantees that a pipe takes a write of this size as a whole.
PIPE_BUF = getattr(select, "PIPE_BUF", 512)


class LineWriter:
    """Writes lines to a stream from any thread, each with one system call under one lock.

    A full disk or a closed pipe raises nothing. If the reader of a pipe is slow, lines are kept
    and written by a thread, so that the caller does not wait; a note reports dropped lines.

    Args:
        stream: Stream to write to. Streams without a file descriptor are written to directly.
    """

    def __init__(self, stream: TextIO | None):
        self._stream = stream
        self._file = _descriptor(stream)
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._dropped = 0
        # Whether the last line was cut, as on a full disk.
        self._cut = False
        self._thread: threading.Thread | None = None

    def write(self, line: str) -> None:
        """Writes a line, or keeps it if the reader is slow; never raises an `OSError`."""
        data = (escape_control_characters(line) + "\n").encode("utf-8", "backslashreplace")
        with self._lock:
            if self._file is None:
                self._write_to_stream(data)
            elif self._waiting or not self._fits(data) or not self._is_writable():
                self._keep(data)
            else:
                self._put(data)

    def flush(self, seconds: float = 1.0) -> None:
        """Waits until the lines that were kept are written.

        Args:
            seconds: Longest time to wait, in seconds. Defaults to 1.
        """
        end = time.monotonic() + seconds
        while self._waiting and time.monotonic() < end:
            time.sleep(INTERVAL / 10)

    def _write_to_stream(self, data: bytes) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(data.decode())
                self._stream.flush()

    def _fits(self, data: bytes) -> bool:
        """Returns whether a write that is possible at all takes the whole line."""
        if len(data) <= PIPE_BUF:
            return True
        with contextlib.suppress(OSError):
            return stat.S_ISREG(os.fstat(self._file or 0).st_mode)
        return False

    def _is_writable(self, seconds: float = 0.0) -> bool:
        if sys.platform == "win32":
            return True
        poll = select.poll()
        poll.register(self._file or 0, select.POLLOUT)
        # An error counts as well: the write reports it at once.
        return bool(poll.poll(1000 * seconds))

    def _put(self, data: bytes) -> int:
        """Returns the number of bytes written; -1 if the line is lost."""
        try:
            written = os.write(self._file or 0, b"\n" * self._cut + data) - self._cut
        except OSError:
            self._dropped += 1
            return -1
        self._cut = written < len(data)
        return written

    def _keep(self, data: bytes) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._dropped += 1
            return
        self._waiting.append(data)
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._write_kept, name="log", daemon=True)
            self._thread.start()

    def _write_kept(self) -> None:
        while True:
            writable = self._is_writable(INTERVAL)
            with self._lock:
                # Another process may have filled the pipe in the meantime.
                if writable and self._is_writable():
                    self._write_first()
                if not self._waiting:
                    self._thread = None
                    return

    def _write_first(self) -> None:
        """Writes as much of the kept lines as a pipe takes at once."""
        part = b""
        while self._waiting and len(part) < PIPE_BUF:
            line = self._waiting.popleft()
            room = PIPE_BUF - len(part)
            part += line[:room]
            if line[room:]:
                self._waiting.appendleft(line[room:])
        self._put(part)
        if not self._waiting and self._dropped:
            note = f"Note: {self._dropped} log lines were dropped, because their reader is slow.\n"
            self._dropped = 0
            self._waiting.append(note.encode())


class NoteHandler(logging.Handler):
    """Writes the messages of Python's `logging` as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one message."""
        note(self.format(record))


_writers: dict[int, LineWriter] = {}


def writer(stream: TextIO | None) -> LineWriter:
    """Returns the writer of a stream; streams with the same file descriptor share one.

    Args:
        stream: Stream such as `sys.stderr`.
    """
    file = _descriptor(stream)
    return LineWriter(stream) if file is None else _writers.setdefault(file, LineWriter(stream))


def note(line: str) -> None:
    """Writes a line that begins with `Note:` to standard error.

    Args:
        line: Text of the note; control characters are escaped.
    """
    writer(sys.stderr).write(f"Note: {line}")


def _descriptor(stream: TextIO | None) -> int | None:
    try:
        return None if stream is None else stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
