"""The columns of words and of tags in CoNLL files, found by their contents."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlrecipes.data.tag_schemes import BARE, TAG
from dlrecipes.errors import DataError

LAST = -1
# Sentences whose rows decide the columns.
SAMPLE = 5000
_INDEX = re.compile(r"\d+")
# A multiword range such as 1-2, or an empty node such as 8.1, of CoNLL-U.
_NO_WORD = re.compile(r"\d+[-.]\d+")
_CHUNKS = {"NP", "VP", "PP", "NC", "PC", "VC"}
_EXAMPLES = 3
# Fraction of rows with two columns from which on more columns are a mistake.
_TWO_COLUMNS = 0.8
_MAX_SHOWN = 60
_HINT = (
    "A tag is O, or a prefix and a slot name, such as B-city. --word-column and --tag-column "
    "choose the columns."
)

# Columns and line number.
Row = tuple[Sequence[str], int]


@dataclass(frozen=True)
class Columns:
    """The columns that are read.

    Args:
        word: Position of the words, from 0.
        tag: Position of the tags, from 0, or `LAST`.
        key: Key of the tags in a column of `key=value` pairs; `None` where the column holds the
            tags themselves. Defaults to `None`.
        index: Position of the words' numbers. Defaults to `None`: there are none.
        is_pair: Whether a row has nothing but its word and its tag. Defaults to `False`.
    """

    word: int
    tag: int
    key: str | None = None
    index: int | None = None
    is_pair: bool = False

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """Returns the rows that are words: not the ranges and empty nodes of CoNLL-U."""
        if self.index is None:
            return list(rows)
        return [row for row in rows if not _NO_WORD.fullmatch(row[0][self.index])]

    def read(self, row: Row, path: Path) -> tuple[str, str]:
        """Returns the word and the tag of a row.

        Raises:
            DataError: If the row has too few or too many columns, or no word, or one with a space.
        """
        columns, number = row
        needed = max(self.word, self.tag) + 1
        if len(columns) < max(needed, 2):
            if len(columns) == 1:
                raise DataError(
                    f"{path}:{number}: expected a word and its tag, got one column, "
                    f"{shown(columns[0])}.",
                    "Separate columns by tabs or spaces, sentences by a blank line.",
                )
            raise DataError(
                f"{path}:{number}: expected at least {needed} columns, got {len(columns)}.",
                "Each line has the same columns.",
            )
        if self.is_pair and filled(columns) > 2:
            raise DataError(
                f"{path}:{number}: expected a word and its tag, got {len(columns)} columns, "
                f"{shown(' '.join(columns))}.",
                "A word contains no space.",
            )
        word, tag = columns[self.word], columns[self.tag]
        if not word:
            raise DataError(
                f"{path}:{number}: there is no word in column {self.word + 1}.",
                "Delete the line, or give another column with --word-column.",
            )
        if " " in word:
            raise DataError(
                f"{path}:{number}: the word {shown(word)} contains a space.",
                "Separate columns only by tabs, or only by spaces.",
            )
        return word, tag if self.key is None else _pairs(tag).get(self.key, "O")

    def describe(self, path: Path, sentences: Sequence[Sequence[Row]]) -> str:
        """Returns a note on the columns, with examples."""
        rows = [row for rows in sentences[:SAMPLE] for row in self.rows(rows)]
        words, tags = (
            ", ".join(dict.fromkeys(part))
            for part in zip(*(self.read(row, path) for row in _examples(rows, self)), strict=True)
        )
        column = "the last column" if self.tag == LAST else f"column {self.tag + 1}"
        key = f" ({self.key}=)" if self.key else ""
        left_out = sum(len(rows) - len(self.rows(rows)) for rows in sentences)
        return (
            f"{path.name}: words are column {self.word + 1} ({words}), "
            f"tags {column}{key} ({tags}); "
            "--word-column and --tag-column choose others."
            + (f" {left_out:,} ranges and empty nodes are left out." if left_out else "")
            + _other_widths(sentences)
        )


def choose_columns(
    path: Path, sentences: Sequence[Sequence[Row]], word: int = 0, tag: int = 0
) -> Columns:
    """Returns the columns of the words and of the tags.

    Tags are the last column of which at least half the entries are tags. If the column before it
    holds tags as well, not chunks, it is taken for the outer spans, as in GermEval. Without such a
    column, tags are looked for in CoNLL-U's last column (`NER=B-PER`). Words are the first other
    column that does not number them, has other entries than numbers, and is not the same throughout
    each sentence, as the name of a document is.

    Args:
        path: File that is read, for the error messages.
        sentences: Rows of each sentence.
        word: Column of the words, from 1. Defaults to 0: it is found.
        tag: Column of the tags, from 1. Defaults to 0: it is found.

    Raises:
        DataError: If there is no such column.
    """
    sentences = sentences[:SAMPLE]
    rows = [row for rows in sentences for row in rows if len(row[0]) > 1]
    if not rows:
        return Columns(0, LAST)
    widths = {len(columns) for columns, _ in rows}
    width = min(widths)
    for option, column in (("--word-column", word), ("--tag-column", tag)):
        if column > width:
            number = next(n for columns, n in rows if len(columns) == width)
            raise DataError(
                f"{option} {column}: {path}:{number} has {width} columns.", f"Give 1 to {width}."
            )
    index = _index(sentences, width)
    start = 0 if index is None else index + 1
    texts = [
        columns for columns, n in rows if index is None or not _NO_WORD.fullmatch(columns[index])
    ]
    places = [*range(start, width), *([LAST] if len(widths) > 1 else [])]
    places = [place for place in places if place != word - 1 or not word]
    key = None
    if tag:
        place = tag - 1
    else:
        place, key = _tag_place(path, texts, places, rows[0][1])
    if word:
        return Columns(word - 1, place, key, index)
    others = [k for k in range(start, width) if k not in (place, place % width)]
    others = [k for k in others if _may_be_words(sentences, k)] or others
    pairs = sum(filled(columns) == 2 for columns, _ in rows)
    is_pair = pairs >= _TWO_COLUMNS * len(rows) and place in (LAST, width - 1)
    return Columns(others[0] if others else 0, place, key, index, is_pair)


def filled(columns: Sequence[str]) -> int:
    """Returns the number of columns that are not empty."""
    return sum(map(bool, columns))


def shown(text: str) -> str:
    """Returns the beginning of a text in quotes, for an error message."""
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…")


def _other_widths(sentences: Sequence[Sequence[Row]]) -> str:
    counts = Counter(filled(columns) for rows in sentences for columns, _ in rows)
    usual = counts.most_common(1)[0][0]
    others = [n for rows in sentences for columns, n in rows if filled(columns) != usual]
    if not others:
        return ""
    return f" Rows with other than {usual} columns: {len(others):,}, the first at line {others[0]}."


def _may_be_words(sentences: Sequence[Sequence[Row]], column: int) -> bool:
    """Returns whether a column has more than numbers, and varies within some sentence."""
    texts = [[row[column] for row, _ in rows if len(row) > column] for rows in sentences]
    if not any(text and not _INDEX.fullmatch(text) for sentence in texts for text in sentence):
        return False
    long = [sentence for sentence in texts if len(sentence) > 1]
    return not long or any(len(set(sentence)) > 1 for sentence in long)


def _tag_place(
    path: Path, texts: Sequence[Sequence[str]], places: Sequence[int], number: int
) -> tuple[int, str | None]:
    good = [place for place in places if _fraction_of_tags(texts, place) >= 0.5]
    if good:
        taken = good.pop()
        while good and good[-1] >= 0 and _is_outer(texts, good[-1], taken):
            taken = good.pop()
        return taken, None
    last = places[-1]
    for key in sorted({key for text in texts for key in _pairs(text[last])}):
        values = [value for text in texts if (value := _pairs(text[last]).get(key))]
        if all(TAG.fullmatch(value) for value in values) and any(v != "O" for v in values):
            return last, key
    if len(places) > 2:
        text = " ".join(texts[0][:8])
        raise DataError(f"{path}:{number}: no column holds tags: {shown(text)}.", _HINT)
    return last, None


def _fraction_of_tags(texts: Sequence[Sequence[str]], place: int) -> float:
    return sum(is_tag(text[place]) for text in texts) / len(texts)


def is_tag(text: str) -> bool:
    """Returns whether a text is a tag, with or without the name of a slot."""
    return text in BARE or TAG.fullmatch(text) is not None


def _is_outer(texts: Sequence[Sequence[str]], first: int, second: int) -> bool:
    """Returns whether the first of two columns has the spans that contain those of the second."""
    tags = [
        [text[place] for text in texts if is_tag(text[place]) and text[place] != "O"]
        for place in (first, second)
    ]
    slots = [{tag[2:] for tag in column} for column in tags]
    # The spans of chunks contain entities, but are not what the data is made for.
    if slots[0] & _CHUNKS:
        return False
    return bool(slots[0] & slots[1]) or len(tags[1]) <= len(tags[0])


def _index(sentences: Sequence[Sequence[Row]], width: int) -> int | None:
    """Returns the column that numbers the words, or `None`; only constant ones precede it."""
    for column in range(width - 2):
        columns = [
            [row[column] for row, _ in rows if len(row) > 1 and not _NO_WORD.fullmatch(row[column])]
            for rows in sentences
        ]
        steps = [step for texts in columns for step in _steps(texts)]
        firsts = {text for texts in columns for text in texts}
        # Sentences of one word have no second number.
        if sum(steps) >= 0.9 * len(steps) if steps else firsts in ({"0"}, {"1"}):
            return column
        if any(len(set(texts)) > 1 for texts in columns):
            return None
    return None


def _steps(texts: Sequence[str]) -> Iterator[bool]:
    for before, after in itertools.pairwise(texts):
        numbers = _INDEX.fullmatch(before) and _INDEX.fullmatch(after)
        # A restart is a missing blank line.
        yield bool(numbers) and int(after) in (int(before) + 1, *range(min(int(before), 2)))


def _pairs(text: str) -> dict[str, str]:
    """Returns CoNLL-U's `key=value|key=value` as a dictionary; empty for any other text."""
    pairs = [pair.partition("=") for pair in text.split("|")]
    return {key: value for key, equals, value in pairs if equals and key.isidentifier()}


def _examples(rows: Sequence[Row], columns: Columns) -> list[Row]:
    tagged = [row for row in rows if columns.read(row, Path())[1] != "O"]
    return [*rows[: _EXAMPLES - 1], *(tagged or rows)[:1]]
