"""Readers of quatrains: JSON, tables and plain text, gzipped or not."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dlrecipes._utils.wording import counted
from dlrecipes.data.quatrains.layouts import has_notes, poem_of, poems_of_text
from dlrecipes.data.quatrains.poem import LENGTHS, LINES, Poem, is_han
from dlrecipes.data.text_files import read_file
from dlrecipes.errors import DataError, nearest

_FORMATS = (
    'Give JSON lines, each {"content": "白日依山尽|黄河入海流|欲穷千里目|更上一层楼"}, '
    "or text with one poem per line."
)
_JSON = (".json", ".jsonl", ".ndjson")
# Keys of JSON and headers of tables.
_CONTENT = (
    *("content", "contents", "paragraphs", "poem", "text"),
    *("内容", "正文", "诗", "诗句", "诗文", "诗歌", "原文"),
)
_NAMES = {
    "title": ("title", "题目", "标题", "诗题"),
    "author": ("author", "作者", "诗人"),
    "theme": ("theme", "主题"),
}
# A poem, and its title, author and theme.
_Row = tuple[str, dict[str, str]]
# Fraction of the characters that GB 2312, the simplified set, lacks in traditional text.
_TRADITIONAL = 0.1


def read_quatrains(
    path: str | os.PathLike, notes: list[str] | None = None
) -> tuple[list[Poem], dict[str, int]]:
    """Reads the quatrains in a file: poems of four lines with five or seven characters each.

    The format is detected from the content, and the file may be gzipped:

    - JSON lines or a JSON array of objects: `content`, a string, or `paragraphs`, a list, holds
      the lines of a poem; `title`, `author` and `theme` are optional, and other keys are ignored.
    - A table in CSV or TSV whose header names a column `content` (or 内容), and optionally `title`
      (题目) and `author` (作者).
    - Plain text: one poem per line, with or without a title before a colon; or a blank line after
      each poem, with or without headings; or two couplets per poem.

    Bars, slashes, spaces and punctuation, Chinese or ASCII, separate the lines of a poem. Notes in
    parentheses are left out. Poems that are not quatrains are skipped and counted.

    Args:
        path: File to read, in UTF-8, UTF-16, GB18030 or Big5.
        notes: List that receives sentences for the user about what was detected or left out.
            Defaults to `None`: they are dropped.

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
    notes = [] if notes is None else notes
    text, encoding = read_file(path, _FORMATS)
    if encoding != "UTF-8":
        notes.append(f"{path.name} is read as {encoding}.")
    poems, layout, notes_left_out = _poems(path, text)
    problems = [_not_a_quatrain(poem.lines) for poem in poems]
    skipped = Counter(filter(None, problems))
    poems = [poem for poem, problem in zip(poems, problems, strict=True) if not problem]
    if not poems:
        raise _no_quatrain(path, skipped)
    if layout:
        notes.append(f"{path.name} is read as {layout}.")
    if skipped:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in skipped.items())
        notes.append(
            f"{path.name}: {counted(len(poems), 'quatrain')}; poems that are skipped: {reasons}."
        )
    if notes_left_out:
        notes.append(f"{path.name}: notes in parentheses are left out.")
    if _is_traditional(poems):
        notes.append(
            f"{path.name} is in traditional characters: the model will take and write these."
        )
    return poems, dict(skipped)


def quatrain_fraction(path: str | os.PathLike) -> float:
    """Returns the fraction of a file's poems that are quatrains; 1 for JSON and tables.

    Args:
        path: File to read.

    Raises:
        DataError: If the file cannot be read, or is invalid JSON.
    """
    path = Path(path)
    text = read_file(path, _FORMATS).text
    poems = _poems(path, text)[0]
    if _is_json(path, text) or _table(text):
        return 1.0
    return sum(not _not_a_quatrain(poem.lines) for poem in poems) / max(len(poems), 1)


