"""Data of poem generation: the built-in quatrains, or the user's own quatrains or text."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dlrecipes.data.few_examples import few_in_all
from dlrecipes.data.parts import PARTS, part_files, random_split
from dlrecipes.data.quatrains import Poem, quatrains, read_quatrains
from dlrecipes.data.quatrains.reading import quatrain_fraction
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.text import add_poems, add_text
from dlrecipes.data.sources import load_source
from dlrecipes.data.text_files import read_file
from dlrecipes.errors import DataError, raise_first
from dlrecipes.recipe import Splits

from .config import Config

# Fractions of a single file, and of a validation file in a folder without a test file.
THREE_PARTS, TWO_PARTS = (0.90, 0.05, 0.05), (0.5, 0.5)
# With fewer poems or characters a network learns them by heart.
ENOUGH_POEMS, ENOUGH_CHARACTERS = 500, 20_000
TEST_SET = (
    "They are quatrains that a program composes by rule from one word list, as it does for "
    "training: poets are harder to predict, and a low perplexity is not a sign of good poems."
)
EXPECT = "expect phrases that are copied, and a high perplexity"


def load(config: Config, problems: list[DataError] | None = None) -> Splits:
    """Returns the quatrains, or each part of the text as a string.

    Args:
        config: The settings.
        problems: List that receives what is wrong with the file of a part, which is then empty.
            Defaults to `None`: it is raised.

    Raises:
        DataError: If a file cannot be read; names the file and the line.
        UsageError: If the settings do not fit the source.
    """
    return load_source(
        config.data,
        builtin=lambda: _builtin(config),
        folder=lambda path: _files(config, path, problems),
        recipe="poem_generation",
        expected="a file, or a folder with train, valid and test",
    )


def check(config: Config) -> DataReport:
    """Returns the report on the quatrains or the text that `--data` names.

    Raises:
        DataError: If nothing can be read.
    """
    problems: list[DataError] = []
    splits = load(config, problems)
    report = DataReport(str(splits.description["name"]), notes=list(splits.notes))
    for problem in problems:
        report.add_error(problem)
    parts = {part: own for part in PARTS if (own := getattr(splits, part))}
    if isinstance(splits.train, str):
        add_text(report, parts)
    else:
        add_poems(report, parts)
    return report


def is_quatrains(config: Config, path: Path, notes: list[str] | None = None) -> bool:
    """Returns whether a file is read as quatrains: as configured, or if at least half of it is.

    Args:
        config: Settings; `form` decides unless it is `"auto"`.
        path: File of the training part.
        notes: List that receives how a file is read that is taken for a text. Defaults to `None`.
    """
    if config.form != "auto":
        return config.form == "quatrains"
    fraction = quatrain_fraction(path)
    if fraction < 0.5 and notes is not None:
        why = "it holds no quatrains; poems are read one per line, in JSON or in a table."
        if fraction:
            why = (
                f"{fraction:.0%} of its poems or lines are quatrains (4 lines of 5 or 7 characters)"
            )
            why += "; --form quatrains reads those."
        notes.append(f"{path.name} is read as plain text: {why}")
    return fraction >= 0.5


def _builtin(config: Config) -> Splits:
    lengths = (5, 7) if config.line_length == "both" else (int(config.line_length),)
    held_out = max(100, config.examples // 8)
    count = -(-(config.examples + 2 * held_out) // len(lengths))
    poems = [poem for length in lengths for poem in quatrains(count, config.seed, length)]
    random.Random(config.seed).shuffle(poems)
    ends = [config.examples + k * held_out for k in range(3)]
    parts = [poems[: ends[0]], poems[ends[0] : ends[1]], poems[ends[1] : ends[2]]]
    splits = _quatrain_splits(f"built-in quatrains, seed {config.seed}", parts, {})
    return replace(splits, test_set=TEST_SET)


def _files(config: Config, path: Path, problems: list[DataError] | None) -> Splits:
    notes: list[str] = []
    found = part_files(path, ".jsonl, .txt, or either with .gz")
    files = found.paths
    if found.ignored:
        notes.append(f"{path}: ignored, because their names are unclear: {found.note}.")
    if not is_quatrains(config, files["train"], notes):
        return _text_splits(config, list(files.values()), notes)
    parts: list[list[Poem]] = []
    skipped: Counter[str] = Counter()
    wrong: list[DataError] = []
    for file in files.values():
        try:
            poems, reasons = read_quatrains(file, notes)
        except DataError as error:
            wrong.append(error)
            poems, reasons = [], {}
        parts.append(poems)
        skipped.update(reasons)
    if problems is None or not any(parts):
        raise_first(wrong)
    else:
        problems += wrong
        parts += [[]] * (len(PARTS) - len(parts)) if wrong else []
    if len(parts) < len(PARTS):
        fractions = THREE_PARTS if len(parts) == 1 else TWO_PARTS
        file = list(files.values())[-1]
        parts[-1:] = random_split(parts[-1], fractions, config.seed, str(file))
        notes.append(_split_note(file, len(parts) - len(files)))
    return _quatrain_splits(config.data, parts, skipped, notes)


def _split_note(file: Path, added: int) -> str:
    what = "validation and test are 5% each" if added == 2 else "half is the test part"
    return f"{file.name} is split at random (--seed): {what}."


def _text_splits(config: Config, files: Sequence[Path], notes: list[str]) -> Splits:
    parts = []
    for file in files:
        text, encoding = read_file(file)
        parts.append(text.replace("\r\n", "\n").replace("\r", "\n"))
        if encoding != "UTF-8":
            notes.append(f"{file.name} is read as {encoding}.")
    if len(parts) < len(PARTS):
        share = "last 10%, half each," if len(parts) == 1 else "second half"
        what = "validation and test" if len(parts) == 1 else "test"
        notes.append(f"{files[-1].name}: the {share} of the text is for {what}.")
    if len(parts) == 1:
        text, size = parts[0], len(parts[0])
        ends = round(size * THREE_PARTS[0]), round(size * (1 - THREE_PARTS[2]))
        parts = [text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] :]]
    elif len(parts) == 2:
        half = len(parts[1]) // 2
        parts[1:] = [parts[1][:half], parts[1][half:]]
    for name, text in zip(PARTS, parts, strict=True):
        if len(text) <= config.window:
            raise DataError(
                f"{config.data}: the {name} text has {len(text):,} characters; expected more than "
                f"one window of {config.window}.",
                "Give a longer text, or a smaller --window.",
            )
    facts = _facts(config.data, "text", "characters", parts, parts[0])
    few = few_in_all(len(parts[0]), ENOUGH_CHARACTERS, "characters", EXPECT)
    return Splits(*parts, description=facts, notes=notes, training_notes=few)


def _quatrain_splits(
    name: str,
    parts: Sequence[Sequence[Poem]],
    skipped: Mapping[str, int],
    notes: Sequence[str] = (),
) -> Splits:
    train = parts[0]
    text = "".join(line for poem in train for line in poem.lines)
    facts = _facts(name, "quatrains", "poems", parts, text)
    sevens = sum(len(poem.lines[0]) == 7 for poem in train)
    facts["line lengths, train"] = f"{len(train) - sevens:,} of five, {sevens:,} of seven"
    if skipped:
        facts["skipped"] = "; ".join(f"{count:,} {reason}" for reason, count in skipped.items())
    few = few_in_all(len(train), ENOUGH_POEMS, "poems", EXPECT)
    return Splits(*parts, description=facts, notes=notes, training_notes=few)


def _facts(name: str, form: str, unit: str, parts: Sequence, text: str) -> dict[str, str]:
    return {
        "name": name,
        "form": form,
        unit: ", ".join(f"{len(p):,} {part}" for p, part in zip(parts, PARTS, strict=True)),
        "different characters": f"{len(set(text)):,}",
    }
