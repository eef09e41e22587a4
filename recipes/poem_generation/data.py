"""Data of poem generation: the built-in quatrains, or the user's own quatrains or text."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from dlrecipes.data.parts import PARTS, part_files, random_split
from dlrecipes.data.quatrains import Poem, quatrains, read_quatrains
from dlrecipes.data.sources import load_source
from dlrecipes.data.text_files import read_text
from dlrecipes.errors import DataError, UsageError
from dlrecipes.recipe import Splits

from .config import Config

# Fractions of a single file, and of a validation file in a folder without a test file.
THREE_PARTS, TWO_PARTS = (0.90, 0.05, 0.05), (0.5, 0.5)


def load(config: Config) -> Splits:
    """Returns the quatrains, or each part of the text as a string.

    Raises:
        DataError: If a file cannot be read; names the file and the line.
        UsageError: If the settings do not fit the source.
    """
    return load_source(
        config.data,
        builtin=lambda: _builtin(config),
        folder=lambda path: _files(config, path),
        recipe="poem_generation",
        expected="a file, or a folder with train, valid and test",
    )


def is_quatrains(config: Config, path: Path) -> bool:
    """Returns whether a file is read as quatrains: as configured, or by at least half its lines."""
    if config.form != "auto":
        return config.form == "quatrains"
    is_json = any(suffix in (".json", ".jsonl", ".ndjson") for suffix in path.suffixes)
    try:
        poems, skipped = read_quatrains(path)
    except DataError as error:
        # Invalid JSON and unreadable files are errors; any other file without quatrains is a text.
        if "holds no quatrain" in error.message and not is_json:
            return False
        raise
    return is_json or len(poems) >= sum(skipped.values())


def _builtin(config: Config) -> Splits:
    if config.form == "text":
        raise UsageError("--form text: the built-in data is quatrains.", "Give --data FILE.txt.")
    lengths = (5, 7) if config.line_length == "both" else (int(config.line_length),)
    held_out = max(100, config.examples // 8)
    count = -(-(config.examples + 2 * held_out) // len(lengths))
    poems = [poem for length in lengths for poem in quatrains(count, config.seed, length)]
    random.Random(config.seed).shuffle(poems)
    ends = [config.examples + k * held_out for k in range(3)]
    parts = [poems[: ends[0]], poems[ends[0] : ends[1]], poems[ends[1] : ends[2]]]
    return _quatrain_splits(f"built-in quatrains, seed {config.seed}", parts, {})


def _files(config: Config, path: Path) -> Splits:
    files = part_files(path, ".jsonl, .txt, or either with .gz").paths
    if not is_quatrains(config, files["train"]):
        return _text_splits(config, [read_text(file) for file in files.values()])
    parts: list[list[Poem]] = []
    skipped: Counter[str] = Counter()
    for file in files.values():
        poems, reasons = read_quatrains(file)
        parts.append(poems)
        skipped.update(reasons)
    if len(parts) < len(PARTS):
        fractions = THREE_PARTS if len(parts) == 1 else TWO_PARTS
        file = list(files.values())[-1]
        parts[-1:] = random_split(parts[-1], fractions, config.seed, str(file))
    return _quatrain_splits(config.data, parts, skipped)


def _text_splits(config: Config, texts: Sequence[str]) -> Splits:
    parts = [text.replace("\r\n", "\n") for text in texts]
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
    return Splits(*parts, description=_facts(config.data, "text", "characters", parts, parts[0]))


def _quatrain_splits(
    name: str, parts: Sequence[Sequence[Poem]], skipped: Mapping[str, int]
) -> Splits:
    train = parts[0]
    text = "".join(line for poem in train for line in poem.lines)
    facts = _facts(name, "quatrains", "poems", parts, text)
    sevens = sum(len(poem.lines[0]) == 7 for poem in train)
    facts["line lengths, train"] = f"{len(train) - sevens:,} of five, {sevens:,} of seven"
    if skipped:
        facts["skipped"] = "; ".join(f"{count:,} {reason}" for reason, count in skipped.items())
    return Splits(*parts, description=facts)


def _facts(name: str, form: str, unit: str, parts: Sequence, text: str) -> dict[str, str]:
    return {
        "name": name,
        "form": form,
        unit: ", ".join(f"{len(p):,} {part}" for p, part in zip(parts, PARTS, strict=True)),
        "different characters": f"{len(set(text)):,}",
    }
