"""Readers of one file of tagged sentences: CoNLL columns, a sentence per line, or JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrecipes.data.tag_columns import Columns, Row, is_tag
from dlrecipes.data.tag_schemes import BARE, TAG
from dlrecipes.data.tagged_tables import no_table, read_table
from dlrecipes.data.text_files import read_file
from dlrecipes.errors import DataError, nearest, raise_first

# Keys of JSON lines, in the order in which they are looked for.
_WORDS = ("tokens", "words", "text", "sentence")
_TAGS = ("tags", "ner_tags", "labels", "slots")
_INTENTS = ("intent", "intents", "label")
_JSON = 'Give lines such as {"tokens": ["to", "Rome"], "tags": ["O", "B-city"], "intent": "fly"}.'
_INTENT = re.compile(r"#[ \t]*intent[ \t]*[:=][ \t]*(.+)")
# CoNLL-U: "# text = ...".
_COMMENT = re.compile(r"#[ \t]*[\w.:-]+[ \t]*=")
# Not \s: a no-break space is part of its word.
_SPACES = re.compile(r"[ \t]+")
_BREAKS = re.compile(r"\r*\n|\r")
INVISIBLE = re.compile("[\0-\x08\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_ONE_SPLIT = "A split holds seq.in (words), seq.out (tags) and, optionally, label (intents)."


@dataclass(frozen=True)
class ReadSentence:
    """A sentence as read from its file.

    Args:
        tokens: Words.
        tags: Tags as written, one per word.
        intent: Intent; `None` if the file has none.
        path: File.
        lines: Line numbers of the tags.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    intent: str | None
    path: Path
    lines: tuple[int, ...]

    def at(self, word: int) -> str:
        """Returns the place of a word: file and line."""
        return f"{self.path}:{self.lines[word]}"


@dataclass(frozen=True)
class ColumnFile:
    """A file in CoNLL columns, before the columns of words and tags are known.

    Args:
        path: File.
        sentences: Rows of each sentence.
        intents: Intent of each sentence; `None` if it has none.
    """

    path: Path
    sentences: list[list[Row]]
    intents: list[str | None]

    def read(self, columns: Columns) -> list[ReadSentence]:
        """Returns the sentences by the columns of words and of tags.

        Raises:
            DataError: If a row lacks a column, or a word contains a space.
        """
        sentences, problems = [], []
        for rows, intent in zip(self.sentences, self.intents, strict=True):
            words, tags, lines = [], [], []
            for row in columns.rows(rows):
                try:
                    word, tag = columns.read(row, self.path)
                except DataError as error:
                    problems.append(error)
                    continue
                words.append(word)
                tags.append(tag)
                lines.append(row[1])
            if words:
                sentences.append(
                    ReadSentence(tuple(words), tuple(tags), intent, self.path, tuple(lines))
                )
        raise_first(problems)
        return sentences


def read_lines(path: Path, notes: list[str]) -> list[str]:
    """Returns the lines of a file without spaces around them, and without blank ones at its end.

    A tab at the start is kept: it follows an empty column.

    Args:
        path: File; an encoding other than UTF-8 is added to `notes`.
        notes: List of notes for the user.

    Raises:
        DataError: If the file cannot be read or is empty.
    """
    text, encoding = read_file(path)
    lines = [line.rstrip(" \t").lstrip(" ") for line in _BREAKS.split(text)]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise DataError(f"{path} is empty.", "Expected at least one sentence.")
    if encoding != "UTF-8":
        notes.append(f"{path.name} is read as {encoding}.")
    return lines


def split_words(line: str) -> tuple[str, ...]:
    """Returns the words of a line, separated by ASCII spaces and tabs only."""
    return tuple(_SPACES.split(line.strip(" \t")))


def read_tagged_file(path: Path, notes: list[str]) -> list[ReadSentence] | ColumnFile:
    """Returns the sentences of a file; its layout is detected.

    Args:
        path: File.
        notes: List that receives what was detected, for the user.

    Raises:
        DataError: If the file cannot be read, or a line does not fit the layout.
    """
    lines = read_lines(path, notes)
    first = next(line for line in lines if line)
    if (first[0] == "{" and first[-1] == "}") or path.suffix.lower() in (".json", ".jsonl"):
        return _read_json(path, lines, notes)
    table = read_table(path, lines, notes)
    if table:
        return [
            ReadSentence(words, tags, None, path, numbers)
            for words, tags, numbers in (zip(*rows, strict=True) for rows in table)
        ]
    if path.suffix.lower() == ".csv":
        raise no_table(path)
    if _is_one_line_layout(lines):
        notes.append(f"{path.name} is read as one sentence per line: words, a tab, their tags.")
        return _read_one_line(path, lines)
    return _read_columns(path, lines, notes)


