"""Notes to the user on the error stream."""

from __future__ import annotations

import sys
from collections.abc import Hashable

_PRINTED: set[Hashable] = set()


def print_note(line: str, once: Hashable = None) -> None:
    """Prints a line after `Note:` to the error stream.

    Args:
        line: The note.
        once: Kind of the note: only the first of a kind is printed. Defaults to `None`: print it.
    """
    if once is not None:
        if once in _PRINTED:
            return
        _PRINTED.add(once)
    print(f"Note: {line}", file=sys.stderr, flush=True)
