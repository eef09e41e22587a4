"""Reports on texts: tagged sentences, poems, and running text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrecipes._utils.wording import counted
from dlrecipes.data.reports.class_counts import add_classes
from dlrecipes.data.reports.copies import Copies, shorten
from dlrecipes.data.reports.report import DataReport, Finding

if TYPE_CHECKING:
    from dlrecipes.data.quatrains import Poem
    from dlrecipes.data.tagged import TaggedSentence

# Sentences and poems of a sheet, letters of a name, and letters of a line worth comparing.
SHEET_SENTENCES, SHEET_POEMS, NAME_LETTERS, LINE_LETTERS = 12, 8, 60, 20
# Lines of each part on a sheet of running text.
SHEET_LINES = 8


def add_sentences(
    report: DataReport, parts: Mapping[str, Sequence[TaggedSentence]], most_words: int
) -> None:
    """Adds what tagged sentences consist of: lengths, slots, intents, copies, and a sheet.

    Args:
        report: Report that receives tables, findings and the sheet.
        parts: Sentences of each part; the first one is learned.
        most_words: Maximum number of words in a sentence.
    """
    train = next(iter(parts.values()))
    known = {word for sentence in train for word in sentence.tokens}
    rows = []
    for part, sentences in parts.items():
        lengths = sorted(len(sentence.tokens) for sentence in sentences)
        words = [word for sentence in sentences for word in sentence.tokens]
        rows.append([part, len(sentences), len(words), *_spread(lengths), _unknown(words, known)])
    columns = ["part", "sentences", "words", *_LENGTHS, "words not in train"]
    report.add_table("Parts (lengths in words)", columns, rows)
    slots = {part: _slots(sentences) for part, sentences in parts.items()}
    names = [name for name, _ in sum(slots.values(), Counter()).most_common()]
    table = [[name, *(own[name] for own in slots.values())] for name in names]
    report.add_table("Slots", ["slot", *parts], table)
    intents = {
        part: Counter(s.intent for s in sentences if s.intent is not None)
        for part, sentences in parts.items()
    }
    if len(set().union(*intents.values())) > 1:
        add_classes(report, intents, "sentences", title="Intents")
    _warn_of_unknown(report, slots, "slot")
    _refuse_long(report, parts, most_words)
    copies = Copies("sentences", label="annotation")
    for part, sentences in parts.items():
        for row, sentence in enumerate(sentences):
            name = f"{part} {row + 1} ({_cut(' '.join(sentence.tokens))})"
            copies.add(sentence.tokens, part, (sentence.tags, sentence.intent), name)
    report.warnings += copies.findings()
    if train:
        from dlrecipes.figures import tagged_sentences

        shown = _some(train, SHEET_SENTENCES)
        tags = [sentence.tags for sentence in shown]
        tokens = [sentence.tokens for sentence in shown]
        title = "Sentences of the train part"
        figure = tagged_sentences(tokens, tags, tags, SHEET_SENTENCES, title)
        report.figures["examples"] = figure


_LENGTHS = ["shortest", "median", "longest"]


def _spread(lengths: Sequence[int]) -> list[int | None]:
    if not lengths:
        return [None, None, None]
    return [lengths[0], lengths[(len(lengths) - 1) // 2], lengths[-1]]


def _unknown(items: Sequence[str], known: set[str]) -> str:
    return f"{sum(item not in known for item in items) / max(len(items), 1):.1%}"


def _slots(sentences: Iterable[TaggedSentence]) -> Counter[str]:
    return Counter(tag[2:] for s in sentences for tag in s.tags if tag.startswith("B-"))


def _warn_of_unknown(
    report: DataReport, counts: Mapping[str, Mapping[str, int]], what: str
) -> None:
    """Warns of names in a later part that the first part lacks, and of rare ones in the first."""
    (first, learned), *others = counts.items()
    for part, own in others:
        unknown = [name for name in own if name not in learned]
        if unknown and learned:
            many = f"{len(unknown):,} {what}s" if len(unknown) > 1 else f"a {what}"
            message = f"The {part} part has {many} that {first} lacks: {shorten(unknown)}."
            report.warnings.append(Finding(message))
    single = [name for name, count in learned.items() if count == 1]
    if single:
        many = counted(len(single), f"{what} occurs", f"{what}s occur")
        report.warnings.append(Finding(f"{many} once in {first}: {shorten(single)}."))


def _refuse_long(
    report: DataReport, parts: Mapping[str, Sequence[TaggedSentence]], most: int
) -> None:
    long = [
        f"{part} {row + 1}: {len(sentence.tokens):,} words ({_cut(' '.join(sentence.tokens))})"
        for part, sentences in parts.items()
        for row, sentence in enumerate(sentences)
        if len(sentence.tokens) > most
    ]
    if long:
        message = (
            f"{counted(len(long), 'sentence has', 'sentences have')} more than {most:,} words. "
            "Is an empty line between sentences missing?"
        )
        report.problems.append(Finding(message, long))


def add_poems(report: DataReport, parts: Mapping[str, Sequence[Poem]]) -> None:
    """Adds what quatrains consist of: forms, characters, authors, themes, copies, and a sheet.

    Args:
        report: Report that receives tables, findings and the sheet.
        parts: Poems of each part; the first one is learned.
    """
    train = next(iter(parts.values()))
    known = {letter for poem in train for line in poem.lines for letter in line}
    rows = []
    for part, poems in parts.items():
        letters = [letter for poem in poems for line in poem.lines for letter in line]
        fives = sum(len(poem.lines[0]) == 5 for poem in poems)
        counts = [len(poems), fives, len(poems) - fives, len(set(letters))]
        rows.append([part, *counts, _unknown(letters, known)])
    columns = ["part", "poems", "of five", "of seven", "different characters", "not in train"]
    report.add_table("Parts (characters per line)", columns, rows)
    _add_names(report, parts, "Authors", lambda poem: poem.author)
    _add_names(report, parts, "Themes", lambda poem: poem.theme)
    copies = Copies("poems")
    for part, poems in parts.items():
        for row, poem in enumerate(poems):
            copies.add(poem.lines, part, None, f"{part} {row + 1} ({_cut(str(poem))})")
    report.warnings += copies.findings()
    if train:
        from dlrecipes.figures import example_texts

        shown = [
            (" · ".join(filter(None, (p.title, p.author, p.theme))), "，".join(p.lines))
            for p in _some(train, SHEET_POEMS)
        ]
        report.figures["examples"] = example_texts(shown, "Poems of the train part")


def _add_names(
    report: DataReport,
    parts: Mapping[str, Sequence[Poem]],
    title: str,
    name_of: Callable[[Poem], str | None],
) -> None:
    counts = {part: Counter(filter(None, map(name_of, poems))) for part, poems in parts.items()}
    names = [name for name, _ in sum(counts.values(), Counter()).most_common()]
    table = [[name, *(own[name] for own in counts.values())] for name in names]
    report.add_table(title, [title[:-1].lower(), *parts], table)


def add_text(report: DataReport, parts: Mapping[str, str]) -> None:
    """Adds what a running text consists of: characters, lines, copies of lines, and a sheet.

    Args:
        report: Report that receives tables, findings and the sheet.
        parts: Text of each part; the first one is learned.
    """
    train = next(iter(parts.values()))
    known = set(train)
    rows = []
    copies = Copies(f"lines of {LINE_LETTERS} letters or more")
    for part, text in parts.items():
        lines = text.splitlines()
        lengths = sorted(map(len, filter(None, lines)))
        counts = [len(text), len(set(text)), len(lines), *_spread(lengths)]
        rows.append([part, *counts, _unknown(list(text), known)])
        for row, line in enumerate(lines):
            if len(line) >= LINE_LETTERS:
                copies.add(line, part, None, f"{part}, line {row + 1} ({_cut(line)})")
    columns = ["part", "characters", "different", "lines", *_LENGTHS, "characters not in train"]
    report.add_table("Parts (lengths of lines in characters)", columns, rows)
    report.warnings += copies.findings()
    if train:
        from dlrecipes.figures import example_texts

        shown = [
            (part, "\n".join(_some([line for line in text.splitlines() if line], SHEET_LINES)))
            for part, text in parts.items()
        ]
        report.figures["examples"] = example_texts(shown, "Lines of each part")


def _some(items: Sequence[Any], most: int) -> list[Any]:
    places = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[place] for place in places]


def _cut(text: str) -> str:
    return text if len(text) <= NAME_LETTERS else f"{text[:NAME_LETTERS]}…"