def read_sequences(folder: Path, notes: list[str]) -> list[ReadSentence]:
    """Returns the sentences of a folder with `seq.in`, `seq.out` and, optionally, `label`.

    Args:
        folder: Folder of one part.
        notes: List that receives what was detected, for the user.

    Raises:
        DataError: If a file is missing or cannot be read, or the lines do not belong together.
    """
    names = sorted(entry.name for entry in folder.iterdir())
    for name in ("seq.in", "seq.out"):
        if name not in names:
            hint = f"{nearest(name, set(names) - {'seq.in', 'seq.out'})} {_ONE_SPLIT}".strip()
            raise DataError(f"{folder / name} is missing.", hint)
    files = [folder / name for name in ("seq.in", "seq.out", "label") if name in names]
    contents = [read_lines(path, notes) for path in files]
    for path, lines in zip(files, contents, strict=True):
        raise_first(
            DataError(f"{path}:{number}: the line is empty.", "Each line is one sentence.")
            for number, line in enumerate(lines, start=1)
            if not line
        )
        _check_line_counts(files[0], contents[0], path, lines)
    words, tags = ([split_words(line) for line in lines] for lines in contents[:2])
    raise_first(
        DataError(
            f"{files[1]}:{number}: {len(b)} tags, but {files[0]}:{number} has {len(a)} words.",
            "Expected one tag per word, separated by spaces.",
        )
        for number, (a, b) in enumerate(zip(words, tags, strict=True), start=1)
        if len(a) != len(b)
    )
    intents = contents[2] if len(contents) > 2 else [None] * len(words)
    return [
        ReadSentence(*sentence, path=files[1], lines=(number,) * len(sentence[0]))
        for number, sentence in enumerate(zip(words, tags, intents, strict=True), start=1)
    ]


def _check_line_counts(path: Path, lines: list[str], other: Path, other_lines: list[str]) -> None:
    if len(lines) == len(other_lines):
        return
    (short, fewer), (long, more) = sorted(
        [(path, len(lines)), (other, len(other_lines))], key=lambda pair: pair[1]
    )
    raise DataError(
        f"{long}:{fewer + 1}: the line has no counterpart: "
        f"{long.name} has {more} lines, {short.name} has {fewer}.",
        "Line k of each file belongs to sentence k.",
    )


def _read_columns(path: Path, lines: Sequence[str], notes: list[str]) -> ColumnFile:
    file = ColumnFile(path, [], [])
    tabs = 2 * sum("\t" in line for line in lines) > sum(map(bool, lines))
    rows: list[Row] = []
    intent = None
    # The blank line at the end closes the last sentence.
    for number, line in enumerate([*lines, ""], start=1):
        columns = _columns(line)
        if not line or "-DOCSTART-" in columns[:2]:
            if rows:
                file.sentences.append(rows)
                file.intents.append(intent)
                rows, intent = [], None
        elif not rows and line[0] == "#" and (match := _INTENT.fullmatch(line)):
            intent = match[1]
        elif not rows and line[0] == "#" and not _is_row(line, columns, tabs):
            continue
        else:
            rows.append((columns, number))
    if len({len(columns) for rows in file.sentences for columns, _ in rows}) > 1:
        file.sentences[:] = [_without_gaps(rows) for rows in file.sentences]
    if not file.sentences:
        hint = "Expected lines with a word and its tag, such as: Rome B-city."
        raise DataError(f"{path} contains no sentences.", hint)
    # MixATIS: the intents stand alone on the last line of each sentence.
    if all(
        len(rows) > 1 and len(rows[-1][0]) == 1 and min(len(row[0]) for row in rows[:-1]) > 1
        for rows in file.sentences
    ):
        file.intents[:] = [rows.pop()[0][0] for rows in file.sentences]
        notes.append(f"{path.name}: the last line of each sentence is its intent.")
    return file


def _without_gaps(rows: Sequence[Row]) -> list[Row]:
    """Returns rows without the empty columns between several tabs in place of spaces."""
    return [([columns[0], *filter(None, columns[1:])], number) for columns, number in rows]


def _columns(line: str) -> list[str]:
    if "\t" in line:
        return [part.strip(" ") for part in line.split("\t")]
    return _SPACES.split(line)


def _is_row(line: str, columns: Sequence[str], tabs: bool) -> bool:
    """Returns whether a line that begins with # is a word, not a comment."""
    if len(columns) < 2 or (tabs and "\t" not in line) or _COMMENT.match(line):
        return False
    is_bare = len(columns) == 2 and columns[0] == "#" and columns[1] in BARE
    return is_bare or TAG.fullmatch(columns[-1]) is not None


