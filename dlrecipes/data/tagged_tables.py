"""Tables of tagged words with a header, in CSV or TSV, as exported from spreadsheets."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dlrecipes.errors import DataError

# Names of the columns, in lower case, of letters alone.
_NAMES = {
    "word": ("word", "words", "token", "tokens"),
    "tag": ("tag", "tags", "label", "labels", "ner", "nertag", "nertags", "slot", "bio", "iob"),
    "sentence": ("sentence", "sentenceid", "sentenceidx", "sentenceno", "sentid", "sent"),
}
_HINT = (
    "Expected a header with a word, a tag and a sentence, such as: Sentence #,Word,Tag. Or give a "
    "word and its tag per line, separated by a tab, and a blank line after each sentence."
)

# Word, tag and line number of each row of a sentence.
Table = list[list[tuple[str, str, int]]]


def read_table(path: Path, lines: Sequence[str], notes: list[str]) -> Table | None:
    """Returns the sentences of a table, or `None` if its first line is not such a header.

    A sentence ends at a blank row, and where the column of the sentence has another entry; an
    empty entry continues the sentence, as in Kaggle's NER dataset.

    Args:
        path: File that is read, for the messages.
        lines: Its lines.
        notes: List that receives the columns' names, for the user.

    Raises:
        DataError: If a row has no word or no tag, or nothing separates the sentences.
    """
    header = next(line for line in lines if line)
    delimiter = next((mark for mark in "\t;" if mark in header), ",")
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
    plain = [re.sub(r"[\W\d_]+", "", name).lower() for name in names]
    columns = {
        key: next((k for k, name in enumerate(plain) if name in choices), None)
        for key, choices in _NAMES.items()
    }
    if columns["word"] is None or columns["tag"] is None:
        return None
    sentences = list(_sentences(path, lines, delimiter, columns))
    if len(sentences) < 2:
        raise DataError(f"{path}: nothing separates the sentences of this table.", _HINT)
    shown = ", ".join(f"{key}s {names[k]!r}" for key, k in columns.items() if k is not None)
    notes.append(f"{path.name} is read as a table: {shown}.")
    return sentences


def no_table(path: Path) -> DataError:
    """Returns the error for a CSV file without a header that names words and tags."""
    return DataError(f"{path}: a CSV file without a header of words and tags.", _HINT)


def _sentences(
    path: Path, lines: Sequence[str], delimiter: str, columns: Mapping[str, int | None]
) -> Iterator[list[tuple[str, str, int]]]:
    # A lone quotation mark is a word: nothing is quoted.
    if delimiter == "\t" and any('"' in line.split("\t") for line in lines):
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter)
    next(row for row in reader if row)
    rows: list[tuple[str, str, int]] = []
    last = ""
    for row in reader:
        word, tag, sentence = (
            row[k].strip() if k is not None and k < len(row) else "" for k in columns.values()
        )
        is_blank = not any(map(str.strip, row))
        if rows and (is_blank or (sentence and sentence != last)):
            yield rows
            rows = []
        last = sentence or last
        if is_blank:
            continue
        if not word or not tag or " " in word:
            raise DataError(
                f"{path}:{reader.line_num}: expected a word without spaces and its tag, got "
                f"{word!r} and {tag!r}.",
                "Correct or delete the line.",
            )
        rows.append((word, tag, reader.line_num))
    if rows:
        yield rows