def _poems(path: Path, text: str) -> tuple[list[Poem], str, bool]:
    """Returns the poems, quatrains or not, the layout in words, and whether there were notes."""
    # Not `splitlines`: a JSON string may contain U+2028 or U+0085 unescaped.
    lines = [line.strip() for line in re.split("\r\n|\n|\r", text)]
    table, layout = _table(text), ""
    if _is_json(path, text):
        rows = list(_from_json(path, lines))
    elif table:
        rows = list(_from_table(*table))
        layout = f"a table with the poems in column {table[0]['content']!r}"
    else:
        return *poems_of_text(lines), has_notes(text)
    poems = [poem_of(content, **names) for content, names in rows]
    return poems, layout, any(has_notes(content) for content, _ in rows)


def _is_json(path: Path, text: str) -> bool:
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    return re.match(r"\s*(\{|\[\s*\{)", text) is not None or suffix.lower() in _JSON


def _table(text: str) -> tuple[dict[str, str], list[dict[str, str]]] | None:
    """Returns the columns of poems and names, and the rows, if the first line is a header."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    header = text.lstrip().partition("\n")[0].strip()
    delimiter = next((mark for mark in "\t;" if mark in header), ",")
    names = [name.strip().strip('"') for name in header.split(delimiter)]
    columns = {
        key: name
        for key, choices in {"content": _CONTENT, **_NAMES}.items()
        for name in names
        if name.lower() in choices
    }
    if len(names) < 2 or "content" not in columns:
        return None
    rows = csv.DictReader(io.StringIO(text.lstrip()), names, delimiter=delimiter)
    return columns, list(rows)[1:]


def _from_table(columns: dict[str, str], rows: Sequence[dict[str, str]]) -> Iterator[_Row]:
    for row in rows:
        values = {key: (row.get(name) or "").strip() for key, name in columns.items()}
        content = values.pop("content")
        if content:
            yield content, {key: value for key, value in values.items() if value}


def _from_json(path: Path, lines: Sequence[str]) -> Iterator[_Row]:
    for number, record in _records(path, lines):
        where = f"{path}:{number}"
        if not isinstance(record, dict):
            raise DataError(f"{where}: expected an object, got {_kind(record)}.", _FORMATS)
        key = next((key for key in _CONTENT if key in record), None)
        content = record[key] if key else None
        if isinstance(content, list) and all(isinstance(part, str) for part in content):
            content = " ".join(content)
        if not isinstance(content, str):
            raise _no_content(where, record, key)
        values = {
            name: next((record[key] for key in keys if key in record), None)
            for name, keys in _NAMES.items()
        }
        texts = {name: text for name, text in values.items() if isinstance(text, str) and text}
        yield content, texts


def _records(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """Yields the records of JSON lines, or of one array, with their numbers."""
    is_array = next((line for line in lines if line), "").startswith("[")
    number = 1
    try:
        if is_array:
            yield from enumerate(json.loads("\n".join(lines)), start=1)
            return
        for number, line in enumerate(lines, start=1):
            if line:
                yield number, json.loads(line)
    except json.JSONDecodeError as error:
        if not is_array and _is_object("\n".join(lines)):
            message = f"{path}: one JSON object over several lines; expected an array of objects."
            raise DataError(message, _FORMATS) from None
        where = f"{path}:{error.lineno if is_array else number}"
        message = f"{where}: invalid JSON: {error.msg.lower()} at column {error.colno}."
        raise DataError(message, _FORMATS) from None
    except (RecursionError, ValueError):
        raise DataError(f"{path}:{number}: invalid JSON.", _FORMATS) from None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (RecursionError, ValueError):
        return False


def _no_content(where: str, record: dict, key: str | None) -> DataError:
    if key:
        kind = _kind(record[key])
        return DataError(f"{where}: expected {key!r} to be a string, got {kind}.", _FORMATS)
    near = nearest("content", record)
    return DataError(f"{where}: there is no 'content'.", f"{near} {_FORMATS}".strip())


def _is_traditional(poems: Sequence[Poem]) -> bool:
    text = "".join(line for poem in poems[:1000] for line in poem.lines)
    known = text.encode("gb2312", "ignore").decode("gb2312")
    return len(known) < (1 - _TRADITIONAL) * len(text)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", type(None): "null"}
    return names.get(type(value), "a Boolean" if isinstance(value, bool) else "a number")


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