def _is_one_line_layout(lines: Sequence[str]) -> bool:
    counts = [
        tuple(len(_SPACES.split(part.strip(" "))) for part in line.split("\t"))
        for line in lines
        if line
    ]
    # A third part is the intent.
    if not all(len(count) == 2 or (len(count) == 3 and count[2] == 1) for count in counts):
        return False
    long = sum(min(count[:2]) > 1 for count in counts)
    fits = sum(count[1] - count[0] in (0, 1, -1, -2) for count in counts)
    return 2 * long > len(counts) and fits >= 0.9 * len(counts)


def _read_one_line(path: Path, lines: Sequence[str]) -> list[ReadSentence]:
    sentences, problems = [], []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        words, tags, *others = (split_words(part.strip(" ")) for part in line.split("\t"))
        intent = others[0][0] if others else None
        if words[0] == "BOS" and words[-1] == "EOS":
            words = words[1:-1]
            if len(tags) == len(words) + 2:
                # In place of the last tag, the one of EOS, there may be the intent.
                tags = tags[1:-1] if others else tags[1:]
        if len(tags) == len(words) + 1 and intent is None:
            tags, last = tags[:-1], tags[-1]
            intent = None if is_tag(last) else last
        if len(tags) != len(words) or not words:
            problems.append(
                DataError(
                    f"{path}:{number}: {len(tags)} tags, but {len(words)} words before the tab.",
                    "Expected one tag per word and, optionally, the intent after them.",
                )
            )
            continue
        sentences.append(ReadSentence(words, tags, intent, path, (number,) * len(words)))
    raise_first(problems)
    return sentences


def _read_json(path: Path, lines: Sequence[str], notes: list[str]) -> list[ReadSentence]:
    sentences = []
    keys: tuple[str | None, ...] = ()
    characters = 0
    for number, record in _records(path, lines):
        where = f"{path}:{number}"
        if not isinstance(record, dict):
            raise DataError(f"{where}: expected a JSON object.", _JSON)
        words, tags, intent = (
            next((key for key in choices if key in record), None)
            for choices in (_WORDS, _TAGS, _INTENTS)
        )
        if words is None or tags is None:
            missing = "words ('tokens')" if words is None else "tags ('tags')"
            raise DataError(f"{where}: the object has no {missing}.", _JSON)
        names = _strings(record[tags], tags, where)
        text = record[words]
        # A tag per character, as in Chinese data.
        by_character = isinstance(text, str) and len(text) == len(names) != len(text.split())
        tokens = tuple(text) if by_character else _strings(text, words, where)
        characters += by_character
        if len(tokens) != len(names) or not tokens:
            message = f"{where}: {len(names)} {tags}, but {len(tokens)} {words}."
            raise DataError(message, "Expected one tag per word.")
        label = record[intent] if intent else None
        if label is not None:
            label = "#".join(label) if isinstance(label, list) else str(label)
        sentences.append(ReadSentence(tokens, names, label, path, (number,) * len(tokens)))
        keys = (words, tags, intent)
    if not sentences:
        raise DataError(f"{path} contains no sentences.", _JSON)
    intents = f", intents {keys[2]!r}" if keys[2] else ""
    each = ", each character a word" if characters else ""
    notes.append(
        f"{path.name} is read as JSON: words {keys[0]!r}{each}, tags {keys[1]!r}{intents}."
    )
    return sentences


def _records(path: Path, lines: Sequence[str]) -> list[tuple[int, Any]]:
    try:
        if lines[0].startswith("["):
            return [(k, record) for k, record in enumerate(json.loads("\n".join(lines)), start=1)]
        records = []
        for number, line in enumerate(lines, start=1):
            if line:
                records.append((number, json.loads(line)))
    except (ValueError, RecursionError, TypeError) as error:
        number = getattr(error, "lineno", 1) if lines[0].startswith("[") else number
        if _is_object("\n".join(lines)):
            message = f"{path}: one JSON object over several lines; expected one per sentence."
            raise DataError(message, _JSON) from None
        raise DataError(f"{path}:{number}: invalid JSON.", _JSON) from None
    return records


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _strings(value: Any, key: str, where: str) -> tuple[str, ...]:
    texts = value.split() if isinstance(value, str) else value
    if isinstance(texts, list) and any(isinstance(text, int) for text in texts):
        hint = "Write the names of the classes in place of their numbers."
        raise DataError(f"{where}: {key!r} has numbers; expected names such as B-city.", hint)
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise DataError(f"{where}: expected {key!r} to be a list of strings.", _JSON)
    spaced = next((text for text in texts if _SPACES.search(text)), None)
    if spaced is not None:
        raise DataError(f"{where}: {spaced!r} in {key!r} contains a space.", _JSON)
    return tuple(texts)
