"""Layouts of poems in plain text: a poem per line, per block of lines, or per two couplets."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dlrecipes.data.quatrains.poem import LENGTHS, LINES, Poem, is_han, is_quatrain

_BREAKS = re.compile(r"[|｜/／\\\s,.!?;:，。！？；：、．]+")
_COLONS = re.compile("[:：]+")
# Quotation marks and book titles around or within lines.
_QUOTES = str.maketrans("", "", '“”‘’"「」『』《》〈〉')
# Characters that are separated by single spaces, as in the corpus of Zhang and Lapata (2014).
_SPACED = re.compile(r"(?<=\S) (?=\S)")
# Notes in parentheses, such as variant readings, and the innermost of nested ones.
_NOTES = re.compile(
    r"（[^（）]*）|\([^()]*\)|〔[^〔〕]*〕|［[^［］]*］|\[[^][]*\]|【[^【】]*】|〖[^〖〗]*〗"
)
# Lines at the start of a block that may be title, author and form.
_HEADINGS = 3


def poem_of(text: str, **names: str) -> Poem:
    """Returns the poem in a text: bars, slashes, spaces and punctuation separate its lines.

    Notes in parentheses and quotation marks are left out, and title and author if a quatrain
    follows them.

    Args:
        text: Text of the poem.
        **names: Title, author and theme, where they are known.

    Example:

    >>> from dlrecipes.data.quatrains.layouts import poem_of
    >>> poem = poem_of("登楼：白日依山尽，黄河（一作江河）入海流。欲穷千里目，更上一层楼。")
    >>> poem.title, poem.lines[1]
    ('登楼', '黄河入海流')
    """
    text = _without_notes(text)
    poem = Poem(_split(text), **names)
    if is_quatrain(poem.lines):
        return poem
    # The last column of a table without a header.
    title, *_, last = text.split("\t") if "\t" in text else ("", "")
    if is_quatrain(_split(last)):
        return replace(poem, lines=_split(last), title=poem.title or title.strip() or None)
    if all(len(line) == 1 for line in poem.lines) and is_quatrain(_split(_SPACED.sub("", text))):
        return replace(poem, lines=_split(_SPACED.sub("", text)))
    for colon in _COLONS.finditer(text):
        lines = _split(text[colon.end() :])
        if is_quatrain(lines):
            title = _COLONS.split(text)[0].strip()
            return replace(poem, lines=lines, title=poem.title or title or None)
    # Title and author in front: no line of verse, whose length is the poem's.
    front, lines = poem.lines[:-LINES], poem.lines[-LINES:]
    is_named = 0 < len(front) <= 2 and all(len(name) != len(lines[0]) for name in front)
    if is_named and is_quatrain(lines):
        return replace(poem, lines=lines, title=poem.title or front[0])
    return poem


def _without_notes(text: str) -> str:
    count = 1
    while count:
        text, count = _NOTES.subn("", text)
    return text.translate(_QUOTES)


def has_notes(text: str) -> bool:
    """Returns whether a text has notes in parentheses."""
    return _NOTES.search(text) is not None


def poems_of_text(lines: Sequence[str]) -> tuple[list[Poem], str]:
    """Returns the poems in the lines of a file, in the layout that fits half of them.

    Args:
        lines: Lines of the file; blank ones are `""`.

    Returns:
        Poems, quatrains or not, and the layout in words, or `""` for one poem per line.
    """
    each = [poem_of(line) for line in lines if line]
    if 2 * _count(each) >= len(each):
        return each, ""
    best, name = each, ""
    for poems, layout in (
        (list(_blocks(lines)), "poems with a blank line after each"),
        (list(_couplets(lines)), "couplets, two lines per poem"),
        (list(_single_lines(lines)), "four lines per poem"),
    ):
        if _count(poems) > _count(best) and 2 * _count(poems) >= len(poems):
            best, name = poems, layout
    return best, name


def _count(poems: Sequence[Poem]) -> int:
    return sum(is_quatrain(poem.lines) for poem in poems)


def _blocks(lines: Sequence[str]) -> Iterator[Poem]:
    block: list[str] = []
    # The blank line at the end closes the last block.
    for line in [*lines, ""]:
        if line:
            block.append(line)
        elif block:
            yield _block(block)
            block = []


def _block(lines: Sequence[str]) -> Poem:
    whole = poem_of(" ".join(lines))
    for headings in range(1, min(_HEADINGS + 1, len(lines))):
        # A couplet is not a heading.
        if is_quatrain(whole.lines) or _is_couplet(lines[headings - 1]):
            break
        poem = poem_of(" ".join(lines[headings:]))
        if is_quatrain(poem.lines):
            return replace(poem, title=lines[0])
    return whole


def _couplets(lines: Sequence[str]) -> Iterator[Poem]:
    """Yields a poem for each run of couplets between titles, or for each two of a single run.

    Blank lines separate poems as well, unless they are between all couplets.
    """
    runs: list[list[tuple[str, ...]]] = [[]]
    pairs = itertools.pairwise(lines)
    if not any(a and b and _is_couplet(a) and _is_couplet(b) for a, b in pairs):
        lines = [line for line in lines if line]
    for line in lines:
        if _is_couplet(line):
            runs[-1].append(_split(_without_notes(line)))
        elif runs[-1]:
            runs.append([])
    runs = [run for run in runs if run]
    if len(runs) == 1:
        runs = [runs[0][k : k + 2] for k in range(0, len(runs[0]), 2)]
    for run in runs:
        yield Poem(tuple(line for couplet in run for line in couplet))


def _single_lines(lines: Sequence[str]) -> Iterator[Poem]:
    parts = [_split(_without_notes(line)) for line in lines if line]
    if len(parts) % LINES or not all(len(part) == 1 and _is_verse(part) for part in parts):
        return
    for start in range(0, len(parts), LINES):
        yield Poem(tuple(part[0] for part in parts[start : start + LINES]))


def _is_couplet(line: str) -> bool:
    parts = _split(_without_notes(line))
    return len(parts) == 2 and _is_verse(parts)


def _is_verse(parts: Sequence[str]) -> bool:
    same = {len(part) for part in parts} in [{length} for length in LENGTHS]
    return same and all(is_han(letter) for part in parts for letter in part)


def _split(text: str) -> tuple[str, ...]:
    # NFC replaces compatibility ideographs by the ordinary ones.
    parts = _BREAKS.split(unicodedata.normalize("NFC", text))
    return tuple(part for part in parts if part)
