"""A line of progress on an interactive terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType

# Seconds before the line appears, and between two of its updates.
_AFTER, _EVERY = 1.0, 0.2


class ProgressLine:
    """Counts on one line of the error stream, if that is a terminal; removes the line at the end.

    Args:
        what: Name of the counted items, such as `"images read"`.
        total: Number of items; `None` if it is unknown. Defaults to `None`.

    Example:

    >>> from dlrecipes._utils.progress import ProgressLine
    >>> with ProgressLine("images read", 100) as progress:
    ...     progress(50)
    """

    def __init__(self, what: str, total: int | None = None):
        self._what = what
        self._total = total
        self._next = time.monotonic() + _AFTER
        self._is_terminal = sys.stderr.isatty()
        self._width = 0

    def __call__(self, count: int) -> None:
        """Shows the number of items so far."""
        if not self._is_terminal or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY
        total = "" if self._total is None else f" of {self._total:,}"
        line = f"{count:,}{total} {self._what}"
        sys.stderr.write(f"\r{line:<{self._width}}")
        sys.stderr.flush()
        self._width = len(line)

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._width:
            sys.stderr.write(f"\r{'':<{self._width}}\r")
            sys.stderr.flush()
