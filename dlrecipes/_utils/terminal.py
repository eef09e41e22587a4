"""Output that a terminal of any encoding can print."""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from typing import Any

_NAME = "dlrecipes.escape"
_ASCII = "dlrecipes_ascii"
_escaped = False
# Control characters, line separators, and marks that change the direction of text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def escape_control_characters(text: str) -> str:
    """Returns a text on one line: control characters are written as in a Python string.

    Args:
        text: Text that may contain names of files or models.
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    global _escaped
    _escaped = True
    return codecs.backslashreplace_errors(error)


def open_closed_streams() -> None:
    """Opens the null device in place of each standard stream that is closed, as by `2>&-`.

    Otherwise the next file or connection gets the number of the stream, and the libraries that
    write to it write there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, because the earlier ones are open.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def escape_unprintable() -> None:
    """Makes standard output and error write `\\u6625` where their encoding lacks a character.

    Python raises `UnicodeEncodeError` otherwise, for a poem in a terminal of Latin-1 for example.
    """
    codecs.register_error(_NAME, _escape)
    codecs.register(_ascii)
    for stream in (sys.stdout, sys.stderr):
        # Test runners and notebooks replace the streams by objects of their own.
        if hasattr(stream, "reconfigure"):
            # click takes ASCII for a mistake and writes UTF-8, unless it has another name.
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=_ASCII if is_ascii else stream.encoding, errors=_NAME)


def _ascii(name: str) -> codecs.CodecInfo | None:
    if name != _ASCII:
        return None
    info = codecs.lookup("ascii")
    return codecs.CodecInfo(
        info.encode,
        info.decode,
        info.streamreader,
        info.streamwriter,
        info.incrementalencoder,
        info.incrementaldecoder,
        name=_ASCII,
    )


def json_text(value: Any, indent: int | None = None) -> str:
    """Returns JSON for standard output, with escapes of JSON's own unless it is UTF-8."""
    utf8 = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    return json.dumps(value, indent=indent, ensure_ascii=not utf8)


def note_escapes() -> None:
    """Says once, on standard error, that characters were written as escapes and how to see them."""
    global _escaped
    if _escaped:
        _escaped = False
        encoding = getattr(sys.stdout, "encoding", None) or "unknown"
        encoding = encoding.removeprefix("dlrecipes_")
        print(
            f"Note: the encoding of this terminal ({encoding}) lacks some characters, which are "
            "written as \\u6625, for example. PYTHONIOENCODING=utf-8 writes them as they are.",
            file=sys.stderr,
        )
