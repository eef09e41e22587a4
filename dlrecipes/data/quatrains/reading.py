"""Readers of quatrains: JSON lines and plain text, gzipped or not."""

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from dlrecipes.data.quatrains.poem import LENGTHS, LINES, Poem, is_han
from dlrecipes.data.text_files import read_text
from dlrecipes.errors import DataError, nearest

_FORMATS = (
    'Give JSON lines, each {"content": "白日依山尽|黄河入海流|欲穷千里目|更上一层楼"}, '
    "or text with one poem per line."
)
_BREAKS = re.compile(r"[|｜/／\\\s,.!?;:，。！？；：、．]+")
_JSON = (".json", ".jsonl", ".ndjson")


def read_quatrains(path: str | os.PathLike) -> tuple[list[Poem], dict[str, int]]:
    """Reads the quatrains in a file: poems of four lines with five or seven characters each.

    The format is detected from the content, and the file may be gzipped:

    - JSON lines: `content` holds the lines of a poem, joined by vertical bars; `title`,
      `author` and `theme` are optional, and other keys are ignored.
    - Plain text, one poem per line.

    Bars, slashes, spaces and punctuation, Chinese or ASCII, separate the lines of a poem.
    Poems that are not quatrains are skipped and counted.

    Args:
        path: UTF-8 file to read.

    Returns:
        Quatrains in the order of the file, and the number of skipped poems by reason.

    Raises:
        DataError: If the file cannot be read, a line is not valid JSON or lacks `content` (the
            message names file and line), or the file holds no quatrain.

    Example:

    >>> import pathlib, tempfile
    >>> from dlrecipes.data.quatrains import read_quatrains
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "poems.txt")
    ...     _ = path.write_text("白日依山尽，黄河入海流。欲穷千里目，更上一层楼。\\n关关雎鸠\\n", "utf-8")
    ...     poems, skipped = read_quatrains(path)
    >>> poems[0].lines[0], skipped
    ('白日依山尽', {'do not have 4 lines': 1})
    """  # noqa: E501
    path = Path(path)
    lines = _read_lines(path)
    first = next((line for _, line in lines), "")
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    is_json = first.startswith("{") or suffix.lower() in _JSON
    poems = []
    skipped: Counter[str] = Counter()
    for poem in _from_json(path, lines) if is_json else _from_text(lines):
        problem = _not_a_quatrain(poem.lines)
        if problem:
            skipped[problem] += 1
        else:
            poems.append(poem)
    if not poems:
        raise _no_quatrain(path, skipped)
    return poems, dict(skipped)


def _read_lines(path: Path) -> list[tuple[int, str]]:
    """Returns the lines that are not blank, with their line numbers."""
    text = read_text(path, _FORMATS)
    # Not `splitlines`: a JSON string may contain U+2028 or U+0085 unescaped.
    lines = [(k, line.strip()) for k, line in enumerate(re.split("\r\n|\n|\r", text), start=1)]
    return [(k, line) for k, line in lines if line]


def _from_text(lines: list[tuple[int, str]]) -> Iterator[Poem]:
    return (Poem(_split(line)) for _, line in lines)


def _from_json(path: Path, lines: list[tuple[int, str]]) -> Iterator[Poem]:
    for number, line in lines:
        where = f"{path}:{number}"
        if number == lines[0][0] and line.startswith("["):
            hint = "Write one object per line, without the enclosing brackets and commas."
            raise DataError(f"{where}: expected JSON lines, got a JSON array.", hint)
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            message = f"{where}: invalid JSON: {error.msg.lower()} at column {error.colno}."
            raise DataError(message, _FORMATS) from None
        except (RecursionError, ValueError):
            raise DataError(f"{where}: invalid JSON.", _FORMATS) from None
        if not isinstance(record, dict):
            raise DataError(f"{where}: expected an object, got {_kind(record)}.", _FORMATS)
        if not isinstance(record.get("content"), str):
            raise _no_content(where, record)
        names = {name: record.get(name) for name in ("title", "author", "theme")}
        texts = {name: text for name, text in names.items() if isinstance(text, str) and text}
        yield Poem(_split(record["content"]), **texts)


def _no_content(where: str, record: dict) -> DataError:
    if "content" in record:
        kind = _kind(record["content"])
        return DataError(f"{where}: expected 'content' to be a string, got {kind}.", _FORMATS)
    near = nearest("content", record)
    return DataError(f"{where}: there is no 'content'.", f"{near} {_FORMATS}".strip())


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", type(None): "null"}
    return names.get(type(value), "a Boolean" if isinstance(value, bool) else "a number")


def _split(text: str) -> tuple[str, ...]:
    # NFC replaces compatibility ideographs by the ordinary ones.
    parts = _BREAKS.split(unicodedata.normalize("NFC", text))
    return tuple(part for part in parts if part)


def _not_a_quatrain(lines: tuple[str, ...]) -> str:
    if len(lines) != LINES:
        return f"do not have {LINES} lines"
    if not all(is_han(character) for line in lines for character in line):
        return "contain other than Chinese characters"
    if {len(line) for line in lines} not in [{length} for length in LENGTHS]:
        return "do not have 5 or 7 characters in each line"
    return ""


def _no_quatrain(path: Path, skipped: Counter) -> DataError:
    if not skipped:
        return DataError(f"{path} is empty.", _FORMATS)
    reasons = "; ".join(f"{count} {text}" for text, count in skipped.most_common())
    return DataError(f"{path} holds no quatrain: of its poems, {reasons}.", _FORMATS)
