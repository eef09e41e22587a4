"""Reading text files, gzipped or not, with errors that name the file and the line."""

from __future__ import annotations

import codecs
import contextlib
import functools
import gzip
import os
import re
import zlib
from pathlib import Path
from typing import NamedTuple

from dlrecipes.errors import DataError, nearest, reason

_GZIP = b"\x1f\x8b"
# UTF-32 first: its mark begins like the mark of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_CHINESE = ("GB18030", "Big5")
_UTF16 = ("UTF-16LE", "UTF-16BE")
_PUNCTUATION = "，。！？；、：·…—“”‘’（）《》〈〉【】「」『』　"
# Fraction of the Chinese characters that must be common ones, for an encoding to be detected.
_MIN_COMMON = 0.8
# In Latin-1 text that is taken for Chinese, an accented letter and its neighbour become one
# character within a word; Chinese next to a Latin letter is rare.
_MAX_IN_WORDS = 0.3
_IN_WORD = re.compile(r"(?:(?<=[A-Za-z])[^\x00-\x7f]+|[^\x00-\x7f]+(?=[A-Za-z]))")
_SAVE = "Save the file as UTF-8, or convert it, such as: iconv -f CP1252 -t UTF-8 FILE > NEW_FILE."


class TextFile(NamedTuple):
    """The text of a file and its encoding.

    Args:
        text: The text, without a byte order mark. Line ends are as in the file.
        encoding: `"UTF-8"`, `"UTF-16"`, `"UTF-32"`, `"GB18030"` or `"Big5"`.
    """

    text: str
    encoding: str


def read_text(path: str | os.PathLike, hint: str = "Give a text file.") -> str:
    """Returns the text of a file, which may be gzipped under any name; see `read_file`.

    Args:
        path: File to read.
        hint: Advice for a path that is missing or a folder. Defaults to `"Give a text file."`.

    Raises:
        DataError: If `read_file` does.

    Example:

    >>> import gzip, pathlib, tempfile
    >>> from dlrecipes.data.text_files import read_text
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "poem.txt.gz")
    ...     _ = path.write_bytes(gzip.compress("明月".encode()))
    ...     read_text(path)
    '明月'
    """
    return read_file(path, hint).text


def read_file(path: str | os.PathLike, hint: str = "Give a text file.") -> TextFile:
    """Returns the text of a file and its encoding; the file may be gzipped under any name.

    UTF-8 is tried first, unless a byte order mark says UTF-16 or UTF-32. Chinese in GB18030 or
    Big5, or UTF-16 without a mark, is detected if four fifths of its characters are then common
    ones, and few touch Latin letters. Report an encoding other than UTF-8 to the user: it was
    detected, not given.

    Args:
        path: File to read.
        hint: Advice for a path that is missing or a folder. Defaults to `"Give a text file."`.

    Raises:
        DataError: If the file is missing, cannot be read, is a damaged gzip file, or is in another
            encoding; the message for the last names the line.

    Example:

    >>> import pathlib, tempfile
    >>> from dlrecipes.data.text_files import read_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "poem.txt")
    ...     _ = path.write_bytes("白日依山尽".encode("gb18030"))
    ...     read_file(path)
    TextFile(text='白日依山尽', encoding='GB18030')
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise DataError(f"{path}: expected a file, got a folder.", hint)
        data = path.read_bytes()
        if data.startswith(_GZIP):
            data = gzip.decompress(data)
        return _decode(data)
    except FileNotFoundError:
        raise missing_file(path, hint) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        if error.encoding != "utf-8":
            message = f"{path}: the byte order mark says {error.encoding}, but the bytes are not."
            raise DataError(message, _SAVE) from None
        message = f"{path}:{line}: byte {byte:#04x} is not UTF-8."
        raise DataError(message, _SAVE) from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        message = f"{path} is a damaged gzip file."
        raise DataError(message, "Download or copy it again.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from None


def _decode(data: bytes) -> TextFile:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return TextFile(data.decode(encoding), encoding)
    if encoding := _utf16_without_mark(data):
        return TextFile(data.decode(encoding), "UTF-16")
    try:
        return TextFile(data.decode("utf-8-sig"), "UTF-8")
    except UnicodeDecodeError:
        names = _UTF16 if b"\0" in data[:4096] else _CHINESE
        best, encoding = max((_common(data, name), name) for name in names)
        if best < _MIN_COMMON or (names is _CHINESE and _is_other_script(data)):
            raise
        return TextFile(data.decode(encoding), encoding.removesuffix("LE").removesuffix("BE"))


def _utf16_without_mark(data: bytes) -> str:
    """Returns the codec of UTF-16 whose every line end and space has its zero byte, or `""`."""
    if len(data) % 2 or b"\0" not in data[:4096]:
        return ""
    with contextlib.suppress(UnicodeDecodeError):
        # UTF-8 with a stray zero byte; ASCII in UTF-16 is half zeros.
        if data.decode("utf-8").count("\0") < len(data) / 5:
            return ""
    even, odd = data[::2].count(0), data[1::2].count(0)
    return "" if even and odd else "utf-16-le" if odd else "utf-16-be"


def _common(data: bytes, encoding: str) -> float:
    """Returns the fraction of common characters among those beyond ASCII, or 0."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return 0.0
    letters = [letter for letter in text if letter > "\x7f"]
    if sum(map(len, _IN_WORD.findall(text))) > _MAX_IN_WORDS * len(letters):
        return 0.0
    return sum(letter in _common_characters() for letter in letters) / max(len(letters), 1)


def _is_other_script(data: bytes) -> bool:
    """Returns whether the bytes are Japanese or Korean, whose codes overlap with Chinese ones."""
    # Chinese text decoded as Korean has Hanja as well; Japanese text is a third kana or more.
    for encoding, first, last, least in (("euc-kr", "가", "힣", 0.97), ("euc-jp", "ぁ", "ヿ", 0.3)):
        with contextlib.suppress(UnicodeDecodeError):
            letters = [letter for letter in data.decode(encoding) if letter.isalpha()]
            own = sum(first <= letter <= last for letter in letters if letter > "\x7f")
            if own >= least * sum(letter > "\x7f" for letter in letters) > 0:
                return True
    return False


@functools.cache
def _common_characters() -> frozenset[str]:
    """The 3,755 characters of GB 2312's first level, the 5,401 of Big5's, and punctuation."""
    simplified = [(high, low) for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF)]
    lows = [*range(0x40, 0x7F), *range(0xA1, 0xFF)]
    traditional = [(high, low) for high in range(0xA4, 0xC7) for low in lows]
    letters = b"".join(map(bytes, simplified)).decode("gb2312", "ignore")
    return frozenset(
        letters + b"".join(map(bytes, traditional)).decode("big5", "ignore") + _PUNCTUATION
    )


def missing_file(path: Path, hint: str) -> DataError:
    """Returns the error for a path that does not exist, with the most similar name next to it.

    Args:
        path: Path that does not exist.
        hint: Advice if no name in the same folder is similar.

    Example:

    >>> import pathlib
    >>> from dlrecipes.data.text_files import missing_file
    >>> str(missing_file(pathlib.Path("no/poems.txt"), "Give a text file."))
    'no/poems.txt does not exist. Give a text file.'
    """
    similar = ""
    if path.parent.is_dir():
        similar = nearest(path.name, sorted(entry.name for entry in path.parent.iterdir()))
    return DataError(f"{path} does not exist.", similar or hint)
