"""Readers of tagged sentences in seq.in and seq.out files, or in CoNLL columns."""

import os
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dlrecipes.data.tag_schemes import SCHEMES, TAG, TagError, detect_scheme, to_bio
from dlrecipes.data.tagged import TaggedSentence
from dlrecipes.errors import DataError, nearest

SPLITS = {
    "train": ("train",),
    "validation": ("valid", "validation", "dev", "testa"),
    "test": ("test", "testb"),
}
EXTENSIONS = ("", ".txt", ".conll", ".bio", ".iob", ".tsv")

_LAYOUTS = (
    "Give a folder with train/, valid/ and test/ that hold seq.in and seq.out, "
    "a folder with train.txt, valid.txt and test.txt in CoNLL columns, or one such file."
)
_ONE_SPLIT = "A split holds seq.in (words), seq.out (tags) and, optionally, label (intents)."
_TAG_HINT = "A tag is O, or a prefix and a slot name, such as B-city, I-city (E-, S-, L-, U-)."
_INTENT = re.compile(r"#[ \t]*intent[ \t]*[:=][ \t]*(.+)")
# Not \s: a no-break space is part of its word.
_SPACES = re.compile(r"[ \t]+")


@dataclass(frozen=True)
class _Read:
    """A sentence as read from its file; `lines` are the line numbers of its tags."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    intent: str | None
    path: Path
    lines: tuple[int, ...]

    def at(self, word: int) -> str:
        return f"{self.path}:{self.lines[word]}"


def read_tagged(
    path: str | os.PathLike, seed: int = 0
) -> tuple[list[TaggedSentence], list[TaggedSentence], list[TaggedSentence]]:
    """Reads the training, validation and test sentences of a dataset, with BIO tags.

    Three layouts are read:

    - A folder with subfolders `train`, `valid` (or `validation`, `dev`) and `test`, each with
      `seq.in` (one sentence per line, words separated by spaces), `seq.out` (their tags) and,
      optionally, `label` (one intent per line).
    - A folder with CoNLL files of those names (also `testa` and `testb`), with the suffix .txt,
      .conll, .bio, .iob, .tsv or none. Each line has a word in its first column and the tag in
      its last; blank lines separate sentences. A comment `# intent: x` before a sentence gives
      its intent; other comments there, and `-DOCSTART-` lines, are skipped. Lines such as
      `# O`, whose last column is a tag, are words, not comments.
    - A single CoNLL file, or a single folder with `seq.in` and `seq.out`.

    The third layout is split: a tenth of the sentences, at least one, becomes validation, and
    another tenth becomes test. In a folder with only train and test, a tenth of train becomes
    validation. The choice depends only on `seed`, and the order is kept. Tags in IOB1, IOBES or
    BILOU are detected over the whole dataset (`detect_scheme`) and converted to BIO. Files are
    UTF-8; only ASCII spaces and tabs separate words.

    Args:
        path: Folder or file to read.
        seed: Seed of the split. Defaults to 0.

    Returns:
        Training, validation and test sentences.

    Raises:
        DataError: If something is missing or does not parse; the message names file and line.

    Example:

    >>> import pathlib, tempfile
    >>> from dlrecipes.data.tagged_text import read_tagged
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "cities.txt")
    ...     _ = path.write_text("to O\\nRome S-city\\n\\nOslo S-city\\n\\nnow O\\n")
    ...     train, validation, test = read_tagged(path)
    >>> sorted(sentence.tags for sentence in train + validation + test)
    [('B-city',), ('O',), ('O', 'B-city')]
    """
    root = Path(path)
    try:
        splits = _read_splits(root, seed)
    except OSError as error:
        raise _unreadable(error, root) from None
    train, validation, test = _as_bio(splits)
    return train, validation, test


def _read_splits(root: Path, seed: int) -> list[list[_Read]]:
    if not root.exists():
        raise _missing(root)
    if not root.is_dir():
        if root.name in ("seq.in", "seq.out", "label"):
            hint = f"Give the folder, {root.parent}."
            raise DataError(f"{root} is only a part of its dataset.", hint)
        return _split_off(_read_conll(root), 2, seed, root)
    paths = {split: _find(root, split) for split in SPLITS}
    if paths["train"] is None:
        if any((root / name).exists() for name in ("seq.in", "seq.out")):
            return _split_off(_read_sequences(root), 2, seed, root)
        raise _no_train(root)
    if paths["test"] is None:
        hint = f"Add it, or give only {paths['train']}, which is then split 80/10/10."
        raise DataError(f"{root} has no test data (test).", hint)
    splits = {name: _read_split(path) for name, path in paths.items() if path is not None}
    if "validation" not in splits:
        splits["train"], splits["validation"] = _split_off(splits["train"], 1, seed, paths["train"])
    return [splits[name] for name in SPLITS]


def _missing(root: Path) -> DataError:
    if not root.parent.is_dir():
        return DataError(f"{root} does not exist.", f"Nor does the folder {root.parent}.")
    near = nearest(root.name, sorted(entry.name for entry in root.parent.iterdir()))
    return DataError(f"{root} does not exist.", near or _LAYOUTS)


def _unreadable(error: OSError, root: Path) -> DataError:
    reason = (error.strerror or type(error).__name__).lower()
    is_folder = isinstance(error, IsADirectoryError)
    hint = "Expected a file, got a folder." if is_folder else "Check the permissions."
    return DataError(f"{error.filename or root} cannot be read: {reason}.", hint)


def _no_train(root: Path) -> DataError:
    names = sorted(entry.name for entry in root.iterdir())
    if not names:
        return DataError(f"{root} is empty.", _LAYOUTS)
    hint = f"{nearest('train', names)} {_LAYOUTS}".strip()
    return DataError(f"{root} has no training data (train).", hint)


def _find(root: Path, split: str) -> Path | None:
    entries = [
        entry
        for entry in sorted(root.iterdir())
        if entry.stem in SPLITS[split] and entry.suffix in EXTENSIONS
    ]
    if len(entries) > 1:
        names = " and ".join(entry.name for entry in entries)
        raise DataError(f"{root} has {split} data more than once: {names}.", "Keep one of them.")
    return entries[0] if entries else None


def _split_off(sentences: list[_Read], parts: int, seed: int, source: Path) -> list[list[_Read]]:
    """Returns the remaining sentences, then `parts` parts of a tenth, at least one sentence."""
    if len(sentences) <= parts:
        raise DataError(
            f"{source} holds too few sentences to split: {len(sentences)}.",
            f"At least {parts + 1} are needed.",
        )
    order = list(range(len(sentences)))
    random.Random(seed).shuffle(order)
    size = max(1, len(sentences) // 10)
    cuts = [order[parts * size :], *(order[k * size : (k + 1) * size] for k in range(parts))]
    return [[sentences[index] for index in sorted(cut)] for cut in cuts]


def _read_split(path: Path) -> list[_Read]:
    # A folder "train" holds seq.in and seq.out; "train.txt" must be a file.
    return _read_sequences(path) if path.is_dir() and not path.suffix else _read_conll(path)


def _read_lines(path: Path) -> list[str]:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"{path}:{line}: byte {error.start} ({data[error.start]:#04x}) is not UTF-8."
        raise DataError(message, "Save the file as UTF-8.") from None
    lines = [line.strip(" \t\r") for line in text.removeprefix("\ufeff").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise DataError(f"{path} is empty.", "Expected at least one sentence.")
    return lines


def _read_sequences(folder: Path) -> list[_Read]:
    names = sorted(entry.name for entry in folder.iterdir())
    for name in ("seq.in", "seq.out"):
        if name not in names:
            hint = f"{nearest(name, set(names) - {'seq.in', 'seq.out'})} {_ONE_SPLIT}".strip()
            raise DataError(f"{folder / name} is missing.", hint)
    files = [folder / name for name in ("seq.in", "seq.out", "label") if name in names]
    contents = [_read_lines(path) for path in files]
    for path, lines in zip(files, contents, strict=True):
        _raise_first(
            DataError(f"{path}:{number}: the line is empty.", "Each line is one sentence.")
            for number, line in enumerate(lines, start=1)
            if not line
        )
        _check_line_counts(files[0], contents[0], path, lines)
    words, tags = ([tuple(_SPACES.split(line)) for line in lines] for lines in contents[:2])
    _raise_first(
        DataError(
            f"{files[1]}:{number}: {len(b)} tags, but {files[0]}:{number} has {len(a)} words.",
            "Expected one tag per word, separated by spaces.",
        )
        for number, (a, b) in enumerate(zip(words, tags, strict=True), start=1)
        if len(a) != len(b)
    )
    intents = contents[2] if len(contents) > 2 else [None] * len(words)
    return [
        _Read(*sentence, path=files[1], lines=(number,) * len(sentence[0]))
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


def _read_conll(path: Path) -> list[_Read]:
    sentences, problems = [], []
    rows: list[tuple[str, str, int]] = []
    intent = None
    # The blank line at the end closes the last sentence.
    for number, line in enumerate([*_read_lines(path), ""], start=1):
        columns = _columns(line)
        if not line or columns[0] == "-DOCSTART-":
            if rows:
                words, tags, lines = zip(*rows, strict=True)
                sentences.append(_Read(words, tags, intent, path, lines))
                rows, intent = [], None
        elif not rows and line.startswith("#") and (match := _INTENT.fullmatch(line)):
            intent = match[1]
        elif not rows and line.startswith("#") and not _is_row(columns):
            continue
        elif len(columns) < 2 or " " in columns[0]:
            problems.append(_bad_row(path, number, columns))
        else:
            rows.append((columns[0], columns[-1], number))
    _raise_first(problems)
    if not sentences:
        hint = "Expected lines with a word and its tag, such as: Rome B-city."
        raise DataError(f"{path} contains no sentences.", hint)
    return sentences


def _columns(line: str) -> list[str]:
    if "\t" in line:
        return [column for part in line.split("\t") if (column := part.strip(" "))]
    return _SPACES.split(line)


def _is_row(columns: list[str]) -> bool:
    return len(columns) > 1 and TAG.fullmatch(columns[-1]) is not None


def _bad_row(path: Path, number: int, columns: list[str]) -> DataError:
    if len(columns) < 2:
        return DataError(
            f"{path}:{number}: expected a word and its tag, got one column, {columns[0]!r}.",
            "Separate columns by tabs or spaces, sentences by a blank line.",
        )
    return DataError(
        f"{path}:{number}: the word {columns[0]!r} contains a space.",
        "Separate columns only by tabs, or only by spaces.",
    )


def _as_bio(splits: list[list[_Read]]) -> list[list[TaggedSentence]]:
    everything = [sentence for split in splits for sentence in split]
    _raise_first(
        DataError(f"{sentence.at(k)}: {_tag_text(sentence, k)} does not parse.", _TAG_HINT)
        for sentence in everything
        for k, tag in enumerate(sentence.tags)
        if not TAG.fullmatch(tag)
    )
    scheme = detect_scheme(sentence.tags for sentence in everything)
    problems: list[DataError] = []
    converted: list[list[TaggedSentence]] = []
    for split in splits:
        converted.append([])
        for sentence in split:
            try:
                tags = to_bio(sentence.tags, scheme)
            except TagError as error:
                message = f"{sentence.at(error.position)}: {error} (word {error.position + 1})."
                problems.append(DataError(message))
                continue
            converted[-1].append(TaggedSentence(sentence.tokens, tags, sentence.intent))
    if problems:
        hint = _scheme_evidence(scheme, everything)
        _raise_first(DataError(problem.message, hint) for problem in problems)
    return converted


def _tag_text(sentence: _Read, k: int) -> str:
    return f"the tag {sentence.tags[k]!r} of word {k + 1}, {sentence.tokens[k]!r},"


def _scheme_evidence(scheme: str, sentences: list[_Read]) -> str:
    """Returns a hint that names the tag that implies `scheme`, which may itself be the mistake."""
    marks = set(SCHEMES[scheme]) - set(SCHEMES["BIO"])
    for sentence in sentences:
        for k, tag in enumerate(sentence.tags):
            if tag[0] in marks:
                return f"The dataset is read as {scheme} because of {tag!r} at {sentence.at(k)}."
    return ""


def _raise_first(problems: Iterable[DataError]) -> None:
    """Raises the first of the problems, if any, with the number of others that share its hint."""
    problems = list(problems)
    if not problems:
        return
    first = problems[0]
    others = sum(problem.hint == first.hint for problem in problems) - 1
    more = f" (and {others} more like it)." if others else "."
    raise DataError(first.message.removesuffix(".") + more, first.hint)
