"""The quatrains or the text that is learned from: built in, or the user's own."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dlrecipes.data.quatrains import Poem, quatrains, read_quatrains
from dlrecipes.errors import DataError, UsageError, nearest, reason
from dlrecipes.recipe import Splits

from .config import Config

PARTS = ("train", "valid", "test")
OTHER_NAMES = {"validation": "valid", "val": "valid", "dev": "valid", "training": "train"}
# Of a single file: train, validation, test.
SHARES = (0.90, 0.05, 0.05)


def load(config: Config) -> Splits:
    """Returns the poems, or the text's parts as strings.

    Raises:
        DataError: If a file cannot be read as it is.
        UsageError: If the source is of a kind that this recipe does not have.
    """
    if config.data.startswith("tfds:"):
        raise UsageError(
            f"--data {config.data}: poem_generation reads no TFDS data set.",
            "Give 'builtin', a file, or a folder with train, valid and test.",
        )
    if config.data == "builtin":
        return _built_in(config)
    files = _files(Path(config.data))
    if is_verse(config, files["train"]):
        return _poems(config, files)
    return _texts(config, files)


def is_verse(config: Config, path: Path) -> bool:
    """Returns whether a file holds quatrains: as the user says, else half of its lines must."""
    if config.form != "auto":
        return config.form == "quatrains"
    try:
        poems, skipped = read_quatrains(path)
    except DataError as error:
        # What looks like JSON and is none, or cannot be read, is told; any other text is text.
        if "holds no quatrain" in error.message and not _is_json(path):
            return False
        raise
    return len(poems) >= sum(skipped.values()) or _is_json(path)


def _is_json(path: Path) -> bool:
    return any(suffix in (".json", ".jsonl", ".ndjson") for suffix in path.suffixes)


def _built_in(config: Config) -> Splits:
    if config.form == "text":
        raise UsageError("--form text: the built-in data is quatrains.", "Give --data FILE.txt.")
    lengths = [int(n) for n in ("57" if config.line_length == "both" else config.line_length)]
    held_out = max(100, config.examples // 8)
    sizes = (config.examples, held_out, held_out)
    found = []
    for length in lengths:
        count = -(-sum(sizes) // len(lengths))
        found += quatrains(count, config.seed, length)
    random.Random(config.seed).shuffle(found)
    ends = [sum(sizes[: k + 1]) for k in range(3)]
    parts = [found[: ends[0]], found[ends[0] : ends[1]], found[ends[1] : ends[2]]]
    name = f"built-in quatrains, seed {config.seed}"
    return Splits(*parts, description=_describe(name, parts, {}))


def _files(path: Path) -> dict[str, Path]:
    """Returns the file of each part there is; one file is the `train` of all."""
    if not path.is_dir():
        if path.exists():
            return {"train": path}
        near = nearest(path.name, _names(path.parent)) if path.parent.is_dir() else ""
        raise DataError(f"{path} does not exist.", near or "Give a file or a folder.")
    found: dict[str, Path] = {}
    for name in _names(path):
        stem = name.split(".")[0].lower()
        part = OTHER_NAMES.get(stem, stem)
        if part not in PARTS or not (path / name).is_file():
            continue
        if part in found:
            raise DataError(f"{path}: both {found[part].name} and {name} are {part}.")
        found[part] = path / name
    missing = [part for part in PARTS[:2] if part not in found]
    if missing:
        raise DataError(
            f"{path}: there is no file {' and no file '.join(missing)}.",
            "Give train and valid, and perhaps test, as .jsonl, .txt, or either with .gz.",
        )
    return found


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _poems(config: Config, files: dict[str, Path]) -> Splits:
    skipped: Counter = Counter()
    parts = []
    for part in PARTS:
        if part in files:
            poems, others = read_quatrains(files[part])
            parts.append(poems)
            skipped.update(others)
    if len(parts) == 1:
        parts = _split(parts[0], config.seed, SHARES, files["train"])
    elif len(parts) == 2:
        # The validation file is the test's too: half each.
        parts[1:] = _split(parts[1], config.seed, (0.5, 0.5), files["valid"])
    return Splits(*parts, description=_describe(config.data, parts, skipped))


def _split(poems: list[Poem], seed: int, shares: Sequence[float], path: Path) -> list[list[Poem]]:
    order = list(range(len(poems)))
    random.Random(seed).shuffle(order)
    sizes = [max(1, round(share * len(poems))) for share in shares[1:]]
    ends = [len(poems) - sum(sizes[k:]) for k in range(len(sizes) + 1)]
    if ends[0] < 1:
        raise DataError(
            f"{path} holds {len(poems)} quatrains: too few to split in {len(shares)}.",
            "Give more poems, or a folder with train, valid and test.",
        )
    bounds = [0, *ends[: len(sizes)], len(poems)]
    return [[poems[k] for k in order[a:b]] for a, b in itertools.pairwise(bounds)]


def _texts(config: Config, files: dict[str, Path]) -> Splits:
    parts = [_read_text(files[part]) for part in PARTS if part in files]
    if len(parts) == 1:
        text = parts[0]
        first, second = (round(len(text) * share) for share in (SHARES[0], 1 - SHARES[2]))
        parts = [text[:first], text[first:second], text[second:]]
    elif len(parts) == 2:
        half = len(parts[1]) // 2
        parts[1:] = [parts[1][:half], parts[1][half:]]
    for name, text in zip(("training", "validation", "test"), parts, strict=True):
        if len(text) <= config.window:
            raise DataError(
                f"{config.data}: the {name} text has {len(text):,} characters, fewer than one "
                f"window of {config.window} and the one that follows.",
                "Give a longer text, or a smaller --window.",
            )
    facts = {
        "name": config.data,
        "form": "text",
        "characters": ", ".join(
            f"{len(text):,} {name}"
            for text, name in zip(parts, ("train", "validation", "test"), strict=True)
        ),
        "different characters": f"{len(set(parts[0])):,}",
    }
    return Splits(*parts, description=facts)


def _read_text(path: Path) -> str:
    import gzip
    import zlib

    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"{path}:{line}: byte {error.object[error.start]:#04x} is not UTF-8."
        raise DataError(message, "Save the file as UTF-8.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        message = f"{path} is a damaged gzip file."
        raise DataError(message, "Fetch or copy it again.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from None
    return text.replace("\r\n", "\n")


def _describe(name: str, parts: Sequence[list[Poem]], skipped: dict[str, int]) -> dict[str, str]:
    train = parts[0]
    sevens = sum(len(poem.lines[0]) == 7 for poem in train)
    used = {character for poem in train for line in poem.lines for character in line}
    counts = zip(parts, ("train", "validation", "test"), strict=True)
    facts = {
        "name": name,
        "form": "quatrains",
        "poems": ", ".join(f"{len(part):,} {what}" for part, what in counts),
        "characters a line, train": f"{len(train) - sevens:,} of five, {sevens:,} of seven",
        "different characters": f"{len(used):,}",
    }
    if skipped:
        facts["skipped"] = "; ".join(f"{count:,} {what}" for what, count in skipped.items())
    return facts
