"""Notes on models and versions, each one line on standard error."""

from __future__ import annotations

import contextlib
import sys


def print_note(line: str) -> None:
    """Prints a note as one line, even if a name in it contains a line break.

    Args:
        line: Text of the note; characters that cannot be printed are escaped.
    """
    # Standard error may be closed or full, which must not stop the thread. One call per line keeps
    # the lines of several threads apart.
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"Note: {printable(line)}\n")
        sys.stderr.flush()


def printable(text: str) -> str:
    """Returns a text with escapes, such as `\\\\n`, for the characters that cannot be printed.

    Args:
        text: Text, which may contain control characters and undecodable bytes of file names.

    Example:

    >>> from dlrecipes.serving.notes import printable
    >>> print(printable("two\\nlines"))
    two\\nlines
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
